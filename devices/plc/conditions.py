"""Comparisons of a tag's value with a wanted one, and how to say them. Pure."""

import operator
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from devices.modbus import codec
from devices.modbus.errors import ValueRefused
from devices.modbus.types import TagSpec, Value, without_limits
from devices.plc.specs import Operator, StepSpec

COMPARISONS: dict[Operator, Callable[[Any, Any], bool]] = {
    Operator.EQUAL: operator.eq,
    Operator.NOT_EQUAL: operator.ne,
    Operator.LESS: operator.lt,
    Operator.LESS_OR_EQUAL: operator.le,
    Operator.GREATER: operator.gt,
    Operator.GREATER_OR_EQUAL: operator.ge,
}
BITS = {Operator.BIT_SET: 1, Operator.BIT_CLEAR: 0}

Wanted = Value | tuple[Value, ...]
"""What a condition compares with: several values for `in`, a bit's number for `bit set` and `bit clear`."""


def holds(step: StepSpec, actual: Value, wanted: Wanted) -> bool:
    """Whether the value read satisfies the step's condition."""
    if isinstance(wanted, tuple):
        return any(actual == as_read(step.tag, value) for value in wanted)
    if step.operator in BITS:
        return _bit(step.tag, actual, int(wanted)) == BITS[step.operator]
    return COMPARISONS[step.operator](actual, as_read(step.tag, wanted))


def operand(step: StepSpec, values: Mapping[str, Value]) -> Any:
    """What a step sets or compares with: its constant or constants, or what the caller gave."""
    if step.choices:
        return step.choices
    return step.value if step.parameter is None else values[step.parameter]


def is_near(tag: TagSpec, actual: Value, wanted: Value, tolerance: float) -> bool:
    """Whether a value read back is the one written, as the tag holds it, within a distance in the tag's unit."""
    wanted = as_read(tag, wanted)
    if isinstance(actual, bool | str) or isinstance(wanted, bool | str):
        return actual == wanted
    return actual == wanted or abs(actual - wanted) <= tolerance


def describe(step: StepSpec, actual: Value | None, wanted: Wanted) -> str:
    """Say what was wanted and what was found, the engineer's own message for a condition that is not met first."""
    sentence = compare(step, actual, wanted)
    return f"{step.message} ({sentence})" if step.message else sentence


def compare(step: StepSpec, actual: Value | None, wanted: Wanted) -> str:
    """Say what was wanted and what was found, whether it is met or not."""
    found = "was not read" if actual is None else f"is {say(step.tag, actual)}"
    return f"{step.tag.name} {found}, wanted {step.operator} {_say_wanted(step, wanted)}"


def tell(step: StepSpec, actual: Value) -> str:
    """Say what a `fail_if` that holds found: the engineer's message, the PLC's own word through the tag's labels."""
    sentence = f"{step.tag.name} is {say(step.tag, actual)}"
    return f"{step.message} ({sentence})" if step.message else sentence


def _bit(tag: TagSpec, actual: Value, number: int) -> int:
    """One bit of the value as it stands in the PLC: negative numbers in two's complement."""
    raw = int((Decimal(str(actual)) - tag.offset) / tag.scale)
    return raw >> number & 1


def as_read(tag: TagSpec, wanted: Value) -> Value:
    """A float32 holds 21.7 as 21.700000762939453: compare with that, or `==` would never hold."""
    tag = without_limits(tag)
    try:
        return codec.decode(tag, codec.encode(tag, wanted))
    except ValueRefused:
        return wanted


def _say_wanted(step: StepSpec, wanted: Wanted) -> str:
    if isinstance(wanted, tuple):
        return " or ".join(say(step.tag, value) for value in wanted)
    return str(wanted) if step.operator in BITS else say(step.tag, wanted)


def say(tag: TagSpec, value: Value) -> str:
    """A value with its unit, and its label where it has one."""
    unit = f" {tag.unit}" if tag.unit else ""
    label = tag.labels.get(value) if isinstance(value, int) and not isinstance(value, bool) else None
    return f"{str(value).lower() if isinstance(value, bool) else value}{unit}" + (f" ({label})" if label else "")
