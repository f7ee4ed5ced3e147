"""The server over real sockets."""

import asyncio

import pytest
from pymodbus.client import AsyncModbusTcpClient

from devices.modbus.types import Table
from devices.simulator.errors import CannotListen
from devices.simulator.memory import Memory
from devices.simulator.server import ModbusServer
from tests.doubles.clock import CLOCK_S
from tests.doubles.leaks import open_descriptors

from .mbap_client import MbapClient

PORT = 21001


@pytest.fixture
async def server():
    async with ModbusServer(Memory(), port=PORT) as running:
        yield running


class TestRequests:
    async def test_are_answered_with_their_own_transaction_and_unit(self, server):
        async with MbapClient(server.port) as client:
            _, raw = client.pack(bytes.fromhex("03 0000 0001"), unit=200)
            await client.send(raw)
            assert await client.receive() == (1, 200, bytes.fromhex("03 02 0000"))

    async def test_are_each_answered_in_order_when_one_segment_holds_many(self, server):
        async with MbapClient(server.port) as client:
            await client.send(b"".join(client.pack(bytes.fromhex(f"06 0000 {n:04x}"))[1] for n in range(1, 51)))
            answers = [await client.receive() for _ in range(50)]
        assert answers == [(n, 1, bytes.fromhex(f"06 0000 {n:04x}")) for n in range(1, 51)]

    async def test_may_come_a_byte_at_a_time(self, server):
        async with MbapClient(server.port) as client:
            for octet in client.pack(bytes.fromhex("10 0000 0002 04 0001 0002"))[1]:
                await client.send(bytes([octet]))
                await asyncio.sleep(0.002)
            assert await client.receive() == (1, 1, bytes.fromhex("10 0000 0002"))

    async def test_that_are_not_modbus_end_the_connection(self, server):
        async with MbapClient(server.port) as client:
            await client.send(b"GET / HTTP/1.1\r\n\r\n")
            assert await client.is_closed_by_server()

    async def test_of_pymodbus_are_understood(self, server):
        server.memory.write(Table.INPUT_REGISTER, 4, [7, 8])
        server.memory.write(Table.DISCRETE_INPUT, 1, [1])
        async with AsyncModbusTcpClient("127.0.0.1", port=server.port, retries=0, reconnect_delay=0) as client:
            await client.write_coils(0, [True, False, True])
            await client.write_coil(1, True)
            await client.write_registers(0, [1, 2, 3])
            await client.write_register(1, 9)
            assert (await client.read_coils(0, count=3)).bits[:3] == [True, True, True]
            assert (await client.read_discrete_inputs(1)).bits[0] is True
            assert (await client.read_holding_registers(0, count=3)).registers == [1, 9, 3]
            assert (await client.read_input_registers(4, count=2)).registers == [7, 8]
            assert (await client.read_holding_registers(5000)).exception_code == 2


class TestSlowness:
    async def test_delays_every_answer(self):
        async with ModbusServer(Memory(), port=PORT, answer_delay_s=0.1) as server, MbapClient(server.port) as client:
            start = asyncio.get_running_loop().time()
            await client.ask("03 0000 0001")
            await client.ask("03 0000 0001")
            assert asyncio.get_running_loop().time() - start >= 0.2 - 2 * CLOCK_S

    async def test_of_one_client_is_not_felt_by_another(self):
        async with ModbusServer(Memory(), port=PORT, answer_delay_s=0.1) as server:
            start = asyncio.get_running_loop().time()
            await asyncio.gather(*(self._ask_once(server.port) for _ in range(10)))
            assert asyncio.get_running_loop().time() - start < 0.9

    async def test_a_write_whose_client_gave_up_is_executed_later(self):
        async with ModbusServer(Memory(), port=PORT, answer_delay_s=0.1) as server:
            async with MbapClient(server.port) as client:
                await client.send(client.pack(bytes.fromhex("06 0000 002a"))[1])
                await asyncio.sleep(0.03)
            assert server.memory.read(Table.HOLDING_REGISTER, 0, 1) == (0,)
            await asyncio.sleep(0.15)
            assert server.memory.read(Table.HOLDING_REGISTER, 0, 1) == (42,)

    async def _ask_once(self, port: int) -> None:
        async with MbapClient(port) as client:
            await client.ask("03 0000 0001")


class TestConnectionLimit:
    async def test_the_sixth_waits_until_a_slot_is_free(self):
        async with ModbusServer(Memory(), port=PORT, max_connections=5) as server:
            clients = [MbapClient(server.port) for _ in range(6)]
            for client in clients:
                await client.__aenter__()
            for client in clients[:5]:
                await client.ask("03 0000 0001")
            sixth = asyncio.create_task(clients[5].ask("06 0000 0006"))
            await asyncio.sleep(0.1)
            assert not sixth.done()
            assert server.connections == 5

            await clients[0].__aexit__()
            assert await sixth == "06 00 00 00 06"
            assert server.peak_connections == 5
            for client in clients[1:]:
                await client.__aexit__()

    async def test_serves_hundreds_one_after_the_other(self):
        async with ModbusServer(Memory(), port=PORT, max_connections=1) as server:
            await asyncio.gather(*(TestSlowness()._ask_once(server.port) for _ in range(100)))
            assert server.peak_connections == 1

    async def test_a_reset_by_the_client_frees_its_slot(self):
        async with ModbusServer(Memory(), port=PORT, max_connections=1) as server:
            async with MbapClient(server.port) as client:
                await client.ask("03 0000 0001")
                client._writer.transport.abort()
            await TestSlowness()._ask_once(server.port)


class TestStop:
    async def test_leaves_no_connection_task_or_descriptor(self):
        descriptors, tasks = open_descriptors(), len(asyncio.all_tasks())
        async with ModbusServer(Memory(), port=PORT, answer_delay_s=5, max_connections=2) as server:
            clients = [MbapClient(server.port) for _ in range(3)]  # one talks, one is idle, one is in the backlog
            for client in clients:
                await client.__aenter__()
            await clients[0].send(clients[0].pack(bytes.fromhex("03 0000 0001"))[1])
            await asyncio.sleep(0.05)
        assert server.connections == 0
        assert all([await client.is_closed_by_server() for client in clients])
        for client in clients:
            await client.__aexit__()
        await asyncio.sleep(0.01)
        assert (open_descriptors(), len(asyncio.all_tasks())) == (descriptors, tasks)

    async def test_amid_an_accept_closes_that_connection_too(self):
        for _ in range(20):
            async with ModbusServer(Memory(), port=PORT) as server, MbapClient(server.port):
                await asyncio.sleep(0)

    async def test_frees_the_port_at_once(self):
        for _ in range(3):
            async with ModbusServer(Memory(), port=PORT) as server, MbapClient(server.port) as client:
                await client.ask("03 0000 0001")

    async def test_also_when_its_block_fails(self):
        server = ModbusServer(Memory(), port=PORT)
        with pytest.raises(ZeroDivisionError):
            await self._fail_within(server)
        assert server.connections == 0

    async def _fail_within(self, server: ModbusServer) -> None:
        async with server, MbapClient(PORT) as client:
            await client.ask("03 0000 0001")
            assert server.connections == 1
            raise ZeroDivisionError


class TestPort:
    async def test_in_use_is_said_in_words(self, server):
        with pytest.raises(CannotListen, match=f"port {PORT}: it is in use by another program"):
            await ModbusServer(Memory(), port=PORT).__aenter__()

    async def test_zero_takes_a_free_one(self):
        async with ModbusServer(Memory()) as server:
            assert server.port > 0
