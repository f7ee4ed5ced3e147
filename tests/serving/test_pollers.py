"""Several `manage.py poll` on one database and one Redis: the machines see who polls them, whatever happens to whom."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
from channels.db import database_sync_to_async

from devices.models import Sample, Tag
from tests.control import rows
from tests.doubles.leaks import settle
from tests.doubles.redis import NEEDS_REDIS, REDIS_URL
from tests.doubles.visited_plc import VisitedPLC
from tests.serving.poller import RunningPoller, running_poller

pytestmark = [NEEDS_REDIS, pytest.mark.django_db(transaction=True)]

PLCS = 24
SHARE = 3  # that one of two gets fewer of so many by chance happens once in ten thousand times
LIMIT_S = 20.0
START_S = 60.0
SIZE = 0  # holding register


class Plant:
    """Machines, and the pollers that may come to them."""

    def __init__(self, stack: AsyncExitStack, machines: list[VisitedPLC], data_dir: Any) -> None:
        self.machines = machines
        self.environment: dict[str, str] = {}
        self._stack, self._data_dir = stack, data_dir
        self._pids: list[int] = []
        for machine in machines:
            machine.pids = self._pids

    async def begin(self) -> RunningPoller:
        """One more poller; it has said that it is ready."""
        poller = await self._stack.enter_async_context(running_poller(self._data_dir, self.environment))
        self._pids.append(poller.process.pid)
        return poller

    async def begin_all(self, count: int) -> list[RunningPoller]:
        """So many pollers, side by side."""
        return await asyncio.gather(*(self.begin() for _ in range(count)))

    async def is_shared_by(self, *pollers: RunningPoller, limit_s: float = LIMIT_S) -> bool:
        """Whether it comes to be that each PLC is polled by one of these and by no other, and stays so."""
        pids = {poller.process.pid for poller in pollers}
        end_s = asyncio.get_running_loop().time() + limit_s
        while await settle(lambda: self._last_visitors() == pids, end_s - asyncio.get_running_loop().time()):
            seen = [(len(machine.visits), machine.visits[-1]) for machine in self.machines]
            if await self._goes_on_so(seen):
                return True
        return False

    async def _goes_on_so(self, seen: list[tuple[int, int]]) -> bool:
        def visits() -> list[set[int]]:
            return [set(machine.visits[n:]) for machine, (n, _) in zip(self.machines, seen, strict=True)]

        await settle(
            lambda: all(len(machine.visits) >= n + 3 for machine, (n, _) in zip(self.machines, seen, strict=True)),
            LIMIT_S,
        )
        return visits() == [{pid} for _, pid in seen]

    def _last_visitors(self) -> set[int]:
        """Empty where one PLC had two of late."""
        last = [set(machine.visits[-3:]) for machine in self.machines]
        return set().union(*last) if all(len(who) == 1 for who in last) else set()

    def share_of(self, poller: RunningPoller) -> int:
        """How many PLCs it polled last."""
        return sum(machine.visits[-1] == poller.process.pid for machine in self.machines)

    @property
    def is_each_visited_by_one_at_a_time(self) -> bool:
        return all(machine.peak_connections == 1 for machine in self.machines)


@pytest.fixture
async def machines() -> AsyncIterator[list[VisitedPLC]]:
    """They serve as many as come, so that two at once would be seen."""
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(VisitedPLC()) for _ in range(PLCS)]


@pytest.fixture
def registry(transactional_db: None, machines: list[VisitedPLC]) -> None:
    """Each machine's size is read each second and kept in history."""
    profile = rows.make_profile()
    Tag.objects.filter(profile=profile).update(poll_interval_ms=0)
    Tag.objects.filter(profile=profile, name="batch_size").update(poll_interval_ms=1000, is_recorded=True)
    for i, machine in enumerate(machines):
        rows.make_plc(profile, f"press-{i + 1}", port=machine.port, response_timeout_s=5.0, connect_timeout_s=5.0)


@pytest.fixture
def environment(environment: dict[str, str]) -> dict[str, str]:
    """As of every child on this test's database, and always with Redis."""
    return {**environment, "REDIS_URL": REDIS_URL}


@pytest.fixture
async def plant(machines: list[VisitedPLC], environment: dict[str, str], tmp_path) -> AsyncIterator[Plant]:
    async with AsyncExitStack() as stack:
        plant = Plant(stack, machines, tmp_path)
        plant.environment = environment
        yield plant


async def states(mes) -> set[str]:
    return {plc["state"] for plc in (await mes.get("/api/plcs")).json()["plcs"]}


@database_sync_to_async
def ends_in_history() -> int:
    return Sample.objects.filter(number=None).count()


