"""Sessions and the closing of everything, against a PLC that misbehaves over real TCP."""

import asyncio
from time import monotonic

import pytest

from devices.modbus.errors import LinkUnavailable, Unconfirmed
from devices.modbus.types import Table
from devices.plc.errors import PoolClosed, TurnNotGot
from tests.doubles import faults
from tests.doubles.fault_server import Full
from tests.doubles.leaks import open_descriptors, settle
from tests.plc.machines import (
    BATCH_SIZE,
    START,
    hold,
    read,
    registered,
    started,
)


class TestSession:
    async def test_holds_a_connection_for_its_block_only(self, plc, pool):
        async with pool.session(registered(plc)) as session:
            await session.read(BATCH_SIZE)
            assert plc.open_connections == 1
        assert plc.open_connections == 0

    async def test_closes_when_the_block_raises(self, plc, pool):
        async def stumble() -> None:
            async with pool.session(registered(plc)) as session:
                await session.read(BATCH_SIZE)
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await stumble()
        assert plc.open_connections == 0

    async def test_closes_when_a_limit_around_it_ends_it(self, plc, pool):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(hold(pool, plc, asyncio.Event()), 0.05)
        assert plc.connects == 1
        assert await settle(lambda: plc.open_connections == 0, 0.1)

    async def test_is_not_entered_where_the_plc_refuses(self, plc, pool):
        await plc.refuse_connects()
        with pytest.raises(LinkUnavailable, match="refused"):
            async with pool.session(registered(plc)):
                pytest.fail("the block was entered")

    async def test_gives_its_turn_back_where_the_plc_refuses(self, plc, pool):
        await plc.refuse_connects()
        with pytest.raises(LinkUnavailable):
            await read(pool, plc)
        plc.behave()
        assert await read(pool, plc, turn_timeout_s=0.1) == 0

    async def test_leaves_the_wait_for_the_plc_s_goodbye_to_the_end_of_the_turn(self, plc, pool):
        """What the machine did is stored meanwhile; the next turn finds a slot free all the same."""
        plc.serves = 0  # it will not close its side
        before = open_descriptors()
        async with pool.turn(registered(plc)) as turn:
            async with turn.session():
                pass
            assert open_descriptors() == before + 2  # ours, and the double's own
        assert open_descriptors() <= before + 1
        plc.serves = None

    async def test_waits_for_it_before_it_connects_again_within_the_turn(self, plc, pool):
        plc.serves, plc.when_full = 1, Full.RESET
        async with pool.turn(registered(plc)) as turn:
            for _ in range(20):
                async with turn.session() as session:
                    await session.read(BATCH_SIZE)
        assert plc.turned_away == 0

    async def test_after_session_within_one_turn_keeps_the_others_out(self, plc, pool):
        async with pool.turn(registered(plc)) as turn:
            async with turn.session() as session:
                await session.read(BATCH_SIZE)
            with pytest.raises(TurnNotGot):
                await read(pool, plc, turn_timeout_s=0.05)
            async with turn.session() as session:
                await session.read(BATCH_SIZE)
        assert plc.connects == 2


class TestClosing:
    async def test_wakes_everybody_who_waits(self, plc, pool):
        release = asyncio.Event()
        holding = asyncio.create_task(hold(pool, plc, release))
        await started(holding, until=lambda: plc.open_connections == 1)
        waiting = [asyncio.create_task(read(pool, plc)) for _ in range(10)]
        await started(*waiting)
        start = monotonic()
        await pool.close()
        results = await asyncio.gather(*waiting, return_exceptions=True)
        assert all(isinstance(result, PoolClosed) for result in results)
        assert monotonic() - start < 2
        release.set()
        await holding

    async def test_lets_a_session_under_way_finish(self, plc, pool):
        async with pool.session(registered(plc, keep_open_s=5)) as session:
            await session.write(START, True)
            await pool.close()
            await session.write(START, False)
        assert plc.writes_to((Table.COIL, 0)) == [1, 0]
        assert plc.open_connections == 0

    async def test_lets_a_turn_under_way_connect_once_more_for_its_cleanup(self, plc, pool):
        async with pool.turn(registered(plc)) as turn:
            await pool.close()
            async with turn.session() as session:
                await session.write(START, False)
        assert plc.open_connections == 0

    async def test_closes_what_is_kept(self, plc, pool):
        await read(pool, plc, keep_open_s=30)
        await pool.close()
        assert await settle(lambda: plc.open_connections == 0, 0.1)

    async def test_refuses_new_callers(self, plc, pool):
        await pool.close()
        with pytest.raises(PoolClosed):
            await read(pool, plc)
        assert plc.connects == 0

    async def test_twice_does_no_harm(self, plc, pool):
        await read(pool, plc)
        await pool.close()
        await pool.close()

    async def test_ends_the_look_out_for_an_offline_plc(self, plc, pool):
        await plc.refuse_connects()
        for _ in range(3):
            with pytest.raises(LinkUnavailable):
                await read(pool, plc)
        await pool.close()
        plc.behave()
        await asyncio.sleep(0.15)
        assert plc.connects == 0

    async def test_amid_an_exchange_leaves_its_outcome_to_the_caller(self, plc, pool):
        plc.misbehave(faults.mute, at=(Table.COIL, 0))

        async def write() -> None:
            async with pool.session(registered(plc)) as session:
                await session.write(START, True)

        writing = asyncio.create_task(write())
        await started(writing, until=lambda: len(plc.writes) == 1)
        await pool.close()
        with pytest.raises(Unconfirmed):
            await writing
