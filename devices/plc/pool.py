"""Lends sessions with PLCs: waits the turn, connects, proves the link, and always closes."""

import asyncio
import contextvars
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import count

from devices.modbus import resources
from devices.modbus.errors import LinkUnavailable, ModbusError, NoResources, WrongAnswer
from devices.modbus.link import Link, OnFrame
from devices.plc.errors import PLCOffline, PoolClosed
from devices.plc.health import PROBE_FIRST_S, PROBE_LONGEST_S, Health, HealthState, probe_delay_s
from devices.plc.session import Session
from devices.plc.specs import PLCSpec, Priority
from devices.plc.turns import Turns

OnHealth = Callable[[PLCSpec, Health], None]


class Peer:
    """One PLC as the pool sees it: its queue, its kept links, its health."""

    def __init__(self, plc: PLCSpec) -> None:
        self.plc = plc
        self.turns = Turns()
        self.kept: dict[Link, asyncio.TimerHandle] = {}
        self.health = Health()
        self.probing: asyncio.Task[None] | None = None

    def take_kept(self) -> Link | None:
        """A kept link that still stands, if there is one; dead ones are dropped on the way."""
        while self.kept:
            link, expiry = self.kept.popitem()
            expiry.cancel()
            if link.is_usable and link.endpoint == self.plc.endpoint:
                return link
            link.abort()
        return None

    def keep(self, link: Link, keep_open_s: float) -> None:
        """Hold the link for the next user, then close it."""
        self.kept[link] = asyncio.get_running_loop().call_later(keep_open_s, self._expire, link)

    def _expire(self, link: Link) -> None:
        del self.kept[link]
        link.abort()

    def forget(self) -> None:
        """Drop all that was learnt and held under the old settings."""
        for link, expiry in self.kept.items():
            expiry.cancel()
            link.abort()
        self.kept.clear()
        if self.probing is not None:
            self.probing.cancel()
        self.probing = None
        self.health = Health()


class Turn:
    """The right to talk to one PLC, held for a block; its sessions open and close connections within it."""

    def __init__(self, pool: "Pool", peer: Peer, plc: PLCSpec) -> None:
        self._pool = pool
        self._peer = peer
        self.plc = plc

    @asynccontextmanager
    async def session(self, on_frame: OnFrame | None = None) -> AsyncIterator[Session]:
        """Connect (or take the kept connection) and lend it for the block; one at a time.

        `on_frame` hears all that goes over the wire in this block, and nothing of the next one's.
        """
        link = self._peer.take_kept() or await self._connect(on_frame)
        link.on_frame = on_frame
        session = Session(link, self.plc)
        try:
            yield session
        except WrongAnswer as error:
            self._pool.note_wrong_answer(self._peer, str(error))
            raise
        except LinkUnavailable as error:
            if not link.has_answered:
                self._pool.note_failure(self._peer, str(error))
            raise
        finally:
            session.end()
            link.on_frame = None
            await self._give_back(link)

    async def _connect(self, on_frame: OnFrame | None) -> Link:
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

    async def _give_back(self, link: Link) -> None:
        """Keep the link only if it is wanted and its last exchange was answered and matched."""
        if link.has_answered:
            self._pool.note_success(self._peer)
        if self.plc.keep_open_s > 0 and link.is_usable and link.has_answered and not self._pool.is_closed:
            self._peer.keep(link, self.plc.keep_open_s)
        else:
            await link.close()


