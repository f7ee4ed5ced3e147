"""A command's inputs: what is wrong is named before a run exists, all of it at once."""

import math
from typing import Any

import pytest

from devices.control import parameters
from devices.control.errors import InvalidParameters
from devices.modbus.types import DataType, Table, TagSpec
from devices.models import PLC, State
from devices.plc.specs import CommandSpec, Operator, ParameterSpec, ParameterType, Phase, StepSpec
from tests.control.rows import call, runs
from tests.doubles.fault_server import FaultServer

INTEGER, NUMBER, BOOLEAN, TEXT = ParameterType


def command(*inputs: ParameterSpec, **tags: TagSpec) -> CommandSpec:
    """A command that writes each input that has a tag here to that tag."""
    steps = [StepSpec(phase=Phase.WRITE, tag=tag, operator=Operator.SET, parameter=name) for name, tag in tags.items()]
    return CommandSpec(name="start_batch", parameters=inputs, steps=tuple(steps))


def register(data_type: DataType, **more: Any) -> TagSpec:
    return TagSpec(name="register", table=Table.HOLDING_REGISTER, address=0, data_type=data_type, **more)


SIZE = ParameterSpec(name="size", data_type=INTEGER, minimum=1, maximum=100, unit="pcs")
SPEED = ParameterSpec(name="speed", data_type=NUMBER, minimum=0.5, maximum=3.5)
DRY = ParameterSpec(name="dry", data_type=BOOLEAN)
RECIPE = ParameterSpec(name="recipe", data_type=TEXT)


def fault(spec: CommandSpec, given: dict[str, Any]) -> dict[str, str]:
    with pytest.raises(InvalidParameters) as refusal:
        parameters.check(spec, given)
    return dict(refusal.value.errors)


class TestARightValue:
    @pytest.mark.parametrize(
        ("parameter", "value"),
        [(SIZE, 1), (SIZE, 100), (SPEED, 0.5), (SPEED, 3), (DRY, True), (DRY, False), (RECIPE, "A 7"), (RECIPE, "")],
    )
    def test_is_taken_as_it_is(self, parameter: ParameterSpec, value: Any) -> None:
        taken = parameters.check(command(parameter), {parameter.name: value})
        assert taken == {parameter.name: value}
        assert type(taken[parameter.name]) is type(value)

    def test_left_out_is_the_default(self) -> None:
        sizes = ParameterSpec(name="size", data_type=INTEGER, default=15)
        zero = ParameterSpec(name="zero", data_type=INTEGER, default=0)
        dry = ParameterSpec(name="dry", data_type=BOOLEAN, default=False)
        spec = command(sizes, zero, dry)
        assert parameters.check(spec, {}) == {"size": 15, "zero": 0, "dry": False}
        assert parameters.check(spec, {"size": 16}) == {"size": 16, "zero": 0, "dry": False}


