"""Which proofs of a command prove nothing, since a PLC shows them after a restart too. Pure."""

import operator
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from devices.modbus import codec
from devices.modbus.errors import ValueRefused
from devices.modbus.types import TagSpec, Value, without_limits
from devices.models.sequence_rules import SEQUENCE
from devices.models.step_rules import BIT_CONDITIONS, Line, constants

COMPARISONS: Mapping[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "in": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
PROVES_NOTHING = (
    "A PLC that has restarted, all its registers zero, shows the same as the proofs of {command}: they prove nothing, "
    "and a run whose outcome was lost stays unknown until a person looks. Compare with what is not zero, best an echo "
    "of {sequence}."
)


def hold_at_zero(steps: Iterable[Line]) -> bool:
    """Whether a PLC that has restarted, all its registers zero, shows all that the command's proofs ask for.

    As far as constants tell: what a caller gives is not known yet, and is taken for not zero, as a run's number is.
    """
    shown = [_holds_at_zero(step) for step in steps if step.phase == "proof"]
    return bool(shown) and all(shown)


def _holds_at_zero(step: Line) -> bool:
    if step.parameter is not None or step.value == SEQUENCE:
        return step.operator == "!="
    if step.operator in BIT_CONDITIONS:
        return step.operator == "bit clear"
    zero = codec.decode(step.tag, [0] * step.tag.count)
    wanted = (_as_read(step.tag, value) for value in constants(step.tag, step.operator, step.value))
    return any(COMPARISONS[step.operator](zero, value) for value in wanted)


def _as_read(tag: TagSpec, wanted: Value) -> Value:
    """As the tag would hold it: a float32 holds no 21.7."""
    tag = without_limits(tag)
    try:
        return codec.decode(tag, codec.encode(tag, wanted))
    except ValueRefused:
        return wanted
