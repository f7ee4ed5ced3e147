"""Our sessions with other people's Modbus servers: what those saw, what they hold, and what we got."""

import asyncio

import pytest

from devices.modbus.errors import DeviceException
from devices.modbus.link import Link
from devices.modbus.ranges import READ_BITS, READ_REGISTERS, WRITE_BITS, WRITE_REGISTERS
from devices.modbus.types import ByteOrder, DataType, Limits, Table, TagSpec, Value, WriteFunctions
from devices.plc.errors import InterlockOpen
from devices.plc.phases import Conversation
from devices.plc.specs import Priority
from devices.plc.trace import Stage, Trace
from tests.counterparts.machine import (
    BATCHES,
    BITS,
    DOOR_OPEN,
    PATIENCE_S,
    REGISTERS,
    VALUES,
    on_the_wire,
    register,
    registered,
    start_batch,
)
from tests.doubles.leaks import open_descriptors, settle
from tests.plc.machines import BATCH_SIZE, MODE_BIT, MODE_BIT_4, NOK_NUM, SETPOINT, START, UNMAPPED

READERS = {Table.COIL: 1, Table.DISCRETE_INPUT: 2, Table.HOLDING_REGISTER: 3, Table.INPUT_REGISTER: 4}


def at(table: Table, address: int) -> TagSpec:
    """The tag of one address."""
    data_type = DataType.BOOL if table.is_bits else DataType.UINT16
    return TagSpec(name=f"{table} {address}", table=table, address=address, data_type=data_type)


async def carry_out(pool, counterpart, command, trace: Trace, **values: int) -> dict:
    """What `control/execute` does with a command, without its records."""

    async def before_trigger() -> None:
        assert counterpart.look().coils[START.address] == 0, "the machine was told before it was recorded"

    async with pool.turn(registered(counterpart)) as turn:
        return await Conversation(command, values, trace=trace).carry_out(turn, before_trigger)


class TestReading:
    @pytest.mark.parametrize("table", Table)
    async def test_gives_what_the_table_holds(self, counterpart, pool, table):
        async with pool.session(registered(counterpart)) as session:
            got = [await session.read(at(table, address)) for address in range(3, 13)]
        seen = counterpart.look()
        assert got == seen.tables[table][3:13]
        assert seen.functions == [READERS[table]] * 10

    @pytest.mark.parametrize("table", Table)
    async def test_of_the_most_that_the_protocol_allows_is_one_request(self, counterpart, table):
        most = READ_BITS if table.is_bits else READ_REGISTERS
        async with Link(registered(counterpart).endpoint) as link:
            got = await link.read(table, 0, most)
        seen = counterpart.look()
        assert list(got) == seen.tables[table][:most]
        assert [(r.function, r.address, r.count) for r in seen.requests] == [(READERS[table], 0, most)]

    async def test_of_a_value_in_two_input_registers_is_one_request(self, counterpart, pool):
        energy = TagSpec(name="energy", table=Table.INPUT_REGISTER, address=4, data_type=DataType.UINT32)
        async with pool.session(registered(counterpart)) as session:
            assert await session.read(energy) == 0xA004_A005
        assert [(r.function, r.address, r.count) for r in counterpart.look().requests] == [(4, 4, 2)]

    @pytest.mark.parametrize("unit", [0, 1, 7, 255])
    async def test_is_answered_under_the_unit_id_that_was_asked(self, counterpart, pool, unit):
        async with pool.session(registered(counterpart, unit=unit)) as session:
            assert await session.read(BATCH_SIZE) == 0x110A