class TestAWrongValue:
    @pytest.mark.parametrize(
        ("parameter", "value", "said"),
        [
            (SIZE, True, "must be a whole number, not true"),
            (SIZE, False, "must be a whole number, not false"),
            (SIZE, "2", 'must be a whole number, not "2"'),
            (SIZE, 2.0, "must be a whole number, not 2.0"),
            (SIZE, -0.0, "must be a whole number, not -0.0"),
            (SIZE, [2], "must be a whole number, not [2]"),
            (SIZE, {}, "must be a whole number, not {}"),
            (SIZE, None, "is required"),
            (SIZE, 0, "must be at least 1 pcs, not 0"),
            (SIZE, 101, "must be at most 100 pcs, not 101"),
            (SIZE, -(2**63), "must be at least 1 pcs, not -9223372036854775808"),
            (SPEED, True, "must be a number, not true"),
            (SPEED, "1.5", 'must be a number, not "1.5"'),
            (SPEED, math.nan, "must be a finite number"),
            (SPEED, math.inf, "must be a finite number"),
            (SPEED, -math.inf, "must be a finite number"),
            (SPEED, 0.499, "must be at least 0.5, not 0.499"),
            (SPEED, 5e-324, "must be at least 0.5, not 5e-324"),
            (SPEED, 3.51, "must be at most 3.5, not 3.51"),
            (SPEED, 1e308, "must be at most 3.5, not 1e+308"),
            (DRY, 1, "must be true or false, not 1"),
            (DRY, 0, "must be true or false, not 0"),
            (DRY, "true", 'must be true or false, not "true"'),
            (RECIPE, 7, "must be text, not 7"),
            (RECIPE, True, "must be text, not true"),
            (RECIPE, None, "is required"),
        ],
    )
    def test_is_named_with_what_is_wrong(self, parameter: ParameterSpec, value: Any, said: str) -> None:
        assert fault(command(parameter), {parameter.name: value}) == {parameter.name: said}

    def test_left_out_without_a_default_is_required(self) -> None:
        assert fault(command(SIZE, SPEED), {}) == {"size": "is required", "speed": "is required"}

    def test_null_is_not_the_default(self) -> None:
        """Who sends null means something; what, only he knows."""
        spec = command(ParameterSpec(name="size", data_type=INTEGER, default=15))
        assert fault(spec, {"size": None}) == {"size": "is required"}

    def test_that_nobody_knows_is_named(self) -> None:
        assert fault(command(SIZE), {"size": 1, "colour": 3}) == {"colour": "start_batch has no parameter of this name"}

    @pytest.mark.parametrize(
        ("data_type", "value"),
        [
            (DataType.UINT16, 65_536),
            (DataType.UINT16, -1),
            (DataType.INT16, 32_768),
            (DataType.INT32, 2**31),
            (DataType.UINT32, 2**32),
            (DataType.UINT64, 2**64),
        ],
    )
    def test_that_does_not_fit_its_register_is_named(self, data_type: DataType, value: int) -> None:
        spec = command(ParameterSpec(name="size", data_type=INTEGER), size=register(data_type))
        assert "does not fit" in fault(spec, {"size": value})["size"]

    @pytest.mark.parametrize("value", [1e39, -1e39])
    def test_that_does_not_fit_a_float_is_named(self, value: float) -> None:
        spec = command(ParameterSpec(name="speed", data_type=NUMBER), speed=register(DataType.FLOAT32))
        assert "does not fit" in fault(spec, {"speed": value})["speed"]

    def test_beyond_the_tag_s_own_limits_is_named(self) -> None:
        spec = command(SIZE, size=register(DataType.UINT16, maximum=50))
        assert "above the maximum" in fault(spec, {"size": 51})["size"]

    def test_too_long_for_its_registers_is_named(self) -> None:
        spec = command(RECIPE, recipe=register(DataType.STRING, length=2))
        assert "does not fit" in fault(spec, {"recipe": "12345"})["recipe"]

    @pytest.mark.parametrize("text", ["a\0b", "\ud800"])
    def test_with_a_nul_or_half_a_character_is_named(self, text: str) -> None:
        spec = command(RECIPE, recipe=register(DataType.STRING, length=20))
        assert "recipe" in fault(spec, {"recipe": text})

    @pytest.mark.parametrize(
        "value", [10**4000, -(10**4000), 10**5000], ids=["4,001 digits", "negative", "5,001 digits"]
    )
    @pytest.mark.parametrize("parameter", [SIZE, SPEED])
    def test_with_thousands_of_digits_is_told_back_in_short(self, parameter: ParameterSpec, value: int) -> None:
        assert len(fault(command(parameter), {parameter.name: value})[parameter.name]) < 200

    def test_of_great_length_is_told_back_in_short(self) -> None:
        assert len(fault(command(SIZE), {"size": "9" * 100_000})["size"]) < 200

    def test_beside_others_is_one_of_several_told_at_once(self) -> None:
        spec = command(SIZE, SPEED, DRY, RECIPE, size=register(DataType.UINT16))
        assert set(fault(spec, {"size": True, "speed": 9, "dry": 1, "colour": 1})) == {
            "size",
            "speed",
            "dry",
            "recipe",
            "colour",
        }

    def test_is_told_once_where_two_steps_use_it(self) -> None:
        tag = register(DataType.UINT16)
        wide = ParameterSpec(name="size", data_type=INTEGER)
        steps = tuple(StepSpec(phase=Phase.WRITE, tag=tag, operator=Operator.SET, parameter="size") for _ in range(2))
        spec = CommandSpec(name="start_batch", parameters=(wide,), steps=steps)
        with pytest.raises(InvalidParameters) as refusal:
            parameters.check(spec, {"size": 70_000})
        assert len(refusal.value.errors) == 1


class TestARequestWithWrongValues:
    async def test_leaves_no_record_and_touches_no_machine(self, machine: FaultServer, line: PLC) -> None:
        with pytest.raises(InvalidParameters, match="batch_size: must be at least 1"):
            await call(given={"batch_size": 0})
        assert await runs() == []
        assert machine.connects == 0

    async def test_does_not_keep_a_right_one_from_running(self, machine: FaultServer, line: PLC) -> None:
        with pytest.raises(InvalidParameters):
            await call(given={"batch_size": math.nan})
        record = await call(given={"batch_size": 10_000, "nok_num": 0})
        assert record.state == State.SUCCEEDED
        assert machine.holding_registers[:2] == [10_000, 0]
