"""What a parameter and a step must be like for a command to make sense at the machine. Pure."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from devices.modbus import codec
from devices.modbus.errors import ValueRefused
from devices.modbus.types import DataType, Limits, TagSpec, Value, without_limits
from devices.models.checked import Fault
from devices.models.sequence_rules import SEQUENCE, SEQUENCE_NAME, sequence_faults
from devices.models.tag_rules import write_faults

BIT_CONDITIONS = ("bit set", "bit clear")
CONDITIONS = ("==", "!=", "<", "<=", ">", ">=", "in", *BIT_CONDITIONS)
ORDERINGS = frozenset({"<", "<=", ">", ">="})
OPERATORS_OF: Mapping[str, tuple[str, ...]] = {
    "check": CONDITIONS,
    "write": ("set",),
    "trigger": ("set",),
    "wait": CONDITIONS,
    "fail_if": CONDITIONS,
    "read": ("get",),
    "cleanup": ("set", *CONDITIONS),
    "proof": CONDITIONS,
}
"""What a step of each phase can do with its tag."""
JOBS = {
    "check": "A check looks whether a condition holds",
    "write": "A write gives a tag its value",
    "trigger": "The trigger sets a tag",
    "wait": "A wait looks until a condition holds",
    "fail_if": "A fail_if looks, while the command waits, whether the PLC said no",
    "read": "A read gets a tag for the result",
    "cleanup": "A cleanup sets a tag, or looks until a condition holds",
    "proof": "A proof looks afterwards whether the machine did it",
}
NO_TRIGGER = "There is no trigger: a command needs exactly one step that makes the machine act."
NOTHING_TO_WAIT_FOR = "A fail_if is looked at while the command waits: it needs a wait."
OWN_PROOF = (
    "The command itself writes this tag: the proof would show our own writing, not what the machine did. Look at a tag "
    "that the machine sets."
)
SECOND_TRIGGER = "A second trigger: a command has exactly one, and what the machine needs before it is a write."
KINDS: Mapping[str, tuple[type, ...]] = {
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "text": (str,),
}
EXAMPLES = {
    "integer": "a whole number, for example 15",
    "number": "a number, for example 21.5",
    "boolean": "true or false",
    "text": "text",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Input:
    """A parameter of a command."""

    name: str
    data_type: str
    minimum: float | None = None
    maximum: float | None = None
    default: Any = None

    @property
    def is_number(self) -> bool:
        """It can have limits."""
        return self.data_type in ("integer", "number")


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """A step of a command."""

    phase: str
    tag: TagSpec
    operator: str
    value: str = ""
    parameter: Input | None = None
    timeout_s: float | None = None
    tolerance: float | None = None
    is_applied: bool = False


def parameter_faults(parameter: Input) -> Iterator[Fault]:
    """Everything wrong with one parameter by itself."""
    if parameter.name == SEQUENCE_NAME:
        yield "name", f"{SEQUENCE} in a step is the number of the run, which nobody gives: take another name."
    yield from _limit_faults(parameter)
    yield from _default_faults(parameter)


def _limit_faults(parameter: Input) -> Iterator[Fault]:
    ends = {"minimum": parameter.minimum, "maximum": parameter.maximum}
    for field, limit in ends.items():
        if limit is None:
            continue
        if not parameter.is_number:
            yield field, f"Only an integer or a number has limits, not a {parameter.data_type}: leave this empty."
        elif not math.isfinite(limit):
            yield field, "Must be a finite number."
        elif parameter.data_type == "integer" and limit != int(limit):
            yield field, "The parameter is an integer, so its limits are whole numbers."
    if parameter.minimum is not None and parameter.maximum is not None and parameter.minimum > parameter.maximum:
        yield "maximum", f"Lies below the minimum of {parameter.minimum:.15g}: no value would be allowed."


def _default_faults(parameter: Input) -> Iterator[Fault]:
    default = parameter.default
    if default is None:
        return
    kinds = KINDS.get(parameter.data_type, ())
    # True is an int in Python.
    is_of_type = isinstance(default, kinds) and (isinstance(default, bool) == (bool in kinds))
    if not is_of_type or (isinstance(default, float) and not math.isfinite(default)):
        yield "default", f"Must be {EXAMPLES.get(parameter.data_type, 'of the type')}."
    elif parameter.is_number:
        if parameter.minimum is not None and default < parameter.minimum:
            yield "default", f"Lies below the minimum of {parameter.minimum:.15g}."
        if parameter.maximum is not None and default > parameter.maximum:
            yield "default", f"Lies above the maximum of {parameter.maximum:.15g}."


def step_faults(step: Line, limits: Limits) -> Iterator[Fault]:
    """Everything wrong with one step and the tag and parameter that it uses."""
    allowed = OPERATORS_OF.get(step.phase, (step.operator,))
    if step.operator not in allowed:
        yield "operator", f"{JOBS[step.phase]}: use {_one_of(allowed)}."
    elif step.operator == "set":
        yield from (("tag", f"{fault}.") for fault in write_faults(step.tag, limits))
    if step.operator in ORDERINGS and not step.tag.data_type.is_number:
        yield "operator", f"{step.tag.name} is a {step.tag.data_type}: use == or !=, one is not less than another."
    yield from _bit_faults(step)
    yield from _operand_faults(step)
    yield from _timeout_faults(step)
    yield from _read_back_faults(step)
    if step.is_applied and step.phase != "fail_if":
        yield "is_applied", "Only a fail_if says whether the machine acted all the same: leave this off."


def _bit_faults(step: Line) -> Iterator[Fault]:
    if step.operator not in BIT_CONDITIONS:
        return
    if not step.tag.data_type.is_number or step.tag.data_type.is_float:
        yield "operator", f"{step.tag.name} is {_article(step.tag.data_type)}: only whole numbers have bits to look at."
    elif step.parameter is not None:
        yield "value", "Which bit to look at is a constant: its number, 0 is the least significant."


def _read_back_faults(step: Line) -> Iterator[Fault]:
    if step.tolerance is None:
        return
    if step.phase != "write":
        yield "tolerance", "Only a write is read back: leave this empty."
    elif step.tolerance and not step.tag.data_type.is_number:
        yield "tolerance", f"{step.tag.name} is {_article(step.tag.data_type)}: give 0, it is the same or it is not."


def _operand_faults(step: Line) -> Iterator[Fault]:
    has_value, has_parameter = step.value != "", step.parameter is not None
    if step.operator == "get":
        if has_value or has_parameter:
            yield "value", "A get only reads: leave this empty."
    elif has_value and has_parameter:
        yield "value", "Give a constant or a parameter, not both."
    elif step.parameter is not None and step.operator == "in":
        yield "value", "Among which values to look is a constant: 1|2|3."
    elif step.parameter is not None:
        yield from (("parameter", fault) for _, fault in misfits(step, step.parameter))
    elif has_value:
        yield from _value_faults(step)
    else:
        yield "value", "A set and a comparison need a value: a constant or a parameter."


def _value_faults(step: Line) -> Iterator[Fault]:
    if step.value == SEQUENCE:
        yield from sequence_faults(step.phase, step.operator, step.tag)
        return
    try:
        constants(step.tag, step.operator, step.value)
    except ValueRefused as error:
        yield "value", f"{error}."


def proves_itself(step: Line, steps: Iterable[Line]) -> bool:
    """Whether a proof looks at what one of the command's steps writes."""
    return step.phase == "proof" and any(s.operator == "set" and s.tag.overlaps(step.tag) for s in steps)


