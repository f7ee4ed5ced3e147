"""The memory and the conversation do not know each other, and have to say the same words."""

from decimal import Decimal
from typing import Any

import pytest

from devices.modbus.types import DataType, Table, TagSpec
from devices.models import commands, proof_rules, step_rules
from devices.models.sequence_rules import SEQUENCE_NAME
from devices.models.step_rules import Line
from devices.plc import proofs
from devices.plc.specs import CommandSpec, Operator, ParameterType, Phase, StepSpec

KINDS: dict[str, dict[str, Any]] = {
    "bit": {"table": Table.DISCRETE_INPUT, "data_type": DataType.BOOL},
    "word": {"table": Table.INPUT_REGISTER, "data_type": DataType.INT16},
    "scaled": {"table": Table.INPUT_REGISTER, "data_type": DataType.INT16, "scale": Decimal(2), "offset": Decimal(5)},
    "measured": {"table": Table.INPUT_REGISTER, "data_type": DataType.FLOAT32},
    "text": {"table": Table.INPUT_REGISTER, "data_type": DataType.STRING, "length": 2},
}
COMPARED = [
    *(("bit", op, value) for op in ("==", "!=") for value in ("0", "1")),
    *((kind, op, value) for kind in ("word", "measured") for op in ("==", "!=", "<", "<=", ">", ">=")
      for value in ("-1", "0", "1")),
    *(("scaled", op, value) for op in ("==", "!=", "<", ">") for value in ("5", "7")),
    *(("word", op, value) for op in ("bit set", "bit clear") for value in ("0", "15")),
    ("word", "in", "1|2"), ("word", "in", "2|0"), ("measured", "==", "21.7"),
    ("text", "!=", "AB"), ("text", "==", "AB"),
    *(("word", op, "{sequence}") for op in ("==", "!=")),
]  # fmt: skip


def test_phases_are_the_same_in_the_same_order():
    assert list(Phase) == commands.PHASES
    assert list(step_rules.OPERATORS_OF) == commands.PHASES


def test_operators_are_the_same():
    assert set(Operator) == set(commands.OPERATORS)
    assert {operator for operator in Operator if operator.is_condition} == set(step_rules.CONDITIONS)


def test_parameter_types_are_the_same():
    assert set(ParameterType) == set(commands.PARAMETER_TYPES)
    for table in (step_rules.KINDS, step_rules.EXAMPLES, step_rules.FITS):
        assert set(table) == set(ParameterType)


def _spec(line: Line) -> StepSpec:
    operand: dict[str, Any] = {"parameter": SEQUENCE_NAME}
    if line.value != "{sequence}":
        found = step_rules.constants(line.tag, line.operator, line.value)
        operand = {"choices": found} if line.operator == "in" else {"value": found[0]}
    return StepSpec(phase=Phase.PROOF, tag=line.tag, operator=Operator(line.operator), **operand)


def _proof(kind: str, operator: str, value: str) -> Line:
    return Line(phase="proof", tag=TagSpec(name=kind, address=3, **KINDS[kind]), operator=operator, value=value)


def _both(*lines: Line) -> set[bool]:
    """What the form warns of, and what a reconcile refuses."""
    command = CommandSpec(name="go", steps=tuple(map(_spec, lines)))
    return {proof_rules.hold_at_zero(lines), proofs.hold_at_zero(command, {SEQUENCE_NAME: 7})}


@pytest.mark.parametrize(("kind", "operator", "value"), COMPARED)
def test_a_proof_that_a_restarted_plc_fulfils_is_the_same_to_both(kind, operator, value):
    assert len(_both(_proof(kind, operator, value))) == 1


def test_one_proof_that_a_restarted_plc_does_not_fulfil_is_enough_for_both():
    zero, five, clear = _proof("word", "==", "0"), _proof("word", "==", "5"), _proof("bit", "==", "0")
    assert _both(zero, clear) == {True}
    assert _both(zero, five) == {False}