class TestPollers:
    async def test_share_the_plcs_and_give_one_that_comes_its_part(self, plant):
        one = await plant.begin()
        assert await plant.is_shared_by(one, limit_s=START_S)
        other = await plant.begin()
        assert await plant.is_shared_by(one, other)
        assert min(plant.share_of(one), plant.share_of(other)) >= SHARE
        third = await plant.begin()
        assert await plant.is_shared_by(one, other, third)
        assert plant.is_each_visited_by_one_at_a_time
        # No PLC went to and fro, and none to anybody but who came.
        assert all(len(machine.visitors()) <= 3 for machine in plant.machines)
        assert f"Polling {plant.share_of(third)} of {PLCS} PLCs; pollers at work: 3" in third.output()

    async def test_replace_one_that_is_killed_within_seconds(self, plant):
        killed, one, other = await plant.begin_all(3)
        assert await plant.is_shared_by(killed, one, other, limit_s=START_S)
        begun = [len(machine.visits) for machine in plant.machines]
        lost = [machine.visits[-1] == killed.process.pid for machine in plant.machines]
        killed.process.kill()
        assert await plant.is_shared_by(one, other)
        assert plant.is_each_visited_by_one_at_a_time
        kept = [machine for machine, is_lost in zip(plant.machines, lost, strict=True) if not is_lost]
        after = [set(machine.visits[n:]) for machine, n in zip(plant.machines, begun, strict=True)]
        assert [len(who) for who, is_lost in zip(after, lost, strict=True) if not is_lost] == [1] * len(kept)

    async def test_take_over_at_once_from_one_that_ends_in_good_order(self, plant):
        ending, other = await plant.begin_all(2)
        assert await plant.is_shared_by(ending, other, limit_s=START_S)
        assert await ending.end() == 0
        assert await plant.is_shared_by(other)
        assert plant.is_each_visited_by_one_at_a_time
        assert await ends_in_history() == 0, "nothing has ended but that poller"
        assert await other.end() == 0
        assert await ends_in_history() == PLCS
        assert "Traceback" not in ending.output() + other.output()

    async def test_go_on_without_one_that_stands_still_which_then_takes_nothing_unasked(self, plant):
        frozen, other = await plant.begin_all(2)
        assert await plant.is_shared_by(frozen, other, limit_s=START_S)
        frozen.process.send_signal(signal.SIGSTOP)
        assert await plant.is_shared_by(other)
        begun = [len(machine.visits) for machine in plant.machines]
        frozen.process.send_signal(signal.SIGCONT)
        assert await plant.is_shared_by(frozen, other)
        # It never came to a PLC that the other one had not left for good.
        back, stayed = frozen.process.pid, other.process.pid
        for machine, n in zip(plant.machines, begun, strict=True):
            assert machine.visitors(n) in ([stayed], [stayed, back], [back])
        assert "this process polls no PLC for now" in frozen.output()


class TestAServerBesideThem:
    async def test_shows_what_all_of_them_read_and_not_who_reads_it(self, plant, server, mes):
        ending, killed, other = await plant.begin_all(3)
        assert await plant.is_shared_by(ending, killed, other, limit_s=START_S)
        for i, machine in enumerate(plant.machines):
            machine.holding_registers[SIZE] = 100 + i
        assert await self.comes_to_show(mes, range(100, 100 + PLCS))
        assert await self.has_states(mes, {"online"})
        before = (await mes.get("/api/plcs")).json()["plcs"]
        ending.process.terminate()
        seen = await self.states_until_shared_by(plant, mes, killed, other)
        assert seen == {"online"}
        assert (await mes.get("/api/plcs")).json()["plcs"] == before, "online since when they were"
        killed.process.kill()
        # Where this computer has other things to do, nobody may have come for some seconds.
        assert await self.states_until_shared_by(plant, mes, other) <= {"online", "unknown"}
        assert await self.comes_to_show(mes, range(100, 100 + PLCS))
        assert await self.has_states(mes, {"online"})

    async def states_until_shared_by(self, plant, mes, *pollers: RunningPoller) -> set[str]:
        seen, shared = set(), asyncio.create_task(plant.is_shared_by(*pollers))
        while not shared.done():
            seen |= await states(mes)
            await asyncio.sleep(0.5)
        assert await shared
        return seen

    async def has_states(self, mes, wanted: set[str]) -> bool:
        for _ in range(100):
            if await states(mes) == wanted:
                return True
            await asyncio.sleep(0.2)
        return False

    async def comes_to_show(self, mes, wanted: range) -> bool:
        """Each machine's size, as good; at different moments, where this computer has other things to do."""
        left = dict(enumerate(wanted))
        for _ in range(100):
            for i, size in tuple(left.items()):
                tag = (await mes.get(f"/api/plcs/press-{i + 1}/tags/batch_size")).json()
                if (tag["value"], tag["quality"]) == (size, "good"):
                    del left[i]
            if not left:
                return True
            await asyncio.sleep(0.2)
        return False
