"""A schema promises: what it accepts, the machine's tags take; what lies one step beyond, they don't."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from devices.api import value_schemas
from devices.control import parameters
from devices.control.errors import InvalidParameters
from devices.modbus import codec
from devices.modbus.raw_numbers import RANGES
from devices.modbus.types import DataType, Table, TagSpec
from devices.plc.specs import CommandSpec, Operator, ParameterSpec, ParameterType, Phase, StepSpec

WHOLE_TYPES = [kind for kind in RANGES if not kind.is_float]


def tag(data_type: DataType, name: str = "speed", **more: Any) -> TagSpec:
    return TagSpec(name=name, table=Table.HOLDING_REGISTER, address=0, data_type=data_type, **more)


def command(parameter: ParameterSpec | None = None, *written: TagSpec, reads: tuple[TagSpec, ...] = ()) -> CommandSpec:
    """It writes the one parameter to these tags."""
    name = parameter.name if parameter else None
    writes = [StepSpec(phase=Phase.WRITE, tag=tag, operator=Operator.SET, parameter=name) for tag in written]
    gets = [StepSpec(phase=Phase.READ, tag=tag, operator=Operator.GET) for tag in reads]
    return CommandSpec(name="run", parameters=(parameter,) if parameter else (), steps=(*writes, *gets))


def schema(data_type: ParameterType, *written: TagSpec, **more: Any) -> dict[str, Any]:
    """Of a parameter that is written to these tags."""
    parameter = ParameterSpec(name="value", data_type=data_type, **more)
    return value_schemas.of_parameter(parameter, command(parameter, *written))


def reading(data_type: DataType, **more: Any) -> dict[str, Any]:
    return value_schemas.of_reading(tag(data_type, **more))


def ends(schema: dict[str, Any]) -> tuple[Any, Any]:
    return schema.get("minimum"), schema.get("maximum")


class TestANumber:
    def test_has_the_limits_of_its_register(self):
        told = schema(ParameterType.INTEGER, tag(DataType.UINT16))
        assert (told["type"], ends(told)) == ("integer", (0, 65535))

    def test_without_a_tag_has_only_its_own(self):
        assert ends(schema(ParameterType.NUMBER)) == (None, None)
        assert ends(schema(ParameterType.NUMBER, minimum=-0.5, maximum=2.0)) == (-0.5, 2)

    @pytest.mark.parametrize(
        ("own", "of_the_tag", "expected"),
        [((1, 100), (0, 50), (1, 50)), ((0, 50), (1, 100), (1, 50)), ((-9, 70_000), (None, None), (0, 65535))],
    )
    def test_is_held_by_the_narrowest_limits(self, own, of_the_tag, expected):
        low, high = (None if end is None else Decimal(end) for end in of_the_tag)
        speed = tag(DataType.UINT16, minimum=low, maximum=high)
        assert ends(schema(ParameterType.INTEGER, speed, minimum=own[0], maximum=own[1])) == expected

    def test_that_goes_to_two_tags_fits_both(self):
        assert ends(schema(ParameterType.INTEGER, tag(DataType.UINT16), tag(DataType.INT16))) == (0, 32767)

    def test_is_scaled(self):
        scaled = tag(DataType.UINT16, scale=Decimal("0.1"), offset=Decimal(-20))
        told = schema(ParameterType.NUMBER, scaled)
        assert (told["type"], ends(told)) == ("number", (-20, 6533.5))

    def test_turns_its_ends_round_with_a_negative_scale(self):
        assert ends(schema(ParameterType.INTEGER, tag(DataType.UINT16, scale=Decimal(-2)))) == (-131_070, 0)

    @pytest.mark.parametrize("scale", ["0.1", "-0.1"])
    def test_ends_at_the_last_step_within_the_tags_limits(self, scale: str):
        uneven = tag(DataType.INT16, scale=Decimal(scale), minimum=Decimal("0.05"), maximum=Decimal("10.05"))
        assert ends(schema(ParameterType.NUMBER, uneven)) == (0.1, 10)

    def test_of_a_float_ends_at_the_limit_itself(self):
        assert ends(schema(ParameterType.NUMBER, tag(DataType.FLOAT32, maximum=Decimal("0.1"))))[1] == 0.1

    def test_is_whole_where_the_tag_is(self):
        assert schema(ParameterType.NUMBER, tag(DataType.INT32))["type"] == "integer"
        assert schema(ParameterType.NUMBER, tag(DataType.INT32, scale=Decimal("0.5")))["type"] == "number"

    def test_loses_no_digit_of_a_large_register(self):
        assert ends(schema(ParameterType.INTEGER, tag(DataType.UINT64))) == (0, 2**64 - 1)

    def test_beyond_all_floats_is_not_limited(self):
        assert ends(schema(ParameterType.NUMBER, tag(DataType.FLOAT64, scale=Decimal(10)))) == (None, None)

    @settings(deadline=None)
    @given(
        kind=st.sampled_from(WHOLE_TYPES),
        scale=st.decimals(-100, 100, places=3).filter(bool),
        offset=st.decimals(-1000, 1000, places=2),
        limits=st.tuples(st.decimals(-9999, 9999, places=4), st.decimals(-9999, 9999, places=4)).map(sorted),
        where=st.floats(0, 1),
    )
    def test_that_the_schema_accepts_can_be_written(self, kind, scale, offset, limits, where):
        target = tag(kind, scale=scale, offset=offset, minimum=limits[0], maximum=limits[1])
        told = schema(ParameterType.NUMBER, target)
        low, high = ends(told)
        assume(low <= high)
        inner = low + (high - low) * where
        for value in {low, high, int(inner) if told["type"] == "integer" else inner}:
            if Draft202012Validator(told).is_valid(value):
                codec.encode(target, value)


class TestAnyParameter:
    def test_tells_label_default_and_unit(self):
        told = schema(ParameterType.NUMBER, label="belt speed", unit="m/s", default=2.5)
        assert told == {
            "type": "number",
            "title": "belt speed",
            "default": 2.5,
            "description": "unit: m/s",
            "x-unit": "m/s",
        }

    def test_takes_the_tags_unit_and_labels_where_it_has_none(self):
        mode = tag(DataType.UINT16, unit="mode", labels={1: "manual", 0: "off"})
        told = schema(ParameterType.INTEGER, mode)
        assert (told["x-unit"], told["x-labels"]) == ("mode", {"0": "off", "1": "manual"})
        assert told["description"] == "unit: mode; written without a decimal point; 0 = off, 1 = manual"

    def test_that_only_a_condition_uses_is_not_narrowed(self):
        parameter = ParameterSpec(name="value", data_type=ParameterType.INTEGER)
        step = StepSpec(phase=Phase.CHECK, tag=tag(DataType.UINT16), operator=Operator.LESS, parameter="value")
        told = value_schemas.of_parameter(parameter, CommandSpec(name="run", parameters=(parameter,), steps=(step,)))
        assert ends(told) == (None, None)

    @pytest.mark.parametrize("kind", ParameterType)
    @pytest.mark.parametrize("data_type", DataType)
    def test_is_valid_schema_and_agrees_with_the_check(self, kind: ParameterType, data_type: DataType):
        parameter = ParameterSpec(name="value", data_type=kind)
        spec = command(parameter, tag(data_type, length=2))
        told = value_schemas.of_parameters(spec)
        Draft202012Validator.check_schema(told)
        for value in (True, 0, 1, -1, 2.5, 40_000, 2**64, 10**300, "", "4 is", "5 are", "a\0", None):
            assert Draft202012Validator(told).is_valid({"value": value}) == is_taken(spec, value), value


def is_taken(spec: CommandSpec, value: Any) -> bool:
    try:
        parameters.check(spec, {"value": value})
    except InvalidParameters:
        return False
    return True


class TestAText:
    def test_is_as_long_as_its_shortest_tag(self):
        told = schema(ParameterType.TEXT, tag(DataType.STRING, length=10), tag(DataType.STRING, length=8))
        assert (told["type"], told["maxLength"]) == ("string", 16)
        assert told["description"] == "at most 16 bytes in UTF-8"

    def test_without_a_tag_is_as_long_as_a_body_may_hold(self):
        assert schema(ParameterType.TEXT)["maxLength"] == 1000


class TestTheBody:
    def test_requires_what_has_no_default_and_takes_nothing_else(self):
        given = ParameterSpec(name="given", data_type=ParameterType.INTEGER)
        known = ParameterSpec(name="known", data_type=ParameterType.BOOLEAN, default=False)
        told = value_schemas.of_parameters(CommandSpec(name="run", parameters=(given, known)))
        assert (told["required"], told["additionalProperties"]) == (["given"], False)
        assert told["properties"]["known"] == {"type": "boolean", "default": False}


class TestAReading:
    @pytest.mark.parametrize(
        ("data_type", "more", "expected"),
        [
            (DataType.BOOL, {}, {"type": "boolean"}),
            (DataType.STRING, {"length": 4}, {"type": "string", "maxLength": 8}),
            (DataType.INT16, {}, {"type": "integer", "minimum": -32768, "maximum": 32767}),
            (DataType.UINT16, {"scale": Decimal("0.1")}, {"type": "number", "minimum": 0, "maximum": 6553.5}),
        ],
    )
    def test_has_the_type_of_its_tag(self, data_type, more, expected):
        assert reading(data_type, **more) == expected

    def test_is_not_held_to_the_limits_for_writing(self):
        assert ends(reading(DataType.UINT16, minimum=Decimal(5), maximum=Decimal(6))) == (0, 65535)

    @pytest.mark.parametrize("value", [21.5, "nan", "inf", "-inf"])
    def test_of_a_float_may_be_no_number(self, value):
        assert Draft202012Validator(reading(DataType.FLOAT32)).is_valid(value)
        assert not Draft202012Validator(reading(DataType.FLOAT32)).is_valid("21.5")

    def test_tells_unit_and_labels_by_the_numbers_that_callers_see(self):
        told = reading(DataType.UINT16, unit="%", scale=Decimal("0.5"), labels={3: "low", 200: "full"})
        assert told["x-unit"] == "%"
        assert told["x-labels"] == {"1.5": "low", "100": "full"}
        assert told["description"] == "unit: %; 1.5 = low, 100 = full"

    def test_is_part_of_a_whole_result(self):
        told = value_schemas.of_result(command(reads=(tag(DataType.UINT16, "a"), tag(DataType.BOOL, "b"))))
        assert (told["properties"].keys(), told["required"]) == ({"a", "b"}, ["a", "b"])
        assert not told["additionalProperties"]