class Pool:
    """All conversations of this process. `async with pool.session(plc) as session` is the only door."""

    def __init__(
        self,
        *,
        on_health: OnHealth | None = None,
        probe_first_s: float = PROBE_FIRST_S,
        probe_longest_s: float = PROBE_LONGEST_S,
    ) -> None:
        self.is_closed = False
        self._peers: dict[int, Peer] = {}
        self._is_short = False
        self._on_health = on_health
        self._probe_first_s = probe_first_s
        self._probe_longest_s = probe_longest_s

    @asynccontextmanager
    async def session(self, plc: PLCSpec, priority: Priority = Priority.COMMAND) -> AsyncIterator[Session]:
        """Wait for the turn, connect, lend a session; closed when the block ends, however it ends.

        Raises TurnNotGot, PLCOffline, PoolClosed or LinkUnavailable: in each of these nothing was sent.
        """
        async with self.turn(plc, priority) as turn, turn.session() as session:
            yield session

    @asynccontextmanager
    async def turn(self, plc: PLCSpec, priority: Priority = Priority.COMMAND) -> AsyncIterator[Turn]:
        """Wait for the turn only; for who must write a record between turn and connection."""
        peer = self._peer_of(plc)
        self._require_reachable(peer, priority)
        async with peer.turns.take(limit=plc.max_connections, priority=priority, timeout_s=plc.turn_timeout_s):
            self._require_reachable(peer, priority)
            yield Turn(self, peer, plc)

    def is_free(self, plc: PLCSpec) -> bool:
        """A command that asks now gets its turn at once, if nothing is awaited in between."""
        peer = self._peer_of(plc)
        is_away = self.is_closed or peer.health.state is HealthState.OFFLINE
        return not is_away and peer.turns.is_free(plc.max_connections)

    def waiting(self, plc: PLCSpec) -> int:
        """How many wait for a turn with this PLC."""
        return self._peer_of(plc).turns.waiting

    def health(self, plc_id: int) -> Health:
        """What is known of a PLC's reachability."""
        peer = self._peers.get(plc_id)
        return peer.health if peer else Health()

    def can_connect(self) -> bool:
        """Not short of descriptors or ports; once it was, it is tried until they are there again."""
        self._is_short = self._is_short and not resources.are_left()
        return not self._is_short

    def note_shortage(self) -> None:
        """This process could not connect: no PLC is to blame."""
        self._is_short = True

    def refresh(self, plcs: Mapping[int, PLCSpec]) -> None:
        """Take over changed settings: links, probes and health of changed, disabled or deleted PLCs go."""
        for plc_id, peer in self._peers.items():
            plc = plcs.get(plc_id)
            if plc is None or not plc.is_enabled or _policy(plc) != _policy(peer.plc):
                peer.forget()
            peer.plc = plc or peer.plc

    async def close(self) -> None:
        """Refuse new turns, tell those who wait, close what is kept. Sessions under way end with their blocks."""
        self.is_closed = True
        probes = [peer.probing for peer in self._peers.values() if peer.probing]
        for peer in self._peers.values():
            peer.forget()
            peer.turns.refuse_all()
        await asyncio.gather(*probes, return_exceptions=True)
        await asyncio.sleep(0)

    def note_success(self, peer: Peer) -> None:
        """The PLC answered."""
        self._change_health(peer, peer.health.after_success(asyncio.get_running_loop().time()))

    def note_wrong_answer(self, peer: Peer, mark: str) -> None:
        """What the PLC says cannot be relied on: mark it for a person to look at."""
        self._change_health(peer, peer.health.after_wrong_answer(mark))

    def note_failure(self, peer: Peer, reason: str) -> None:
        """The PLC could not be reached; after several times it is offline and a probe looks for it."""
        self._change_health(peer, peer.health.after_failure(reason, asyncio.get_running_loop().time()))
        is_lost = peer.health.state is HealthState.OFFLINE
        if is_lost and peer.probing is None and not self.is_closed:
            peer.probing = asyncio.create_task(self._probe(peer), context=contextvars.Context())

    def _change_health(self, peer: Peer, health: Health) -> None:
        before, peer.health = peer.health, health
        told = [(known.state, known.reason, known.mark) for known in (before, health)]
        if self._on_health and told[0] != told[1]:
            self._on_health(peer.plc, health)

    def _peer_of(self, plc: PLCSpec) -> Peer:
        peer = self._peers.setdefault(plc.id, Peer(plc))
        if _policy(peer.plc) != _policy(plc):
            peer.forget()
        peer.plc = plc
        return peer

    def _require_reachable(self, peer: Peer, priority: Priority) -> None:
        if self.is_closed:
            raise PoolClosed("the gateway is shutting down")
        health = peer.health
        if health.state is HealthState.OFFLINE and priority is not Priority.PROBE:
            now = asyncio.get_running_loop().time()
            wait_s = max(1.0, (health.next_try_s or now) - now)
            raise PLCOffline(
                f"{peer.plc.name} is offline: {health.reason}; next try in {wait_s:.0f} s", retry_after_s=wait_s
            )

    async def _probe(self, peer: Peer) -> None:
        """Look for an offline PLC, ever more slowly, until it answers."""
        clock = asyncio.get_running_loop().time
        try:
            for tries in count():
                delay_s = probe_delay_s(tries, first_s=self._probe_first_s, longest_s=self._probe_longest_s)
                peer.health = replace(peer.health, next_try_s=clock() + delay_s)
                await asyncio.sleep(delay_s)
                if await self._answers(peer.plc):
                    return
        finally:
            if peer.probing is asyncio.current_task():
                peer.probing = None

    async def _answers(self, plc: PLCSpec) -> bool:
        try:
            async with self.session(plc, Priority.PROBE) as session:
                await session.prove()
        except ModbusError:
            return False
        return True


def _policy(plc: PLCSpec) -> object:
    """What a kept connection was made under; it is dropped when any of this changes."""
    return plc.endpoint, plc.max_connections, plc.keep_open_s
