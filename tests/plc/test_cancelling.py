"""Callers that go away, against a PLC that misbehaves over real TCP."""

import asyncio

import pytest

from devices.modbus.types import Table
from tests.doubles import faults
from tests.doubles.leaks import settle
from tests.plc.machines import (
    BATCH_SIZE,
    START,
    hold,
    read,
    registered,
    started,
)


class TestCancelling:
    """A caller that goes away frees the turn and closes the socket, wherever it was."""

    async def test_while_waiting_for_the_turn(self, plc, pool):
        release = asyncio.Event()
        holding = asyncio.create_task(hold(pool, plc, release))
        await started(holding, until=lambda: plc.open_connections == 1)
        waiting = [asyncio.create_task(read(pool, plc)) for _ in range(20)]
        await started(*waiting)
        for task in waiting[::2]:
            task.cancel()
        release.set()
        results = await asyncio.gather(*waiting, return_exceptions=True)
        assert all(isinstance(result, asyncio.CancelledError) for result in results[::2])
        assert results[1::2] == [0] * 10
        await holding

    async def test_in_the_moment_in_which_the_turn_comes(self, plc, pool):
        release = asyncio.Event()
        holding = asyncio.create_task(hold(pool, plc, release))
        await started(holding, until=lambda: plc.open_connections == 1)
        first, second = asyncio.create_task(read(pool, plc)), asyncio.create_task(read(pool, plc))
        await started(first, second)
        holding.add_done_callback(lambda _: first.cancel())
        release.set()
        results = await asyncio.gather(holding, first, second, return_exceptions=True)
        assert results[2] == 0

    async def test_while_connecting(self, plc, pool):
        plc.drop_connects()
        connecting = asyncio.create_task(read(pool, plc, connect_timeout_s=30))
        await started(connecting)
        connecting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await connecting
        plc.behave()
        assert await read(pool, plc, turn_timeout_s=0.1) == 0

    async def test_in_the_pause_after_connecting(self, plc, pool):
        connecting = asyncio.create_task(read(pool, plc, pause_after_connect_s=30))
        await started(connecting, until=lambda: plc.open_connections == 1)
        connecting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await connecting
        assert await settle(lambda: plc.open_connections == 0, 0.1)
        assert await read(pool, plc, turn_timeout_s=0.1) == 0

    async def test_while_talking(self, plc, pool):
        plc.next(faults.mute)
        talking = asyncio.create_task(read(pool, plc, response_timeout_s=30))
        await started(talking, until=lambda: len(plc.requests) == 1)
        talking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await talking
        assert await settle(lambda: plc.open_connections == 0, 0.1)
        assert await read(pool, plc, turn_timeout_s=0.1) == 0

    async def test_while_saying_goodbye(self, plc, pool):
        async def say_goodbye() -> None:
            async with pool.session(registered(plc)) as session:
                await session.read(BATCH_SIZE)
                parting.set()

        parting = asyncio.Event()
        going = asyncio.create_task(say_goodbye())
        await parting.wait()
        going.cancel()
        await asyncio.gather(going, return_exceptions=True)
        assert await settle(lambda: plc.open_connections == 0, 0.1)
        assert await read(pool, plc, turn_timeout_s=0.1) == 0

    @pytest.mark.parametrize("keep_open_s", [0, 0.05])
    @pytest.mark.parametrize("turns", range(0, 60, 2))
    async def test_at_any_turn_of_the_loop(self, plc, pool, turns, keep_open_s):
        async def use() -> None:
            async with pool.session(registered(plc, keep_open_s=keep_open_s)) as session:
                await session.write(START, True)
            await asyncio.sleep(30)

        using = asyncio.create_task(use())
        for _ in range(turns):
            await asyncio.sleep(0)
        using.cancel()
        async with asyncio.timeout(1):
            with pytest.raises(asyncio.CancelledError):
                await using
        assert len(plc.writes_to((Table.COIL, 0))) <= 1
        assert await read(pool, plc, turn_timeout_s=0.1) == 0
