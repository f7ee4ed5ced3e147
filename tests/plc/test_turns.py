"""Turns and full PLCs, against a PLC that misbehaves over real TCP."""

import asyncio
from time import monotonic

import pytest

from devices.modbus.errors import LinkUnavailable
from devices.plc.errors import TurnNotGot
from devices.plc.specs import Priority
from tests.doubles import faults
from tests.doubles.clock import CLOCK_S
from tests.doubles.fault_server import FaultServer
from tests.doubles.leaks import settle
from tests.doubles.listener import Full
from tests.plc.machines import (
    ANSWER_S,
    CONNECT_S,
    START,
    hmi,
    hold,
    read,
    read_twice,
    registered,
    started,
)

FULL = pytest.mark.parametrize("when_full", list(Full), ids=str)


class TestTurns:
    async def test_come_one_after_another(self, plc, pool):
        plc.answer_delay_s = 0.002
        await asyncio.gather(*(read(pool, plc) for _ in range(30)))
        assert plc.peak_connections == 1
        assert plc.connects == 30

    async def test_come_in_the_order_of_asking(self, plc, pool):
        order: list[int] = []

        async def ask(number: int) -> None:
            async with pool.session(registered(plc)):
                order.append(number)

        await asyncio.gather(*(ask(number) for number in range(10)))
        assert order == list(range(10))

    async def test_of_commands_come_before_polling(self, plc, pool):
        release, order = asyncio.Event(), []
        holding = asyncio.create_task(hold(pool, plc, release))
        await started(holding, until=lambda: plc.open_connections == 1)

        async def ask(priority: Priority) -> None:
            async with pool.session(registered(plc), priority):
                order.append(priority)

        wishes = [Priority.POLL, Priority.COMMAND, Priority.POLL, Priority.PROBE, Priority.COMMAND]
        waiting = [asyncio.create_task(ask(priority)) for priority in wishes]
        await started(*waiting)
        release.set()
        await asyncio.gather(holding, *waiting)
        assert order == sorted(wishes)

    async def test_of_commands_never_overlap_however_many_connections_there_are(self, plc, pool):
        plc.answer_delay_s = 0.002
        await asyncio.gather(*(read(pool, plc, max_connections=5) for _ in range(20)))
        assert plc.peak_connections == 1

    async def test_that_are_not_got_are_told_within_the_limit(self, plc, pool):
        release = asyncio.Event()
        holding = asyncio.create_task(hold(pool, plc, release))
        await started(holding, until=lambda: plc.open_connections == 1)
        start = monotonic()
        with pytest.raises(TurnNotGot, match=r"busy with other commands for 0\.1 s"):
            await read(pool, plc, turn_timeout_s=0.1)
        assert 0.1 - CLOCK_S <= monotonic() - start < 2
        assert plc.connects == 1
        release.set()
        await holding

    async def test_that_were_not_got_do_not_spoil_the_queue(self, plc, pool):
        release = asyncio.Event()
        holding = asyncio.create_task(hold(pool, plc, release))
        await started(holding, until=lambda: plc.open_connections == 1)
        late = await asyncio.gather(*(read(pool, plc, turn_timeout_s=0.03) for _ in range(20)), return_exceptions=True)
        assert all(isinstance(error, TurnNotGot) for error in late)
        waiting = asyncio.create_task(read(pool, plc))
        await started(waiting)
        release.set()
        await asyncio.gather(holding, waiting)

    async def test_at_one_plc_are_no_matter_to_another(self, plc, pool):
        async with FaultServer() as stuck:
            stuck.misbehave(faults.mute, times=None)
            waiting = [asyncio.create_task(read(pool, stuck, id=2, response_timeout_s=5)) for _ in range(20)]
            await started(*waiting)
            start = monotonic()
            for _ in range(20):
                await read(pool, plc)
            assert monotonic() - start < 3
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)


class TestFullPLC:
    """What a PLC does with one connection too many is never seen, for it never comes."""

    @FULL
    async def test_serves_a_hundred_commands_at_once(self, plc, pool, when_full):
        plc.serves, plc.when_full = 1, when_full
        assert await asyncio.gather(*(read(pool, plc) for _ in range(100))) == [0] * 100
        assert plc.peak_connections == 1
        assert plc.turned_away == 0
        assert plc.open_connections == 0

    @FULL
    async def test_serves_a_hundred_readers_at_once_over_five_connections(self, plc, pool, when_full):
        plc.serves, plc.when_full, plc.answer_delay_s = 5, when_full, 0.002
        reads = (read(pool, plc, Priority.POLL, max_connections=5) for _ in range(100))
        assert await asyncio.gather(*reads) == [0] * 100
        assert plc.peak_connections == 5
        assert plc.turned_away == 0

    @FULL
    async def test_serves_a_hundred_over_kept_connections(self, plc, pool, when_full):
        plc.serves, plc.when_full, plc.answer_delay_s = 5, when_full, 0.002
        reads = (read(pool, plc, Priority.POLL, max_connections=5, keep_open_s=0.1) for _ in range(100))
        assert await asyncio.gather(*reads) == [0] * 100
        assert plc.connects == plc.peak_connections == 5
        assert await settle(lambda: plc.open_connections == 0, 0.5)

    async def test_that_could_serve_more_is_not_asked_to(self, plc, pool):
        plc.answer_delay_s = 0.002
        await asyncio.gather(*(read(pool, plc, Priority.POLL, max_connections=3) for _ in range(100)))
        assert plc.peak_connections == 3

    @pytest.mark.parametrize("when_full", [Full.QUEUE, Full.DROP, Full.RESET], ids=str)
    async def test_that_an_hmi_holds_is_told_as_unavailable_and_nothing_is_written(self, plc, pool, when_full):
        plc.serves, plc.when_full = 1, when_full
        async with hmi(plc):
            start = monotonic()
            with pytest.raises(LinkUnavailable):
                async with pool.session(registered(plc)) as session:
                    await session.write(START, True)
            assert monotonic() - start < 3 * (CONNECT_S + ANSWER_S)
        await asyncio.sleep(0.02)
        assert plc.writes == []

    @FULL
    async def test_takes_the_next_right_after_one_was_cut_off(self, plc, pool, when_full):
        """A doubtful connection is closed without ceremony; the next one must not come one too many.

        Where its SYN falls all the same, since the PLC has not seen the goodbye yet, the kernel repeats it after 1 s.
        """
        plc.serves, plc.when_full = 1, when_full
        for _ in range(2 if when_full is Full.DROP else 10):
            plc.misbehave(faults.swallow, skip=1)
            swallowed = len(plc.requests) + 2
            reading = asyncio.create_task(read_twice(pool, plc, connect_timeout_s=3))
            assert await settle(lambda: len(plc.requests) == swallowed)  # noqa: B023 - awaited here
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
            assert await read(pool, plc, connect_timeout_s=3) == 0
        assert plc.turned_away == 0
