"""Requests and answers byte by byte; the examples are those of Modbus V1.1b3 section 6, at addresses that we have."""

import pytest

from devices.modbus.types import Table
from devices.simulator.errors import FramingLost
from devices.simulator.frames import Frame, take_frames
from devices.simulator.memory import SIZE, Memory
from devices.simulator.pdu import answer


def ask(memory: Memory, text: str) -> str:
    return answer(memory, bytes.fromhex(text)).hex(" ")


@pytest.fixture
def memory() -> Memory:
    return Memory()


class TestReading:
    def test_packs_the_first_bit_into_the_least_significant_place(self, memory):
        memory.write(Table.COIL, 19, [1, 0, 1, 1, 0, 0, 1, 1, 1, 1])
        assert ask(memory, "01 0013 000a") == "01 02 cd 03"

    def test_tells_the_four_tables_apart(self, memory):
        for number, table in enumerate((Table.COIL, Table.DISCRETE_INPUT)):
            memory.write(table, number, [1])
        for number, table in enumerate((Table.HOLDING_REGISTER, Table.INPUT_REGISTER), start=7):
            memory.write(table, 0, [number])
        answers = [ask(memory, f"{code:02x} 0000 0002") for code in (1, 2)]
        answers += [ask(memory, f"{code:02x} 0000 0001") for code in (3, 4)]
        assert answers == ["01 01 01", "02 01 02", "03 02 00 07", "04 02 00 08"]

    @pytest.mark.parametrize("request_", ["01 0000 0000", "02 0000 07d1", "03 0000 0000", "04 0000 007e", "03 0000"])
    def test_refuses_a_wrong_count_or_length_with_3(self, memory, request_):
        assert ask(memory, request_) == f"{0x80 | int(request_[:2]):02x} 03"

    def test_refuses_an_address_outside_with_2(self, memory):
        assert ask(memory, f"03 {SIZE - 1:04x} 0001") == "03 02 00 00"
        assert ask(memory, f"03 {SIZE - 1:04x} 0002") == "83 02"
        assert ask(memory, "04 ffff 007d") == "84 02"


class TestWriting:
    def test_echoes_single_writes(self, memory):
        assert ask(memory, "05 0010 ff00") == "05 00 10 ff 00"
        assert ask(memory, "06 0001 0003") == "06 00 01 00 03"
        assert memory.read(Table.COIL, 16, 1) == (1,)
        assert memory.read(Table.HOLDING_REGISTER, 1, 1) == (3,)

    def test_writes_blocks_and_answers_address_and_count(self, memory):
        assert ask(memory, "0f 0013 000a 02 cd01") == "0f 00 13 00 0a"
        assert memory.read(Table.COIL, 19, 10) == (1, 0, 1, 1, 0, 0, 1, 1, 1, 0)
        assert ask(memory, "10 0001 0002 04 000a 0102") == "10 00 01 00 02"
        assert memory.read(Table.HOLDING_REGISTER, 1, 2) == (10, 0x0102)

    @pytest.mark.parametrize(
        ("request_", "code"),
        [
            ("05 0000 0001", 3),
            ("06 0064 0001", 2),
            ("0f 0000 0000 00", 3),
            ("0f 0000 0009 01 ff", 3),
            ("0f 0000 0008 02 ff", 3),
            ("10 0000 0002 02 0001", 3),
            ("10 0000 0001 02 00", 3),
            ("10 0063 0002 04 00010002", 2),
        ],
    )
    def test_refuses_and_changes_nothing(self, memory, request_, code):
        before = [memory.read(table, 0, SIZE) for table in Table]
        assert ask(memory, request_) == f"{0x80 | int(request_[:2], 16):02x} {code:02x}"
        assert [memory.read(table, 0, SIZE) for table in Table] == before

    @pytest.mark.parametrize("function", [0, 7, 22, 23, 43])
    def test_does_not_offer_other_functions(self, memory, function):
        assert ask(memory, f"{function:02x} 0000 0001") == f"{0x80 | function:02x} 01"


class TestFrames:
    def test_come_out_whole_however_they_are_cut(self):
        stream = Frame(1, 1, b"\x03\0\0\0\1").pack() + Frame(2, 9, b"\x06\0\0\0\1").pack()
        buffer, frames = bytearray(), []
        for octet in stream:
            buffer.append(octet)
            frames += take_frames(buffer)
        assert frames == [Frame(1, 1, b"\x03\0\0\0\1"), Frame(2, 9, b"\x06\0\0\0\1")]
        assert not buffer

    @pytest.mark.parametrize("header", ["0001 0001 0006 01", "0001 0000 0001 01", "0001 0000 00ff 01"])
    def test_give_up_on_what_is_not_modbus(self, header):
        with pytest.raises(FramingLost):
            list(take_frames(bytearray.fromhex(header)))