class TestWriting:
    @pytest.mark.parametrize(
        ("table", "known", "function", "value"),
        [
            (Table.COIL, WriteFunctions.SINGLE, 5, True),
            (Table.HOLDING_REGISTER, WriteFunctions.SINGLE, 6, 0xBEEF),
            (Table.COIL, WriteFunctions.MULTIPLE, 15, True),
            (Table.HOLDING_REGISTER, WriteFunctions.MULTIPLE, 16, 0xBEEF),
        ],
        ids=["FC5", "FC6", "FC15", "FC16"],
    )
    async def test_arrives_and_reads_back(self, counterpart, pool, table, known, function, value):
        before = counterpart.look().tables[table]
        async with pool.session(registered(counterpart, limits=Limits(write_functions=known))) as session:
            await session.write(at(table, 50), value)
            assert await session.read(at(table, 50)) == value
        seen = counterpart.look()
        assert seen.writes == [(function, 50, (int(value),))]
        assert seen.tables[table] == [*before[:50], int(value), *before[51:]]

    @pytest.mark.parametrize("order", ByteOrder)
    @pytest.mark.parametrize("data_type", DataType)
    async def test_of_every_type_in_every_order_reads_back(self, counterpart, pool, data_type, order):
        value, words = VALUES[data_type][0], on_the_wire(data_type, order)
        tag = register(data_type, byte_order=order, length=3 if data_type is DataType.STRING else 0)
        async with pool.session(registered(counterpart)) as session:
            await session.write(tag, value)
            assert await session.read(tag) == value
        seen = counterpart.look()
        assert seen.holding_registers[99 : 101 + len(words)] == [0x1100 + 99, *words, 0x1100 + 100 + len(words)]
        assert seen.writes == [(6 if len(words) == 1 else 16, 100, tuple(words))]

    async def test_joins_neighbours_and_waits_for_an_answered_read(self, counterpart, pool):
        async with pool.session(registered(counterpart)) as session:
            await session.write_all([(BATCH_SIZE, 15), (NOK_NUM, 3), (START, True)])
        seen = counterpart.look()
        assert seen.functions == [3, 16, 5]
        assert seen.writes == [(16, 10, (15, 3)), (5, 0, (1,))]

    async def test_of_a_bit_keeps_its_neighbours(self, counterpart, pool):
        assert counterpart.look().holding_registers[30] == 0b1_0001_0001_1110
        async with pool.session(registered(counterpart)) as session:
            await session.write_all([(MODE_BIT, False), (MODE_BIT_4, False)])
            assert counterpart.look().holding_registers[30] == 0b1_0001_0000_0110
            await session.write(MODE_BIT, True)
            assert await session.read(MODE_BIT_4) is False
        assert counterpart.look().holding_registers[30] == 0b1_0001_0000_1110

    async def test_of_the_most_registers_that_the_protocol_allows_is_one_request(self, counterpart, pool):
        text = "".join(chr(33 + i % 94) for i in range(2 * WRITE_REGISTERS))
        tag = register(DataType.STRING, address=7, length=WRITE_REGISTERS)
        async with pool.session(registered(counterpart)) as session:
            await session.write(tag, text)
            assert await session.read(tag) == text
        seen = counterpart.look()
        assert b"".join(w.to_bytes(2) for w in seen.holding_registers[7 : 7 + WRITE_REGISTERS]) == text.encode()
        assert [(function, len(values)) for function, _, values in seen.writes] == [(16, WRITE_REGISTERS)]

    async def test_of_the_most_coils_that_the_protocol_allows_is_one_request(self, counterpart, pool):
        wanted = [i % 7 in (0, 3) for i in range(WRITE_BITS)]
        async with pool.session(registered(counterpart)) as session:
            await session.write_all([(at(Table.COIL, 32 + i), on) for i, on in enumerate(wanted)])
        seen = counterpart.look()
        assert seen.coils[32:] == wanted
        assert seen.writes == [(15, 32, tuple(wanted))]


class TestRefusal:
    @pytest.mark.parametrize("table", Table)
    async def test_of_a_read_is_exception_2_and_the_session_goes_on(self, counterpart, pool, table):
        async with pool.session(registered(counterpart)) as session:
            with pytest.raises(DeviceException, match="not mapped") as refusal:
                await session.read(at(table, BITS if table.is_bits else REGISTERS))
            assert session.is_usable
            assert await session.read(BATCH_SIZE) == 0x110A
        assert refusal.value.code == 2
        assert counterpart.look().connects == 1

    @pytest.mark.parametrize("known", WriteFunctions)
    @pytest.mark.parametrize("table", [Table.COIL, Table.HOLDING_REGISTER])
    async def test_of_a_write_is_exception_2_and_changes_nothing(self, counterpart, pool, table, known):
        before = counterpart.look().tables
        async with pool.session(registered(counterpart, limits=Limits(write_functions=known))) as session:
            with pytest.raises(DeviceException) as refusal:
                await session.write(at(table, 5000), True if table.is_bits else 1)
            assert session.is_usable
        assert refusal.value.code == 2
        assert counterpart.look().tables == before

    async def test_of_a_value_that_is_half_outside_is_of_the_whole(self, counterpart, pool):
        before = counterpart.look().tables
        async with pool.session(registered(counterpart)) as session:
            with pytest.raises(DeviceException) as refusal:
                await session.write(register(DataType.FLOAT32, address=REGISTERS - 1), 1.0)
        assert refusal.value.code == 2
        assert counterpart.look().tables == before

    async def test_of_the_probe_is_an_answer_too(self, counterpart, pool):
        spec = registered(counterpart, probe_address=UNMAPPED.address)
        async with pool.session(spec) as session:
            await session.write(SETPOINT, 1.0)
        assert counterpart.look().holding_registers[20:22] == [0x3F80, 0]


