"""The memory and the conversation do not know each other, and have to say the same words."""

from devices.models import commands, step_rules
from devices.plc.specs import Operator, ParameterType, Phase


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
