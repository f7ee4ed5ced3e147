"""What a person typed is understood as the tag means it, or refused."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.modbus import codec
from devices.modbus.errors import ValueRefused
from devices.modbus.types import DataType, TagSpec
from tests.modbus.tags import NUMBERS, tag, unhurried, values_of


def parse_refusal(tag: TagSpec, text: str) -> str:
    with pytest.raises(ValueRefused) as refused:
        codec.parse(tag, text)
    return str(refused.value)


class TestTypedText:
    @pytest.mark.parametrize(
        ("text", "value"),
        [
            ("true", True),
            ("ON", True),
            (" 1 ", True),
            ("False", False),
            ("off", False),
            ("0", False),
            ("Running", True),
        ],
    )
    def test_is_a_switch_position(self, text: str, value: bool):
        assert codec.parse(tag(DataType.BOOL, labels={0: "stopped", 1: "running"}), text) is value

    def test_means_the_label_before_anything_else(self):
        normally_closed = tag(DataType.BOOL, labels={0: "On", 1: "Off"})
        assert codec.parse(normally_closed, "on") is False

    @pytest.mark.parametrize(
        ("text", "value"),
        [("15", 15), (" 15 ", 15), ("+15", 15), ("15.0", 15), ("1.5e1", 15), ("0x10", 16), ("0XfF", 255), ("idle", 4)],
    )
    def test_is_a_whole_number(self, text: str, value: int):
        parsed = codec.parse(tag(labels={4: "Idle", 6: "Execute"}), text)
        assert parsed == value
        assert type(parsed) is int

    @pytest.mark.parametrize(
        ("text", "value"), [("21.5", 21.5), ("-.5", -0.5), ("3", 3.0), ("2.", 2.0), ("1e3", 1000.0)]
    )
    def test_is_a_float(self, text: str, value: float):
        parsed = codec.parse(tag(DataType.FLOAT32), text)
        assert parsed == value
        assert type(parsed) is float

    def test_keeps_every_digit_of_a_large_whole_number(self):
        assert codec.parse(tag(DataType.UINT64), "18446744073709551615") == 2**64 - 1

    def test_takes_a_label_as_the_raw_number_that_it_stands_for(self):
        assert codec.parse(tag(scale=Decimal("0.5"), labels={3: "slow"}), "Slow") == 1.5

    @pytest.mark.parametrize(
        ("text", "wrong"),
        [
            ("21,5", "'21,5' has a comma: write 21.5 with a point"),
            ("fast", "'fast' is not a number and no label (Idle, Execute)"),
            ("", "'' is not a number"),
            ("1_000", "is not a number"),
            ("١٥", "is not a number"),
            ("0x", "is not a number"),
            ("9" * 5000, "is not a number"),
            ("nan", "NaN is nothing that a machine can act on"),
            ("-Infinity", "infinity is nothing that a machine can act on"),
            ("1e999999999", "infinity is nothing that a machine can act on"),
            ("1.5", "1.5 is not whole"),
            ("70000", "70000 does not fit uint16"),
        ],
    )
    def test_that_is_no_such_number_is_refused(self, text: str, wrong: str):
        said = parse_refusal(tag(labels={4: "Idle", 6: "Execute"}), text)
        assert said.startswith("speed: ")
        assert wrong in said
        assert said.endswith("allowed: whole numbers from 0 to 65535")

    def test_that_is_no_switch_position_is_refused(self):
        said = parse_refusal(tag(DataType.BOOL, labels={0: "open", 1: "shut"}), "ajar")
        assert said == "speed: 'ajar' is none of true, on, 1, false, off, 0, open, shut; allowed: true or false"

    def test_that_two_numbers_go_by_is_refused(self):
        assert "the label of 0, 4, write the number" in parse_refusal(tag(labels={0: "Idle", 4: "idle "}), "IDLE")

    @given(data_type=st.sampled_from(NUMBERS), draw=st.data())
    @unhurried
    def test_of_any_value_is_that_value(self, data_type: DataType, draw: st.DataObject):
        value = draw.draw(values_of(data_type))
        assert codec.parse(tag(data_type), repr(value)) == value

    @given(text=st.text(), data_type=st.sampled_from([*NUMBERS, DataType.BOOL]))
    @unhurried
    def test_of_any_kind_is_understood_or_refused(self, text: str, data_type: DataType):
        said = ""
        try:
            codec.parse(tag(data_type), text)
        except ValueRefused as refused:
            said = str(refused)
        assert not said or said.startswith("speed: ")
