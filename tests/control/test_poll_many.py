"""Many PLCs in one process, a third of them dead in every way: none delays another."""

import asyncio
from bisect import bisect
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

from devices.control.values import Round
from devices.plc.health import HealthState
from devices.plc.specs import PLCSpec
from tests.control.polled import polled, polling, word
from tests.doubles import faults
from tests.doubles.fault_server import FaultServer
from tests.doubles.leaks import open_descriptors, settle

LIVING, SILENT, UNREACHABLE, REFUSING = 140, 40, 10, 10
INTERVAL_S = 1.0
FOR_S = 10.0
LATE_S = 0.2 * INTERVAL_S
TRIES = 5  # other programs run on this machine too; what one PLC does to another would show each time


def registry_of(plc: FaultServer, first: int, count: int) -> list[PLCSpec]:
    """So many PLCs behind one double, each with twenty tags."""
    tags = [word(address) for address in range(20)]
    limits = {"connect_timeout_s": 2.0, "response_timeout_s": 1.0}
    return [polled(plc, tags, INTERVAL_S, id=first + i, name=f"plc-{first + i}", **limits) for i in range(count)]


class Withheld:
    """How long this process was ready to run while the machine ran others; Linux counts it."""

    def __init__(self) -> None:
        self._at_s: list[float] = []
        self._total_s: list[float] = []

    async def watch(self) -> None:
        while True:
            self._at_s.append(asyncio.get_running_loop().time())
            self._total_s.append(_withheld_s())
            await asyncio.sleep(0.01)

    def own_s(self, done: Round) -> float:
        """What of a round's lateness is our own: without what was withheld since an interval before it was due."""
        begun_s = done.stamp.clock_s
        due_s = begun_s - done.late_s - INTERVAL_S
        start, end = (self._total_s[max(0, bisect(self._at_s, at_s) - 1)] for at_s in (due_s, begun_s))
        return done.late_s - (end - start)


def _withheld_s() -> float:
    """In all, since the process began."""
    return int(Path("/proc/self/schedstat").read_text().split()[1]) / 1e9


async def watch(specs: Sequence[PLCSpec]) -> tuple[float, Counter[int]]:
    """The 99th percentile of how late the rounds of those that live began, and how many each had."""
    withheld = Withheld()
    async with polling(specs) as at_work:
        watching = asyncio.create_task(withheld.watch())
        await asyncio.sleep(FOR_S)
        watching.cancel()
        rounds = [done for done in at_work.rounds if done.plc.id <= LIVING]
        found = [partial(at_work.pool.health, spec.id) for spec in specs[LIVING:]]
        assert await settle(lambda: all(health().state is HealthState.OFFLINE for health in found), FOR_S)
    late = sorted(withheld.own_s(done) for done in rounds)
    return late[int(len(late) * 0.99)], Counter(done.plc.id for done in rounds)


async def watch_what_is_due_to_the_dead(specs: Sequence[PLCSpec]) -> tuple[float, Counter[int]]:
    """The same; where it is late, without what the living are late by themselves on this computer now."""
    late_s, rounds = await watch(specs)
    if late_s >= LATE_S:
        alone_s, _ = await watch(specs[:LIVING])
        late_s -= alone_s
    return late_s, rounds


class TestTwoHundredPLCs:
    async def test_of_which_sixty_are_dead_keep_the_interval_of_all_others(self):
        async with AsyncExitStack() as stack:
            living, silent, unreachable, refusing = [await stack.enter_async_context(FaultServer()) for _ in range(4)]
            silent.misbehave(faults.swallow, times=None)
            unreachable.drop_connects()
            await refusing.refuse_connects()
            specs, before = [], open_descriptors()
            for plc, count in ((living, LIVING), (silent, SILENT), (unreachable, UNREACHABLE), (refusing, REFUSING)):
                specs += registry_of(plc, len(specs) + 1, count)
            for _ in range(TRIES):
                p99_s, rounds = await watch_what_is_due_to_the_dead(specs)
                if p99_s < LATE_S:
                    break
            assert p99_s < LATE_S
            assert len(rounds) == LIVING
            assert min(rounds.values()) >= FOR_S / INTERVAL_S / 2, "one of them was left behind"
            assert await settle(lambda: living.open_connections == 0)
            assert await settle(lambda: open_descriptors() <= before)
