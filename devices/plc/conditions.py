"""Comparisons of a tag's value with a wanted one, and how to say them. Pure."""

import operator
from collections.abc import Callable
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


def holds(step: StepSpec, actual: Value, wanted: Value) -> bool:
    """Whether the value read satisfies the step's condition."""
    return COMPARISONS[step.operator](actual, _as_the_tag_reads_it(step.tag, wanted))


def describe(step: StepSpec, actual: Value | None, wanted: Value) -> str:
    """Say what was wanted and what was found, the engineer's own message first."""
    found = "was not read" if actual is None else f"is {_say(step, actual)}"
    sentence = f"{step.tag.name} {found}, wanted {step.operator} {_say(step, wanted)}"
    return f"{step.message} ({sentence})" if step.message else sentence


def _as_the_tag_reads_it(tag: TagSpec, wanted: Value) -> Value:
    """A float32 holds 21.7 as 21.700000762939453: compare with that, or `==` would never hold."""
    tag = without_limits(tag)
    try:
        return codec.decode(tag, codec.encode(tag, wanted))
    except ValueRefused:
        return wanted


def _say(step: StepSpec, value: Value) -> str:
    unit = f" {step.tag.unit}" if step.tag.unit else ""
    label = step.tag.labels.get(value) if isinstance(value, int) and not isinstance(value, bool) else None
    return f"{str(value).lower() if isinstance(value, bool) else value}{unit}" + (f" ({label})" if label else "")
