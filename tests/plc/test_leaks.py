"""Many sessions under many faults, and then nothing is left: no connection, no task, no descriptor, no lock."""

import asyncio
import gc
import random

import pytest

from devices.modbus.errors import ModbusError
from devices.plc.pool import Pool
from devices.plc.specs import Priority
from tests.doubles import faults
from tests.doubles.fault_server import FaultServer
from tests.doubles.leaks import open_descriptors, settle
from tests.doubles.listener import Full
from tests.plc.machines import BATCH_SIZE, START, registered

WAYS = [
    faults.swallow,
    faults.mute,
    faults.late(0.06),
    faults.slow(0.06),
    faults.trickle(0.002),
    faults.hang_up_before,
    faults.hang_up_after,
    faults.hang_up_amid,
    faults.answer_and_hang_up,
    faults.reset_before,
    faults.reset_after,
    faults.half_an_answer,
    faults.transaction(0),
    faults.unit(9),
    faults.protocol(1),
    faults.neighbouring_function,
    faults.echo(value=1),
    faults.length(3),
    faults.garbage(b"\xaa" * 50),
    faults.flood(400_000),
    faults.twice,
    faults.exception(6),
]


async def use(pool: Pool, plc: FaultServer, priority: Priority, **changes: object) -> None:
    async with pool.session(registered(plc, **changes), priority) as session:
        await session.read(BATCH_SIZE)
        await session.write(START, True)


class TestSoak:
    @pytest.mark.parametrize("when_full", list(Full), ids=str)
    @pytest.mark.parametrize("keep_open_s", [0, 0.02])
    async def test_of_faults_and_vanishing_callers_leaves_nothing(self, plc, when_full, keep_open_s):
        chance = random.Random(7)
        pool = Pool(probe_first_s=0.01, probe_longest_s=0.01)
        plc.serves, plc.when_full = 5, when_full
        callers = [
            asyncio.create_task(
                use(
                    pool,
                    plc,
                    chance.choice([Priority.COMMAND, Priority.POLL, Priority.POLL]),
                    max_connections=5,
                    response_timeout_s=0.03,
                    connect_timeout_s=0.05,
                    keep_open_s=keep_open_s,
                )
            )
            for _ in range(150)
        ]
        for caller in callers:
            plc.misbehave(chance.choice(WAYS), skip=chance.randrange(4))
            if chance.random() < 0.3:
                asyncio.get_running_loop().call_later(chance.random() / 2, caller.cancel)
        results = await asyncio.wait_for(asyncio.gather(*callers, return_exceptions=True), 20)
        assert all(result is None or isinstance(result, ModbusError | asyncio.CancelledError) for result in results)
        await pool.close()

    async def test_of_a_thousand_sessions_leaves_nothing(self, plc, pool):
        before = open_descriptors()
        for _ in range(1000):
            await use(pool, plc, Priority.COMMAND)
        assert plc.connects == 1000
        assert plc.peak_connections == 1
        assert await settle(lambda: open_descriptors() == before, 0.1)

    async def test_of_closing_amid_everything_leaves_nothing(self, plc):
        for step in range(20):
            pool = Pool()
            plc.misbehave(faults.mute, skip=step)
            callers = [
                asyncio.create_task(use(pool, plc, Priority.POLL, max_connections=5, response_timeout_s=0.03))
                for _ in range(10)
            ]
            await asyncio.sleep(step * 0.0005)
            await pool.close()
            await asyncio.wait_for(asyncio.gather(*callers, return_exceptions=True), 5)
            plc.behave()

    async def test_leaves_no_link_to_the_garbage_collector(self, plc, pool):
        for fault in WAYS:
            plc.next(fault)
            await asyncio.gather(use(pool, plc, Priority.COMMAND, response_timeout_s=0.03), return_exceptions=True)
            plc.behave()
        gc.collect()  # a link that was not closed warns here, and warnings are errors
