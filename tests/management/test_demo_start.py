"""The demo's start against the demo's machine: the registry and the simulator were made for each other."""

import asyncio

import pytest
from asgiref.sync import sync_to_async

from devices.control.callers import Caller
from devices.control.rights import EVERYTHING
from devices.control.submit import submit
from devices.management import demo_registry
from devices.management.demo_machines import DemoMachine, simulate
from devices.modbus.types import Table
from devices.models import PLC, State

PORT = 21041
SLOW = DemoMachine(name="press-1", title="Press 1", area="Hall A", port=PORT, answer_delay_s=0.03)
CALLER = Caller(name="user anna", source="127.0.0.1", rights=EVERYTHING)


def register() -> None:
    demo_registry.create()
    PLC.objects.filter(name="press-1").update(port=PORT)


@pytest.fixture
async def machine(transactional_db):
    await sync_to_async(register)()
    async with simulate(SLOW) as plc:
        yield plc


async def start(**parameters):
    return await submit("press-1", "start_batch", parameters, CALLER)


@pytest.mark.django_db(transaction=True)
class TestStart:
    async def test_gives_each_caller_a_batch_of_its_own(self, machine, gateway):
        runs = await asyncio.gather(*(start(batch_size=100 + n) for n in range(5)))
        assert [run.state for run in runs] == [State.SUCCEEDED] * 5
        assert sorted(run.result["batch_number"] for run in runs) == [1, 2, 3, 4, 5]
        assert machine.server.connections == 0

    async def test_leaves_the_handshake_as_it_found_it(self, machine, gateway):
        assert (await start()).result == {"batch_number": 1}
        assert machine.machine.memory.read(Table.COIL, 0, 1) == (0,)
        assert machine.machine.memory.read(Table.DISCRETE_INPUT, 0, 4) == (1, 1, 0, 0)
        assert machine.machine.memory.read(Table.HOLDING_REGISTER, 0, 2) == (15, 3)

    async def test_does_not_take_the_acknowledge_of_an_earlier_start_for_its_own(self, machine, gateway):
        machine.machine.memory.write(Table.COIL, 0, [1])
        await asyncio.sleep(0.1)
        run = await start(batch_size=99)
        assert (run.state, run.effect) == (State.REJECTED, "none")
        assert "earlier start" in run.detail

    async def test_is_rejected_with_a_fault_until_that_is_reset(self, machine, gateway):
        machine.machine.nok_share, machine.machine.cycle_s = 1.0, 0.02
        await start(nok_num=0)
        await asyncio.sleep(0.1)
        assert (await start()).state == State.REJECTED
        assert (await submit("press-1", "reset_fault", {}, CALLER)).state == State.SUCCEEDED
        await asyncio.sleep(0.05)
        assert (await start()).state == State.SUCCEEDED
