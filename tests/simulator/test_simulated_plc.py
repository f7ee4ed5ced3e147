"""The machine over real TCP, as its clients meet it."""

import asyncio

import pytest
from pymodbus.client import AsyncModbusTcpClient

from devices.simulator.batch_machine import BatchMachine
from devices.simulator.simulated_plc import SimulatedPLC

from .mbap_client import MbapClient

PORT = 21011


@pytest.fixture
async def plc():
    async with SimulatedPLC(port=PORT, machine=BatchMachine(cycle_s=0.02, nok_share=0.0)) as running:
        yield running


class TestHandshake:
    async def test_over_plain_bytes(self, plc):
        async with MbapClient(plc.server.port) as client:
            assert await client.bit(2, 2) == 0
            await client.ask("10 0000 0002 04 0005 0003")
            await client.ask("05 0000 ff00")
            await client.until_bit(2, 3, 1)
            assert await client.registers(4, 9, 2) == [0, 1]
            await client.ask("05 0000 0000")
            await client.until_bit(2, 3, 0)

    async def test_by_pymodbus(self, plc):
        async with AsyncModbusTcpClient("127.0.0.1", port=PORT, retries=0, reconnect_delay=0) as client:
            await client.write_registers(0, [4, 3])
            await client.write_coil(0, True)
            await asyncio.sleep(0.05)
            assert (await client.read_discrete_inputs(0, count=4)).bits[:4] == [True, True, False, True]
            await client.write_coil(0, False)
            await asyncio.sleep(0.15)
            assert (await client.read_discrete_inputs(0, count=4)).bits[:4] == [True, False, False, False]
            assert (await client.read_input_registers(0, count=2)).registers == [0, 4]

    async def test_is_acknowledged_within_some_scans(self, plc):
        async with MbapClient(plc.server.port) as client:
            start = asyncio.get_running_loop().time()
            await client.ask("05 0000 ff00")
            await client.until_bit(2, 3, 1)
            assert asyncio.get_running_loop().time() - start < 0.5


class TestCounters:
    async def test_run_while_a_batch_is_made(self, plc):
        async with MbapClient(plc.server.port) as client:
            await client.ask("10 0000 0002 04 0064 0003")
            await client.ask("05 0000 ff00")
            await client.until_bit(2, 1, 1)
            first = await client.registers(4, 0, 2)
            await asyncio.sleep(0.2)
            assert await client.registers(4, 0, 2) > first


class TestFault:
    async def test_stops_the_machine_and_is_reset_by_its_coil(self, plc):
        plc.machine.nok_share = 1.0
        async with MbapClient(plc.server.port) as client:
            await client.ask("10 0000 0002 04 000f 0000")
            await client.ask("05 0000 ff00")
            await client.until_bit(2, 2, 1)
            assert await client.registers(4, 7, 2) == [9, 1]
            await client.ask("05 0001 ff00")
            await client.until_bit(2, 2, 0)
            assert await client.bit(1, 1) == 0


class TestStop:
    async def test_leaves_no_task(self):
        tasks = len(asyncio.all_tasks())
        async with SimulatedPLC(port=PORT) as plc, MbapClient(PORT) as client:
            await client.ask("03 0000 0001")
            assert plc.server.connections == 1
        await asyncio.sleep(0.01)
        assert plc.server.connections == 0
        assert len(asyncio.all_tasks()) == tasks

    async def test_does_not_hide_that_the_program_failed(self):
        class Broken(BatchMachine):
            def tick(self, dt_s: float) -> None:
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            async with SimulatedPLC(port=PORT, machine=Broken()):
                await asyncio.sleep(0.05)
