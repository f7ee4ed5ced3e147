"""Nothing is lost between values and registers, whatever the type, byte order, scale and offset."""

import math
from decimal import Decimal

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from devices.modbus import codec
from devices.modbus.types import REGISTERS, ByteOrder, DataType, Table, TagSpec
from tests.modbus.tags import INTEGERS, NUMBERS, WORDS, tag, unhurried, values_of

decimals = st.decimals(-(10**9), 10**9, places=10, allow_nan=False, allow_infinity=False)
steps = st.sampled_from(["0.1", "0.001", "0.3", "10", "-0.5", "7", "0.0000000001"]).map(Decimal)


@st.composite
def scaled_tags(draw: st.DrawFn) -> TagSpec:
    return tag(
        draw(st.sampled_from(NUMBERS)),
        byte_order=draw(st.sampled_from(ByteOrder)),
        scale=draw((steps | decimals).filter(bool)),
        offset=draw(st.just(Decimal(0)) | decimals),
    )


class TestEveryValue:
    @pytest.mark.parametrize("order", ByteOrder)
    @pytest.mark.parametrize("data_type", NUMBERS)
    @given(draw=st.data())
    @unhurried
    def test_of_a_number_type_comes_back(self, data_type: DataType, order: ByteOrder, draw: st.DataObject):
        value = draw.draw(values_of(data_type))
        number = tag(data_type, byte_order=order)
        back = codec.decode(number, codec.encode(number, value))
        assert back == value
        assert type(back) is type(value)
        assert math.copysign(1, back) == math.copysign(1, value)

    @pytest.mark.parametrize("order", ByteOrder)
    @given(text=st.text(st.characters(codec="utf-8", exclude_characters="\0")), spare=st.integers(0, 3))
    @unhurried
    def test_of_text_that_fits_comes_back(self, order: ByteOrder, text: str, spare: int):
        words = (len(text.encode()) + 1) // 2 + spare
        string = tag(DataType.STRING, length=words, byte_order=order)
        assert codec.decode(string, codec.encode(string, text)) == text

    @pytest.mark.parametrize("value", [True, False])
    @pytest.mark.parametrize("order", ByteOrder)
    @pytest.mark.parametrize("bit", [None, *range(16)])
    def test_of_a_switch_comes_back(self, bit: int | None, order: ByteOrder, value: bool):
        switch = tag(DataType.BOOL, bit=bit, byte_order=order)
        assert codec.decode(switch, codec.encode(switch, value)) is value

    @pytest.mark.parametrize("value", [True, False])
    @pytest.mark.parametrize("table", [Table.COIL, Table.DISCRETE_INPUT])
    def test_of_a_bit_table_comes_back(self, table: Table, value: bool):
        coil = tag(DataType.BOOL, table=table)
        assert codec.encode(coil, value) == (int(value),)
        assert codec.decode(coil, codec.encode(coil, value)) is value

    @given(number=scaled_tags(), draw=st.data())
    @example(number=tag(DataType.UINT64, scale=Decimal("0.1")), draw=None)
    @unhurried
    def test_that_a_scaled_tag_can_show_comes_back(self, number: TagSpec, draw: st.DataObject | None):
        words = [0xFFFF] * number.count if draw is None else draw.draw(st.tuples(*[WORDS] * number.count))
        shown = codec.decode(number, words)
        assume(math.isfinite(shown))
        assert codec.decode(number, codec.encode(number, shown)) == shown

    @given(data_type=st.sampled_from(INTEGERS), scale=st.integers(1, 10**6), offset=st.integers(), draw=st.data())
    @unhurried
    def test_stays_an_exact_int_under_a_whole_scale(
        self, data_type: DataType, scale: int, offset: int, draw: st.DataObject
    ):
        number = tag(data_type, scale=Decimal(scale), offset=Decimal(offset))
        raw = draw.draw(values_of(data_type))
        shown = codec.decode(number, codec.encode(tag(data_type), raw))
        assert shown == raw * scale + offset
        assert isinstance(shown, int)
        assert codec.encode(number, shown) == codec.encode(tag(data_type), raw)

    @given(data_type=st.sampled_from(NUMBERS), order=st.sampled_from(ByteOrder), draw=st.data())
    @unhurried
    def test_and_every_content_can_be_read(self, data_type: DataType, order: ByteOrder, draw: st.DataObject):
        words = draw.draw(st.tuples(*[WORDS] * REGISTERS[data_type]))
        assert isinstance(codec.decode(tag(data_type, byte_order=order), words), int | float)

    @given(words=st.lists(WORDS, min_size=1, max_size=8), order=st.sampled_from(ByteOrder))
    @unhurried
    def test_and_every_text_can_be_read_and_stored(self, words: list[int], order: ByteOrder):
        text = codec.decode(tag(DataType.STRING, length=len(words), byte_order=order), words)
        assert "\0" not in text
        assert text.encode().decode() == text


class TestSwitch:
    def test_in_a_register_is_a_mask(self):
        assert codec.encode(tag(DataType.BOOL, bit=3), True) == (0b1000,)
        assert codec.encode(tag(DataType.BOOL, bit=3), False) == (0,)

    def test_in_a_register_does_not_see_its_neighbours(self):
        assert codec.decode(tag(DataType.BOOL, bit=15), (0x8000,)) is True
        assert codec.decode(tag(DataType.BOOL, bit=0), (0xFFFE,)) is False

    def test_counts_its_bit_on_the_wire_whatever_the_byte_order(self):
        assert codec.decode(tag(DataType.BOOL, bit=0, byte_order=ByteOrder.BADC), (1,)) is True

    def test_over_a_whole_register_is_on_when_it_is_not_zero(self):
        assert [codec.decode(tag(DataType.BOOL), (word,)) for word in (0, 1, 0x8000)] == [False, True, True]

    @given(word=WORDS, bit=st.integers(0, 15), value=st.booleans())
    @unhurried
    def test_set_bit_changes_that_bit_alone(self, word: int, bit: int, value: bool):
        changed = codec.set_bit(word, bit, value)
        assert changed >> bit & 1 == value
        assert changed | 1 << bit == word | 1 << bit
        assert 0 <= changed <= 0xFFFF
