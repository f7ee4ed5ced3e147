"""Worked examples of Modbus practice: what the registers of a given value are."""

import math
import struct
from decimal import Decimal

import pytest

from devices.modbus import codec
from devices.modbus.types import ByteOrder, DataType
from tests.modbus.tags import tag


class TestWorkedExamples:
    @pytest.mark.parametrize(
        ("order", "words"),
        [
            (ByteOrder.ABCD, (0x42F6, 0xE979)),
            (ByteOrder.BADC, (0xF642, 0x79E9)),
            (ByteOrder.CDAB, (0xE979, 0x42F6)),
            (ByteOrder.DCBA, (0x79E9, 0xF642)),
        ],
    )
    def test_float32_123_456(self, order: ByteOrder, words: tuple[int, ...]):
        number = tag(DataType.FLOAT32, byte_order=order)
        assert codec.encode(number, 123.456) == words
        assert codec.decode(number, words) == struct.unpack(">f", bytes.fromhex("42F6E979"))[0]
        assert codec.decode(number, words) == pytest.approx(123.456)

    @pytest.mark.parametrize(
        ("order", "words"),
        [
            (ByteOrder.ABCD, (0x0123, 0x4567, 0x89AB, 0xCDEF)),
            (ByteOrder.BADC, (0x2301, 0x6745, 0xAB89, 0xEFCD)),
            (ByteOrder.CDAB, (0xCDEF, 0x89AB, 0x4567, 0x0123)),
            (ByteOrder.DCBA, (0xEFCD, 0xAB89, 0x6745, 0x2301)),
        ],
    )
    def test_uint64_by_the_same_rule(self, order: ByteOrder, words: tuple[int, ...]):
        number = tag(DataType.UINT64, byte_order=order)
        assert codec.encode(number, 0x0123456789ABCDEF) == words
        assert codec.decode(number, words) == 0x0123456789ABCDEF

    @pytest.mark.parametrize(
        ("order", "words"),
        [
            (ByteOrder.ABCD, (0x4C4F, 0x5437, 0x0000)),  # LO T7
            (ByteOrder.BADC, (0x4F4C, 0x3754, 0x0000)),
            (ByteOrder.CDAB, (0x0000, 0x5437, 0x4C4F)),
            (ByteOrder.DCBA, (0x0000, 0x3754, 0x4F4C)),
        ],
    )
    def test_text_by_the_same_rule(self, order: ByteOrder, words: tuple[int, ...]):
        string = tag(DataType.STRING, length=3, byte_order=order)
        assert codec.encode(string, "LOT7") == words
        assert codec.decode(string, words) == "LOT7"

    @pytest.mark.parametrize(
        ("data_type", "value", "words"),
        [
            (DataType.INT16, -1, (0xFFFF,)),
            (DataType.INT16, -32768, (0x8000,)),
            (DataType.UINT16, 65535, (0xFFFF,)),
            (DataType.INT32, -2, (0xFFFF, 0xFFFE)),
            (DataType.UINT32, 100_000, (0x0001, 0x86A0)),
            (DataType.INT64, -(2**63), (0x8000, 0, 0, 0)),
            (DataType.UINT64, 2**64 - 1, (0xFFFF,) * 4),
            (DataType.FLOAT32, 1.0, (0x3F80, 0)),
            (DataType.FLOAT32, -2, (0xC000, 0)),
            (DataType.FLOAT64, 1.0, (0x3FF0, 0, 0, 0)),
            (DataType.UINT16, 15.0, (15,)),
        ],
    )
    def test_numbers(self, data_type: DataType, value: float, words: tuple[int, ...]):
        assert codec.encode(tag(data_type), value) == words
        assert codec.decode(tag(data_type), words) == value

    @pytest.mark.parametrize(
        ("order", "word"), [("ABCD", 0x1234), ("CDAB", 0x1234), ("BADC", 0x3412), ("DCBA", 0x3412)]
    )
    def test_one_register_has_bytes_to_swap_and_no_registers(self, order: str, word: int):
        assert codec.encode(tag(byte_order=ByteOrder(order)), 0x1234) == (word,)

    @pytest.mark.parametrize(
        ("scale", "offset", "value", "raw"),
        [
            ("0.1", "0", 21.7, 217),
            ("0.1", "-40", -39.9, 1),
            ("0.0000000001", "0", 0.0000065535, 65535),
            ("10", "0", 150, 15),
            ("10.0000000000", "5.0000000000", 155, 15),
            ("-1", "100", 30, 70),
            ("0.25", "0", 21.3, 85),
            ("1", "10000000000000000000000000000", 10**28 + 3, 3),
        ],
    )
    def test_scale_and_offset(self, scale: str, offset: str, value: float, raw: int):
        scaled = tag(scale=Decimal(scale), offset=Decimal(offset))
        assert codec.encode(scaled, value) == (raw,)
        shown = codec.decode(scaled, (raw,))
        assert abs(shown - value) <= abs(float(scale)) / 2
        assert type(shown) is (int if Decimal(scale) % 1 == 0 else float)

    def test_a_scale_of_a_tenth_shows_no_dust(self):
        assert [codec.decode(tag(scale=Decimal("0.1")), (raw,)) for raw in (3, 7, 217)] == [0.3, 0.7, 21.7]

    def test_a_scaled_float(self):
        percent = tag(DataType.FLOAT32, scale=Decimal(100))
        assert codec.decode(percent, codec.encode(percent, 50)) == 50.0

    def test_steps_finer_than_a_float_read_as_the_nearest_one(self):
        energy = tag(DataType.UINT64, scale=Decimal("0.1"))
        assert codec.decode(energy, (0xFFFF,) * 4) == 1844674407370955161.5

    @pytest.mark.parametrize(("scale", "value"), [("0.566", 4294967296.0), ("0.523", 8192.0), ("1.062", 16384.0)])
    def test_where_the_nearest_step_reads_as_another_float_the_one_beside_it_is_taken(self, scale: str, value: float):
        scaled = tag(DataType.FLOAT64, scale=Decimal(scale))
        assert codec.decode(scaled, codec.encode(scaled, value)) == value

    @pytest.mark.parametrize("special", [math.inf, -math.inf, math.nan])
    @pytest.mark.parametrize(("data_type", "form"), [(DataType.FLOAT32, ">2H"), (DataType.FLOAT64, ">4H")])
    def test_what_is_no_number_in_the_plc_is_shown_as_such(self, data_type: DataType, form: str, special: float):
        words = struct.unpack(form, struct.pack(">f" if form == ">2H" else ">d", special))
        assert repr(codec.decode(tag(data_type), words)) == repr(special)
        assert repr(codec.decode(tag(data_type, scale=Decimal(-2)), words)) == repr(-special)

    def test_a_float64_scaled_beyond_floats_is_infinite(self):
        words = codec.encode(tag(DataType.FLOAT64), -1.7e308)
        assert codec.decode(tag(DataType.FLOAT64, scale=Decimal(10)), words) == -math.inf


class TestText:
    def test_ends_at_the_first_nul_since_more_is_left_over_from_a_longer_one(self):
        assert codec.decode(tag(DataType.STRING, length=3), (0x4142, 0x0043, 0x4445)) == "AB"

    def test_that_is_not_utf_8_is_read_as_latin_1(self):
        assert codec.decode(tag(DataType.STRING, length=2), (0x4BFC, 0x686C)) == "Kühl"

    def test_keeps_its_blanks(self):
        assert codec.parse(tag(DataType.STRING, length=4), " a b ") == " a b "

    def test_may_be_empty(self):
        assert codec.encode(tag(DataType.STRING, length=2), "") == (0, 0)
