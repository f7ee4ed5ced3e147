"""Reads the tags of every enabled PLC again and again: one task a PLC, so that none waits for another."""

import asyncio
import contextvars
from collections import Counter
from collections.abc import Iterable

from devices.control.rounds import OnFindings, OnRound, Rounds
from devices.control.status import NONE, Findings
from devices.control.values import Values
from devices.plc.health import Health, HealthState
from devices.plc.pool import Pool
from devices.plc.specs import PLCSpec

STOP_LIMIT_S = 5.0  # for the exchanges under way


class Poller:
    """The polling of this process."""

    def __init__(self, *, pool: Pool, values: Values, on_round: OnRound, on_findings: OnFindings) -> None:
        self._pool = pool
        self._values = values
        self._on_round = on_round
        self._on_findings = on_findings
        self._is_running = False
        self._plcs: tuple[PLCSpec, ...] = ()
        self._polled: dict[int, tuple[Rounds, asyncio.Task[None]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        """Also those that were told to end and still close their connection."""
        self._at: Counter[int] = Counter()
        """How many of them each PLC has: it may be polled anew before the last exchange is over."""
        self._offline: set[int] = set()

    def start(self) -> None:
        """Begin to poll."""
        self._is_running = True
        self.refresh(self._plcs)

    async def stop(self) -> None:
        """End all polling; the connections are closed when this returns."""
        self._is_running = False
        for plc_id in list(self._polled):
            self._end(plc_id)
        if self._tasks:
            _, hanging = await asyncio.wait(self._tasks, timeout=STOP_LIMIT_S)
            for task in hanging:
                task.cancel()
            await asyncio.gather(*hanging, return_exceptions=True)

    def is_at(self, plc_id: int) -> bool:
        """A PLC is polled, or was until now and its exchange is still under way."""
        return self._at[plc_id] > 0

    def refresh(self, plcs: Iterable[PLCSpec]) -> None:
        """Take over the registry: PLCs come, go, or are read in another way; the others notice nothing."""
        self._plcs = tuple(plcs)
        if not self._is_running:
            return
        wanted = {plc.id: plc for plc in self._plcs if plc.is_enabled and _is_polled(plc)}
        alike = _Alike()
        for plc_id in list(self._polled):
            if plc_id not in wanted or not alike.are(self._polled[plc_id][0].plc, wanted[plc_id]):
                self._end(plc_id)
        for plc_id, plc in wanted.items():
            if plc_id not in self._polled:
                self._begin(plc)
            rounds, _ = self._polled[plc_id]
            rounds.plc = plc
            rounds.wake()

    def note_health(self, plc: PLCSpec, health: Health) -> None:
        """A PLC that is back after it was offline is polled at once."""
        if health.state is HealthState.OFFLINE:
            self._offline.add(plc.id)
        elif plc.id in self._offline:
            self._offline.discard(plc.id)
            if plc.id in self._polled:
                self._polled[plc.id][0].wake(at_once=True)

    def findings(self, plc_id: int) -> Findings:
        """What polling found at a PLC beyond its connection."""
        return self._polled[plc_id][0].findings if plc_id in self._polled else NONE

    def _begin(self, plc: PLCSpec) -> None:
        rounds = Rounds(
            plc, pool=self._pool, values=self._values, on_round=self._on_round, on_findings=self._on_findings
        )
        # A fresh context: who changed the registry, or started us, lends us nothing.
        task = asyncio.create_task(rounds.run(), context=contextvars.Context())
        self._polled[plc.id] = rounds, task
        self._tasks.add(task)
        self._at[plc.id] += 1
        task.add_done_callback(lambda done: self._note_end(done, plc.id))

    def _note_end(self, task: asyncio.Task[None], plc_id: int) -> None:
        self._tasks.discard(task)
        self._at[plc_id] -= 1
        if not self._at[plc_id]:
            del self._at[plc_id]

    def _end(self, plc_id: int) -> None:
        rounds, task = self._polled.pop(plc_id)
        rounds.end(task)


def _is_polled(plc: PLCSpec) -> bool:
    return any(poll.interval_s > 0 for poll in plc.polls.values())


class _Alike:
    """Whether two descriptions ask for the same readings; each pair of profiles is compared once, however many PLCs."""

    def __init__(self) -> None:
        self._polls: dict[tuple[int, int], bool] = {}

    def are(self, one: PLCSpec, other: PLCSpec) -> bool:
        if (one.endpoint, one.limits, one.read_gap) != (other.endpoint, other.limits, other.read_gap):
            return False
        pair = id(one.polls), id(other.polls)
        if pair not in self._polls:
            self._polls[pair] = one.polls == other.polls
        return self._polls[pair]
