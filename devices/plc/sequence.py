"""The number that a run gives to the machine, so that an echo can be told from an older one. Pure."""

from devices.modbus.raw_numbers import RANGES
from devices.modbus.types import TagSpec
from devices.plc.specs import CommandSpec, Operator, StepSpec

SEQUENCE = "sequence"
"""Among the values of a run: its number at its PLC, wrapped. No parameter has this name."""


def sequence_limit(command: CommandSpec) -> int | None:
    """Return the largest number that all tags take which carry it; None where the command uses none."""
    return min((_largest(step) for step in command.steps if step.parameter == SEQUENCE), default=None)


def wrapped(number: int, limit: int) -> int:
    """Count 1 to the limit and then from 1 again: 0 is what a PLC reads after a restart, so it is never sent."""
    return (number - 1) % limit + 1


def _largest(step: StepSpec) -> int:
    if step.operator is Operator.SET and step.tag.maximum is not None:
        return min(_largest_of_type(step.tag), int(step.tag.maximum))
    return _largest_of_type(step.tag)  # limits are for writing


def _largest_of_type(tag: TagSpec) -> int:
    return int(RANGES[tag.data_type][1])
