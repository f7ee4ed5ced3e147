"""What does not fit a tag is refused by name, and the engineer is told what would fit."""

import math
from decimal import Decimal
from typing import Any

import pytest

from devices.modbus import codec, raw_numbers
from devices.modbus.errors import ValueRefused
from devices.modbus.types import DataType, TagSpec, Value
from tests.modbus.tags import INTEGERS, NUMBERS, tag


def refusal(tag: TagSpec, value: Any) -> str:
    with pytest.raises(ValueRefused) as refused:
        codec.encode(tag, value)
    return str(refused.value)


class TestRefusal:
    @pytest.mark.parametrize(
        ("value", "wrong"),
        [
            (True, "true is not a number"),
            ("2", "'2' is not a number"),
            (None, "None is not a number"),
            (Decimal(2), "Decimal('2') is not a number"),
            (1.5, "1.5 is not whole"),
            (math.nan, "NaN is nothing that a machine can act on"),
            (math.inf, "infinity is nothing that a machine can act on"),
            (-math.inf, "infinity is nothing that a machine can act on"),
            (65536, "65536 does not fit uint16"),
            (-1, "-1 does not fit uint16"),
            (1e300, "1e+300 does not fit uint16"),
        ],
    )
    def test_names_the_tag_the_fault_and_what_is_allowed(self, value: Any, wrong: str):
        assert refusal(tag(unit="rpm"), value) == f"speed: {wrong}; allowed: whole numbers from 0 to 65535 rpm"

    @pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
    @pytest.mark.parametrize("data_type", NUMBERS)
    def test_meets_nan_and_infinity_for_every_type(self, data_type: DataType, value: float):
        assert "a machine can act on" in refusal(tag(data_type), value)

    @pytest.mark.parametrize("data_type", INTEGERS)
    def test_meets_the_first_number_beyond_every_type(self, data_type: DataType):
        lowest, highest = raw_numbers.RANGES[data_type]
        assert f"does not fit {data_type}" in refusal(tag(data_type), highest + 1)
        assert f"does not fit {data_type}" in refusal(tag(data_type), lowest - 1)

    def test_does_not_stumble_over_a_number_that_python_would_not_print(self):
        assert "a number of more than 38 digits does not fit uint16" in refusal(tag(), 10**5000)
        assert "a number of more than 38 digits does not fit float64" in refusal(tag(DataType.FLOAT64), -(10**5000))

    @pytest.mark.parametrize("value", [3.5e38, -3.5e38, 1e300, 10**400])
    def test_meets_what_overflows_a_float32(self, value: float):
        assert "does not fit float32; allowed: numbers from -3.40282" in refusal(tag(DataType.FLOAT32), value)

    def test_lets_pass_what_rounds_to_the_largest_float32(self):
        assert codec.encode(tag(DataType.FLOAT32), 3.4028235e38) == (0x7F7F, 0xFFFF)

    @pytest.mark.parametrize(
        ("value", "wrong"), [(0, "0 is below the minimum"), (10_001, "10001 is above the maximum")]
    )
    def test_meets_the_limits(self, value: int, wrong: str):
        limited = tag(minimum=Decimal("1.0000000000"), maximum=Decimal("10000.0000000000"))
        assert refusal(limited, value) == f"speed: {wrong}; allowed: whole numbers from 1 to 10000"

    def test_lets_the_limits_themselves_pass(self):
        tenths = {"minimum": Decimal("0.1"), "maximum": Decimal("0.3")}
        assert codec.encode(tag(DataType.FLOAT64, **tenths), 0.1)
        assert codec.encode(tag(scale=Decimal("0.1"), **tenths), 0.3) == (3,)

    def test_meets_a_step_that_lies_beyond_the_limits(self):
        said = refusal(tag(scale=Decimal(10), maximum=Decimal(15)), 15)
        assert (
            said == "speed: 15 would be written as 20, that is above the maximum; allowed: whole numbers from 0 to 15"
        )

    def test_says_what_is_allowed_in_the_tags_unit(self):
        said = refusal(tag(DataType.INT16, scale=Decimal("-0.1"), offset=Decimal(5), unit="°C"), 4000)
        assert said == "speed: 4000 does not fit int16; allowed: numbers from -3271.7 to 3281.8 °C"

    def test_cuts_long_values(self):
        assert len(refusal(tag(), "x" * 10_000)) < 120

    def test_meets_a_scale_of_zero(self):
        assert "scale is 0" in refusal(tag(scale=Decimal(0)), 5)

    def test_is_not_for_half_an_answer(self):
        with pytest.raises(ValueError, match="1 words came, one value takes 2"):
            codec.decode(tag(DataType.FLOAT32), (1,))


class TestTextRefusal:
    def test_meets_what_does_not_fit_and_says_its_size(self):
        said = refusal(tag(DataType.STRING, length=2), "Kühl")
        assert said.startswith("speed: 'Kühl' takes 5 bytes and does not fit; allowed: text of up to 4 bytes")

    @pytest.mark.parametrize(
        ("value", "wrong"), [("a\0", "NUL character"), ("\ud800", "half a character"), (5, "5 is not text")]
    )
    def test_meets_what_no_plc_could_hold(self, value: Value, wrong: str):
        assert wrong in refusal(tag(DataType.STRING, length=4), value)


class TestSwitchRefusal:
    @pytest.mark.parametrize("value", [1, 0, 1.0, "true", None])
    def test_meets_everything_but_true_and_false(self, value: Any):
        assert refusal(tag(DataType.BOOL), value).endswith("is not a switch position; allowed: true or false")
