"""An exchange that must not wait for the turn, between two exchanges of whoever holds it."""

import asyncio
from typing import Any

import pytest

from devices.modbus.errors import LinkUnavailable, ModbusError, Unconfirmed
from devices.plc.errors import PLCOffline, SessionClosed, TurnNotGot
from devices.plc.health import HealthState
from devices.plc.pool import Pool
from devices.plc.specs import Priority
from tests.doubles import faults
from tests.doubles.fault_server import FaultServer
from tests.doubles.leaks import settle
from tests.plc.machines import BATCH_SIZE, NOK_NUM, UNMAPPED, hold, read, registered, started

KEPT = {"keep_open_s": 5}


async def write_aside(pool: Pool, plc: FaultServer, value: int = 7, timeout_s: float = 0.5, **changes: Any) -> None:
    async with pool.aside(registered(plc, **KEPT | changes), timeout_s=timeout_s) as session:
        await session.write(NOK_NUM, value)


class TestAnExchangeAside:
    async def test_goes_over_the_connection_of_whoever_holds_the_turn(self, plc, pool):
        release = asyncio.Event()
        holding = asyncio.create_task(hold(pool, plc, release, **KEPT))
        await started(holding, until=lambda: plc.requests)
        await write_aside(pool, plc)
        assert not holding.done()
        release.set()
        await holding
        assert plc.writes_to(11) == [7]
        assert plc.connects == 1

    async def test_waits_for_the_exchange_under_way_and_the_next_one_waits_for_it(self, plc, pool):
        plc.answer_delay_s = 0.01

        async def read_often() -> None:
            async with pool.session(registered(plc, **KEPT)) as session:
                for _ in range(10):
                    await session.read(BATCH_SIZE)

        await asyncio.gather(read_often(), *(write_aside(pool, plc, value) for value in range(10)))
        assert [way for way, _ in plc.wire] == ["came", "went"] * (len(plc.wire) // 2)
        assert sorted(plc.writes_to(11)) == list(range(10))
        assert plc.connects == 1

    async def test_is_not_heard_by_whoever_holds_the_turn(self, plc, pool):
        heard: list[tuple[bool, bytes]] = []
        async with pool.turn(registered(plc, **KEPT)) as turn, turn.session(lambda *frame: heard.append(frame)) as own:
            await own.read(BATCH_SIZE)
            await write_aside(pool, plc)
            await own.read(BATCH_SIZE)
        assert [raw[7] for _, raw in heard] == [3, 3, 3, 3]

    async def test_is_not_heard_by_who_takes_the_kept_connection_meanwhile(self, plc, pool):
        await read(pool, plc, **KEPT)
        plc.next(faults.late(0.05))
        aside = asyncio.create_task(write_aside(pool, plc))
        await started(aside, until=lambda: plc.writes)
        heard: list[bytes] = []
        async with pool.turn(registered(plc, **KEPT)) as turn, turn.session(lambda _, raw: heard.append(raw)) as own:
            await own.read(BATCH_SIZE)
        assert [raw[7] for raw in heard] == [3, 3]
        await aside

    async def test_over_a_fresh_connection_is_proven_first(self, plc, pool):
        async with pool.session(registered(plc, **KEPT)):
            await write_aside(pool, plc)
        assert [request.function for request in plc.requests] == [3, 6]

    async def test_takes_a_turn_where_nothing_is_open_and_leaves_its_connection_kept(self, plc, pool):
        for value in (1, 2, 3):
            await write_aside(pool, plc, value)
        assert plc.connects == plc.open_connections == 1
        assert [request.function for request in plc.requests] == [3, 6, 6, 6]

    async def test_keeps_a_kept_connection_from_expiring(self, plc, pool):
        for value in range(10):
            await write_aside(pool, plc, value, keep_open_s=1.0)
            await asyncio.sleep(0.15)
        assert plc.connects == 1
        assert await settle(lambda: plc.open_connections == 0)

    async def test_stays_with_one_of_several_connections(self, plc, pool):
        several = {"max_connections": 3, "keep_open_s": 1.0}
        await write_aside(pool, plc, **several)
        plc.answer_delay_s = 0.01
        await asyncio.gather(*(read(pool, plc, Priority.POLL, **several) for _ in range(6)))
        assert plc.open_connections == 3
        for value in range(10):
            await write_aside(pool, plc, value, **several)
            await asyncio.sleep(0.15)
        assert plc.open_connections == 1

    async def test_gives_up_after_its_time_where_somebody_connects_for_long(self, plc, pool):
        async with pool.turn(registered(plc)):
            with pytest.raises(TurnNotGot):
                await write_aside(pool, plc, timeout_s=0.05)
        assert plc.requests == []

    async def test_that_is_refused_spoils_nothing(self, plc, pool):
        async with pool.session(registered(plc, **KEPT)) as own:
            await own.read(BATCH_SIZE)
            with pytest.raises(ModbusError):
                async with pool.aside(registered(plc, **KEPT), timeout_s=0.5) as session:
                    await session.read(UNMAPPED)
            assert own.is_usable
            await own.read(BATCH_SIZE)

    async def test_that_is_in_doubt_closes_the_connection_for_all(self, plc, pool):
        async with pool.session(registered(plc, **KEPT)) as own:
            await own.read(BATCH_SIZE)
            plc.next(faults.mute)
            with pytest.raises(Unconfirmed):
                await write_aside(pool, plc)
            assert not own.is_usable
            with pytest.raises(LinkUnavailable):
                await own.read(BATCH_SIZE)

    async def test_ends_with_its_block(self, plc, pool):
        await read(pool, plc, **KEPT)
        async with pool.aside(registered(plc, **KEPT), timeout_s=0.5) as session:
            pass
        with pytest.raises(SessionClosed):
            await session.read(BATCH_SIZE)

    async def test_is_not_tried_while_the_plc_is_offline(self, plc, pool):
        await plc.refuse_connects()
        for _ in range(3):
            with pytest.raises(LinkUnavailable):
                await write_aside(pool, plc)
        assert pool.health(1).state is HealthState.OFFLINE
        with pytest.raises(PLCOffline):
            await write_aside(pool, plc)

    async def test_ends_at_once_when_the_connection_is_closed_under_it(self, plc, pool):
        await read(pool, plc, response_timeout_s=5, **KEPT)
        plc.next(faults.swallow)
        aside = asyncio.create_task(write_aside(pool, plc, response_timeout_s=5))
        await started(aside, until=lambda: len(plc.requests) == 2)
        await pool.close()
        async with asyncio.timeout(1):
            with pytest.raises(Unconfirmed):
                await aside