def constants(tag: TagSpec, operator: str, text: str) -> tuple[Value, ...]:
    """What a step's constant means: one value, several for `in`, a bit's number for `bit set` and `bit clear`.

    Raises ValueRefused with what is wrong, in words.
    """
    if operator in BIT_CONDITIONS:
        return (_bit_number(tag, text),)
    if operator in CONDITIONS:
        tag = without_limits(tag)
    texts = [part.strip() for part in text.split("|")] if operator == "in" else [text]
    return tuple(codec.parse(tag, part) for part in texts)


def _bit_number(tag: TagSpec, text: str) -> int:
    bits = tag.count * 16
    if not (text.isascii() and text.isdecimal()) or int(text) >= bits:
        raise ValueRefused(f"{tag.name} has the bits 0 to {bits - 1}; {text!r} is none of them")
    return int(text)


def _timeout_faults(step: Line) -> Iterator[Fault]:
    is_waited_for = step.phase == "wait" or (step.phase == "cleanup" and step.operator in CONDITIONS)
    if step.phase == "wait" and step.timeout_s is None:
        yield "timeout_s", "A wait needs a limit in seconds: without an answer it would hold the PLC for ever."
    if step.timeout_s is not None and not is_waited_for:
        yield "timeout_s", "Only a condition of wait or cleanup is waited for: leave this empty."


def misfits(step: Line, parameter: Input) -> Iterator[Fault]:
    """Which fields of a parameter do not suit the step's tag: its type, or limits and default beyond the tag's."""
    fits = FITS.get(parameter.data_type)
    if fits is None:
        return
    if not fits(step.tag):
        yield (
            "data_type",
            f"Parameter {parameter.name} is {_article(parameter.data_type)}, and {_tag_in_words(step.tag)}.",
        )
        return
    if step.operator == "set":
        yield from _values_beyond(step.tag, parameter)


def _values_beyond(tag: TagSpec, parameter: Input) -> Iterator[Fault]:
    given = {"minimum": parameter.minimum, "maximum": parameter.maximum, "default": parameter.default}
    for word, value in given.items():
        if value is None or (isinstance(value, float) and not math.isfinite(value)):
            continue
        try:
            codec.encode(tag, int(value) if parameter.data_type == "integer" else value)
        except (ValueRefused, ValueError) as error:
            yield word, f"The {word} of parameter {parameter.name} is more than the tag takes. {error}."


FITS: Mapping[str, Callable[[TagSpec], bool]] = {
    "integer": lambda tag: tag.data_type.is_number,
    "number": lambda tag: tag.data_type.is_number and not tag.has_whole_values,
    "boolean": lambda tag: tag.data_type is DataType.BOOL,
    "text": lambda tag: tag.data_type is DataType.STRING,
}
"""Which tags take a parameter of each type."""


def _tag_in_words(tag: TagSpec) -> str:
    whole = " of whole numbers" if tag.has_whole_values else ""
    return f"tag {tag.name} is {_article(tag.data_type)}{whole}"


def _article(noun: str) -> str:
    return f"{'an' if noun[0] in 'aeio' else 'a'} {noun}"


def _one_of(words: tuple[str, ...]) -> str:
    return " or ".join((", ".join(words[:-1]), words[-1])) if len(words) > 1 else "".join(words)