class TestStartBatch:
    async def test_succeeds_and_the_machine_saw_one_rising_edge_behind_its_parameters(self, counterpart, pool):
        trace = Trace()
        result = await carry_out(pool, counterpart, start_batch(), trace, batch_size=15, nok_num=3)
        seen = counterpart.look()
        assert result == {"running_size": 15, "batches": 1}
        assert (trace.stage, trace.is_clean) == (Stage.CONFIRMED, True)
        assert seen.writes == [(16, 10, (15, 3)), (5, 0, (1,)), (5, 0, (0,))]
        assert seen.input_registers[:2] == [15, 1]
        assert (seen.coils[0], seen.discrete_inputs[0]) == (0, 0)

    async def test_ten_times_at_once_starts_ten_batches_one_after_another(self, counterpart, pool):
        sizes = range(1, 11)
        calls = (carry_out(pool, counterpart, start_batch(), Trace(), batch_size=n, nok_num=3) for n in sizes)
        assert await asyncio.gather(*calls) == [{"running_size": n, "batches": n} for n in sizes]
        seen = counterpart.look()
        assert seen.input_registers[BATCHES.address] == 10
        assert seen.writes == [w for n in sizes for w in ((16, 10, (n, 3)), (5, 0, (1,)), (5, 0, (0,)))]

    async def test_with_an_open_interlock_writes_nothing(self, counterpart, pool):
        trace = Trace()
        with pytest.raises(InterlockOpen, match="door_open"):
            await carry_out(pool, counterpart, start_batch(interlock=DOOR_OPEN), trace, batch_size=15, nok_num=3)
        assert trace.stage is Stage.BEFORE
        assert counterpart.look().writes == []

    async def test_whose_trigger_is_refused_starts_nothing(self, counterpart, pool):
        trace, command = Trace(), start_batch(trigger=at(Table.COIL, BITS))
        with pytest.raises(DeviceException):
            await carry_out(pool, counterpart, command, trace, batch_size=15, nok_num=3)
        assert trace.stage is Stage.TRIGGER
        assert counterpart.look().input_registers[:2] == [0, 0]


class TestSession:
    """And after every test in this file `leaks.nothing_left` holds: no connection, task or descriptor."""

    async def test_leaves_no_connection_and_the_next_one_is_served(self, counterpart, pool):
        for connects in (1, 2):
            async with pool.session(registered(counterpart)) as session:
                await session.read(BATCH_SIZE)
                assert counterpart.look().connections == 1
            assert await settle(lambda: counterpart.open_connections == 0)
            assert counterpart.look().connects == connects

    async def test_a_hundred_in_a_row_leave_no_descriptor(self, counterpart, pool):
        before = open_descriptors()
        for size in range(100):
            async with pool.session(registered(counterpart)) as session:
                await session.write(BATCH_SIZE, size)
                assert await session.read(BATCH_SIZE) == size
        assert await settle(lambda: open_descriptors() == before)
        assert counterpart.look().connects == 100
        assert await settle(lambda: counterpart.open_connections == 0)

    async def test_several_at_once_have_a_connection_each(self, counterpart, pool):
        everyone = asyncio.Barrier(3)

        async def use(priority: Priority, tag: TagSpec) -> Value:
            async with pool.session(registered(counterpart, max_connections=3), priority) as session:
                await session.prove()
                await everyone.wait()
                assert counterpart.look().connections == 3
                return await session.read(tag)

        async with asyncio.timeout(PATIENCE_S):
            got = await asyncio.gather(
                use(Priority.COMMAND, BATCH_SIZE), use(Priority.POLL, NOK_NUM), use(Priority.POLL, at(Table.COIL, 4))
            )
        assert got == [0x110A, 0x110B, True]

    async def test_of_a_kept_connection_is_the_same_connection(self, counterpart, pool):
        for _ in range(3):
            async with pool.session(registered(counterpart, keep_open_s=60)) as session:
                assert await session.read(BATCH_SIZE) == 0x110A
        assert (counterpart.look().connects, counterpart.look().connections) == (1, 1)
