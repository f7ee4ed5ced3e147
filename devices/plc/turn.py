"""The right to talk to one PLC, while it is held: its connections are opened and closed within it."""

from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from typing import TYPE_CHECKING

from devices.modbus.errors import LinkUnavailable, NoResources
from devices.modbus.link import Link, OnFrame
from devices.plc.leases import Lease
from devices.plc.peer import Peer
from devices.plc.session import Session
from devices.plc.specs import PLCSpec, Priority

if TYPE_CHECKING:
    from devices.plc.pool import Pool


class Turn:
    """The right to talk to one PLC, held for a block; its sessions open and close connections within it."""

    def __init__(self, pool: "Pool", peer: Peer, plc: PLCSpec, priority: Priority, lease: Lease | None) -> None:
        self._pool = pool
        self._peer = peer
        self._priority = priority
        self._lease = lease
        self._leaving: list[Link] = []
        self.plc = plc

    async def is_wanted(self) -> bool:
        """Somebody who goes first waits for it, here or in another process: who can go on later gives it back."""
        if self._peer.turns.is_wanted(self._priority):
            return True
        return self._pool.leases is not None and await self._pool.leases.is_wanted(self.plc.id)

    @property
    def is_lost(self) -> bool:
        """Another process may take it any moment: nothing more may be sent."""
        return self._lease is not None and self._lease.is_lost

    def require(self) -> None:
        """TurnGone where it is lost."""
        if self._lease is not None:
            self._lease.require()

    @asynccontextmanager
    async def session(self, on_frame: OnFrame | None = None) -> AsyncIterator[Session]:
        """Connect (or take the kept connection) and lend it for the block; one at a time.

        `on_frame` hears all that goes over the wire in this block, and nothing of the next one's.
        """
        link = self._peer.take_kept() or await self._connect(on_frame)
        link.on_frame = on_frame
        self._peer.lent.add(link)
        session = Session(link, self.plc, require_turn=self.require)
        try:
            with self._closed_with_lease(link), self._pool.noting(self._peer, link):
                yield session
        finally:
            session.end()
            link.on_frame = None
            self._peer.lent.discard(link)
            self._give_back(link)

    async def end(self) -> None:
        """Until the PLC has let go of the connections that were made, so that the next turn finds a slot free."""
        while self._leaving:
            await self._leaving.pop().close()

    def _closed_with_lease(self, link: Link) -> AbstractContextManager[None]:
        return nullcontext() if self._lease is None else self._lease.closing(link.abort)

    async def _connect(self, on_frame: OnFrame | None) -> Link:
        await self.end()
        link = Link(self.plc.endpoint)
        link.on_frame = on_frame  # some say something unasked as soon as they are connected to
        try:
            await link.open()
        except NoResources:
            self._pool.note_shortage()
            raise
        except LinkUnavailable as error:
            self._pool.note_failure(self._peer, str(error))
            raise
        return link

    def _give_back(self, link: Link) -> None:
        """Keep the link only if it is wanted and its last exchange was answered and matched.

        Else nobody waits for its end before the turn's: what the machine did can be stored meanwhile.
        """
        if link.has_answered:
            self._pool.note_success(self._peer)
        # Kept beyond its lease, it would stand in the way of another process.
        may_keep = self._pool.leases is None and not self._pool.is_closed
        if may_keep and self.plc.keep_open_s > 0 and link.is_usable and link.has_answered:
            self._peer.keep(link, self.plc.keep_open_s)
        else:
            link.hang_up()
            self._leaving.append(link)
