"""Connections that are kept for the next caller, against a PLC that misbehaves over real TCP."""

import asyncio

import pytest

from devices.modbus.errors import DeviceException, ModbusError
from devices.plc.specs import Priority
from tests.doubles import faults
from tests.doubles.fault_server import FaultServer
from tests.doubles.leaks import settle
from tests.doubles.listener import Full
from tests.plc.machines import (
    START,
    UNMAPPED,
    read,
    read_twice,
    registered,
)


class TestKeptConnection:
    async def test_is_not_kept_unasked(self, plc, pool):
        await read(pool, plc)
        assert plc.open_connections == 0

    async def test_serves_the_next_caller(self, plc, pool):
        for _ in range(5):
            await read(pool, plc, keep_open_s=5)
        assert plc.connects == 1
        assert plc.open_connections == 1

    async def test_needs_no_second_proof(self, plc, pool):
        for value in (True, False):
            async with pool.session(registered(plc, keep_open_s=5)) as session:
                await session.write(START, value)
        assert [request.function for request in plc.requests] == [3, 5, 5]

    async def test_is_closed_after_its_time(self, plc, pool):
        await read(pool, plc, keep_open_s=0.1)
        await asyncio.sleep(0.05)
        assert plc.open_connections == 1
        assert await settle(lambda: plc.open_connections == 0, 0.2)

    async def test_is_not_kept_when_nothing_was_answered_over_it(self, plc, pool):
        async with pool.session(registered(plc, keep_open_s=5)):
            pass
        assert plc.open_connections == 0

    async def test_is_kept_after_an_exception_of_the_plc(self, plc, pool):
        with pytest.raises(DeviceException):
            async with pool.session(registered(plc, keep_open_s=5)) as session:
                await session.read(UNMAPPED)
        await read(pool, plc, keep_open_s=5)
        assert plc.connects == 1

    @pytest.mark.parametrize(
        "fault",
        [faults.mute, faults.transaction(0), faults.values(2), faults.half_an_answer, faults.garbage(b"?" * 20)],
        ids=lambda fault: fault.__qualname__.partition(".")[0],
    )
    async def test_is_not_kept_when_its_last_exchange_is_in_doubt(self, plc, pool, fault):
        plc.misbehave(fault, skip=1)
        with pytest.raises(ModbusError):
            await read_twice(pool, plc, keep_open_s=5)
        assert await settle(lambda: plc.open_connections == 0, 0.1)
        assert await read(pool, plc) == 0
        assert plc.connects == 2

    async def test_is_not_kept_when_its_exchange_was_cancelled(self, plc, pool):
        plc.holding_registers[10] = 15
        plc.next(faults.late(0.1))
        reading = asyncio.create_task(read(pool, plc, keep_open_s=5))
        await asyncio.sleep(0.03)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        # The late answer of the last one comes while the next one waits for its own.
        plc.next(faults.late(0.1))
        assert await read(pool, plc, keep_open_s=5) == 15
        assert plc.connects == 2

    async def test_that_the_plc_closed_is_replaced_unnoticed(self, plc, pool):
        await read(pool, plc, keep_open_s=5)
        plc.hang_up()
        await settle(lambda: plc.open_connections == 0)
        assert await read(pool, plc, keep_open_s=5) == 0
        assert plc.connects == 2

    async def test_is_closed_when_the_plc_moves_to_another_address(self, plc, pool):
        await read(pool, plc, keep_open_s=5)
        async with FaultServer() as elsewhere:
            await read(pool, elsewhere)
            assert await settle(lambda: plc.open_connections == 0, 0.1)

    @pytest.mark.parametrize("change", [{"keep_open_s": 0}, {"max_connections": 1}, {"is_enabled": False}, None])
    async def test_is_closed_when_the_plc_is_changed_disabled_or_deleted(self, plc, pool, change):
        before = {"keep_open_s": 5, "max_connections": 2}
        await read(pool, plc, **before)
        pool.refresh({} if change is None else {1: registered(plc, **before | change)})
        assert await settle(lambda: plc.open_connections == 0, 0.1)

    async def test_counts_as_one_of_the_plcs_connections(self, plc, pool):
        plc.serves, plc.when_full, plc.answer_delay_s = 3, Full.RESET, 0.002
        for callers in (20, 1, 2, 20):
            reads = (read(pool, plc, Priority.POLL, max_connections=3, keep_open_s=5) for _ in range(callers))
            await asyncio.gather(*reads)
        assert plc.turned_away == 0
        assert plc.peak_connections == 3
