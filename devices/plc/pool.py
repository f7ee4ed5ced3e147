"""Lends sessions with PLCs: waits the turn, connects, proves the link, and always closes."""

import asyncio
import contextvars
import logging
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import (
    AbstractAsyncContextManager,
    asynccontextmanager,
    contextmanager,
    nullcontext,
)
from dataclasses import replace
from itertools import count

from devices.modbus import resources
from devices.modbus.errors import LinkUnavailable, ModbusError, WrongAnswer
from devices.modbus.link import Link
from devices.plc.errors import PLCOffline, PoolClosed
from devices.plc.health import PROBE_FIRST_S, PROBE_LONGEST_S, Health, HealthState, probe_delay_s
from devices.plc.leases import Lease, Leases
from devices.plc.peer import Peer
from devices.plc.session import Aside, Session
from devices.plc.specs import PLCSpec, Priority
from devices.plc.turn import Turn

logger = logging.getLogger(__name__)

OnHealth = Callable[[PLCSpec, Health], None]


class Pool:
    """All conversations of this process. `async with pool.session(plc) as session` is the only door."""

    def __init__(
        self,
        *,
        leases: Leases | None = None,
        on_health: OnHealth | None = None,
        probe_first_s: float = PROBE_FIRST_S,
        probe_longest_s: float = PROBE_LONGEST_S,
    ) -> None:
        self.is_closed = False
        self.leases = leases
        """Where other processes talk to the same PLCs; without them all turns are this process's own."""
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
    async def turn(
        self, plc: PLCSpec, priority: Priority = Priority.COMMAND, *, timeout_s: float | None = None
    ) -> AsyncIterator[Turn]:
        """Wait for the turn only, as long as the PLC's settings say; for who must write a record before he connects."""
        peer = self._peer_of(plc)
        self._require_reachable(peer, priority)
        limit_s = plc.turn_timeout_s if timeout_s is None else timeout_s
        end_s = asyncio.get_running_loop().time() + limit_s
        await peer.turns.take(limit=plc.max_connections, priority=priority, timeout_s=limit_s)
        try:
            self._require_reachable(peer, priority)
            async with self._lease(plc, priority, end_s) as lease:
                self._require_reachable(peer, priority)
                turn = Turn(self, peer, plc, priority, lease)
                try:
                    yield turn
                finally:
                    await turn.end()
        finally:
            peer.turns.give_back(priority)

    @asynccontextmanager
    async def aside(self, plc: PLCSpec, *, timeout_s: float) -> AsyncIterator[Session]:
        """Lend a session for an exchange that must not wait for the turn, which a command may hold for long.

        Over a connection that stands, between two exchanges of whoever uses it; it is kept open for longer then.
        Where there is none, in a turn of its own, for which it waits so many seconds. Raises as `session` does.
        """
        peer = self._peer_of(plc)
        link = peer.open_link()
        if link is None:
            async with self.turn(plc, Priority.HEARTBEAT, timeout_s=timeout_s) as turn, turn.session() as session:
                yield session
            return
        aside = Aside(link, plc)
        try:
            with self.noting(peer, link), peer.holding(link):
                yield aside
        finally:
            aside.end()
            if link.is_usable and link.has_answered:
                self.note_success(peer)

    def is_free(self, plc: PLCSpec) -> bool:
        """A command that asks now gets its turn at once, if nothing is awaited in between."""
        return self.leases is None and self._is_free_here(plc)

    def has_room(self, plc: PLCSpec) -> bool:
        """Who asks now gets his turn, or may wait for it: not as many as may wait do."""
        return self._is_free_here(plc) or self.waiting(plc) < plc.max_waiting

    def _is_free_here(self, plc: PLCSpec) -> bool:
        peer = self._peer_of(plc)
        is_away = self.is_closed or peer.health.state is HealthState.OFFLINE
        return not is_away and peer.turns.is_free(plc.max_connections)

    def waiting(self, plc: PLCSpec) -> int:
        """How many wait for a turn with this PLC."""
        return self._peer_of(plc).turns.waiting

    def is_idle(self, plc_id: int) -> bool:
        """Nobody of this process talks to a PLC, or waits to."""
        peer = self._peers.get(plc_id)
        return peer is None or not (peer.turns.holders or peer.turns.waiting)

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

    @contextmanager
    def noting(self, peer: Peer, link: Link) -> Iterator[None]:
        """What goes wrong with a link within the block tells of the PLC's health."""
        try:
            yield
        except WrongAnswer as error:
            self.note_wrong_answer(peer, str(error))
            raise
        except LinkUnavailable as error:
            if not link.has_answered:
                self.note_failure(peer, str(error))
            raise

    def _lease(self, plc: PLCSpec, priority: Priority, end_s: float) -> AbstractAsyncContextManager[Lease | None]:
        if self.leases is None:
            return nullcontext()
        left_s = max(0.0, end_s - asyncio.get_running_loop().time())
        return self.leases.hold(plc.id, limit=plc.max_connections, priority=priority, timeout_s=left_s)

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
        told = [(known.state, known.reason, known.mark, known.next_try_s) for known in (before, health)]
        if self._on_health and told[0] != told[1]:
            self._on_health(peer.plc, health)

    def _peer_of(self, plc: PLCSpec) -> Peer:
        peer = self._peers.get(plc.id) or self._peers.setdefault(plc.id, Peer(plc))
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
                self._change_health(peer, replace(peer.health, next_try_s=clock() + delay_s))
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
        except Exception:
            # It must go on: nobody else looks for a PLC that is offline, and all callers are refused.
            logger.exception("looking for %s met a bug", plc.name)
            return False
        return True


def _policy(plc: PLCSpec) -> object:
    """What a kept connection was made under; it is dropped when any of this changes."""
    return plc.endpoint, plc.max_connections, plc.keep_open_s
