"""What a command takes and what it reads back, as JSON Schema (2020-12). Pure: no Django, no I/O.

What a schema of a number accepts, the machine's tags can hold: the limits are those of the parameter, of the
register's type and of the tag, drawn in to the tag's steps. Two rules have no words in JSON Schema and stand in the
description: a whole number is written without a point, and a text is counted in bytes.
"""

import math
from collections.abc import Iterable, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any

from devices.api.body import LONGEST_TEXT
from devices.modbus.raw_numbers import RANGES
from devices.modbus.types import DataType, TagSpec
from devices.plc.specs import CommandSpec, ParameterSpec, ParameterType, Phase

Schema = dict[str, Any]

TYPES = {
    ParameterType.INTEGER: "integer",
    ParameterType.NUMBER: "number",
    ParameterType.BOOLEAN: "boolean",
    ParameterType.TEXT: "string",
}
NO_NUMBERS = ["nan", "inf", "-inf"]  # what `plc/trace.py` makes of floats that JSON has no numbers for
NO_NUL = r"^[^\u0000]*$"  # a NUL ends a text in a PLC
LARGEST_WHOLE = 10**30  # beyond every integer type with a sensible scale; written as a float from there on
NEVER: Schema = {"not": {}}  # what its tags can't hold, whatever the value


def of_parameters(command: CommandSpec) -> Schema:
    """The body of a command: a flat object, in which what has a default may be left out."""
    return {
        "type": "object",
        "properties": {parameter.name: of_parameter(parameter, command) for parameter in command.parameters},
        "required": [parameter.name for parameter in command.parameters if parameter.default is None],
        "additionalProperties": False,
    }


def of_result(command: CommandSpec) -> Schema:
    """What the command's `read` steps bring; all of it, since only a confirmed run has a result."""
    tags = {step.tag.name: step.tag for step in command.of(Phase.READ)}
    return {
        "type": "object",
        "description": "what was read from the PLC after it confirmed",
        "properties": {name: of_reading(tag) for name, tag in tags.items()},
        "required": list(tags),
        "additionalProperties": False,
    }


def of_parameter(parameter: ParameterSpec, command: CommandSpec) -> Schema:
    """One input: its own limits, narrowed by every tag that it is written to."""
    tags = _written_tags(parameter, command)
    unit = parameter.unit or next((tag.unit for tag in tags if tag.unit), "")
    schema: Schema = {"type": _type(parameter, tags)}
    if parameter.label:
        schema["title"] = parameter.label
    if parameter.default is not None:
        schema["default"] = parameter.default
    schema |= _text_limits(tags) if parameter.data_type is ParameterType.TEXT else _number_limits(parameter, tags)
    if not all(_fits(parameter, tag) for tag in tags):
        schema |= NEVER
    return schema | _told(unit, tags, _remarks(parameter, tags))


def of_reading(tag: TagSpec) -> Schema:
    """A tag's value as it is read; its limits are for writing, a PLC may well hold a value beyond them."""
    return _reading(tag) | _told(tag.unit, [tag], ())


def _written_tags(parameter: ParameterSpec, command: CommandSpec) -> Sequence[TagSpec]:
    steps = (step for step in command.steps if step.parameter == parameter.name)
    return [step.tag for step in steps if not step.operator.is_condition]


def _type(parameter: ParameterSpec, tags: Iterable[TagSpec]) -> str:
    if parameter.data_type is ParameterType.NUMBER and any(tag.has_whole_values for tag in tags):
        return "integer"
    return TYPES[parameter.data_type]


def _fits(parameter: ParameterSpec, tag: TagSpec) -> bool:
    """The form lets in nothing else, but rows can be written by other hands."""
    if tag.data_type is DataType.BOOL:
        return parameter.data_type is ParameterType.BOOLEAN
    if tag.data_type is DataType.STRING:
        return parameter.data_type is ParameterType.TEXT
    return parameter.data_type in (ParameterType.INTEGER, ParameterType.NUMBER) and tag.scale != 0


def _text_limits(tags: Iterable[TagSpec]) -> Schema:
    return {"maxLength": min(_bytes(tags), default=LONGEST_TEXT), "pattern": NO_NUL}


def _bytes(tags: Iterable[TagSpec]) -> list[int]:
    """How many each of the string tags holds; no character takes less than one."""
    return [tag.length * 2 for tag in tags if tag.data_type is DataType.STRING]


def _number_limits(parameter: ParameterSpec, tags: Iterable[TagSpec]) -> Schema:
    if parameter.data_type is ParameterType.BOOLEAN:
        return {}
    ranges = [_writable(tag) for tag in tags if _fits(parameter, tag)]
    return _limits(
        max([*(low for low, _ in ranges), *_limit(parameter.minimum)], default=None),
        min([*(high for _, high in ranges), *_limit(parameter.maximum)], default=None),
    )


def _limit(end: float | None) -> Iterable[Fraction]:
    """The parameter's own, if it has one."""
    if end is not None and math.isfinite(end):
        yield Fraction(end)


def _limits(low: Fraction | None, high: Fraction | None) -> Schema:
    ends = {"minimum": _as_json(low), "maximum": _as_json(high)}
    return {word: end for word, end in ends.items() if end is not None}


def _writable(tag: TagSpec) -> tuple[Fraction, Fraction]:
    """The smallest and the largest value that may be written, in the tag's unit."""
    low, high = _range(tag)
    if tag.minimum is not None:
        low = max(low, _step_within(tag, tag.minimum, is_lowest=True))
    if tag.maximum is not None:
        high = min(high, _step_within(tag, tag.maximum, is_lowest=False))
    return low, high


def _range(tag: TagSpec) -> tuple[Fraction, Fraction]:
    """What the register's type can hold, scaled."""
    low, high = sorted(_scaled(tag, end) for end in RANGES[tag.data_type])
    return low, high


def _step_within(tag: TagSpec, limit: Decimal, *, is_lowest: bool) -> Fraction:
    """The limit, or the tag's last step before it: a value between them may be rounded to one beyond."""
    if tag.data_type.is_float:
        return Fraction(limit)
    raw = (Fraction(limit) - Fraction(tag.offset)) / Fraction(tag.scale)
    # With a scale below 0 the register counts down while the value goes up.
    return _scaled(tag, math.ceil(raw) if is_lowest is (tag.scale > 0) else math.floor(raw))


def _scaled(tag: TagSpec, raw: float) -> Fraction:
    return Fraction(raw) * Fraction(tag.scale) + Fraction(tag.offset)


def _as_json(number: Fraction | None) -> float | None:
    if number is None:
        return None
    if number.denominator == 1 and abs(number) < LARGEST_WHOLE:
        return int(number)
    try:
        return float(number)
    except OverflowError:  # a float64 near its end, scaled up: JSON's readers know no such number
        return None


def _reading(tag: TagSpec) -> Schema:
    if tag.data_type is DataType.BOOL:
        return {"type": "boolean"}
    if tag.data_type is DataType.STRING:
        return {"type": "string", "maxLength": tag.length * 2}
    if tag.data_type.is_float:
        return {"anyOf": [{"type": "number"}, {"type": "string", "enum": NO_NUMBERS}]}
    return {"type": "integer" if tag.has_whole_values else "number"} | _limits(*_range(tag))


def _remarks(parameter: ParameterSpec, tags: Iterable[TagSpec]) -> Iterable[str]:
    """What JSON Schema has no words for."""
    if parameter.data_type is ParameterType.INTEGER:
        yield "written without a decimal point"
    if parameter.data_type is ParameterType.TEXT and (sizes := _bytes(tags)):
        yield f"at most {min(sizes)} bytes in UTF-8"


def _told(unit: str, tags: Iterable[TagSpec], remarks: Iterable[str]) -> Schema:
    """Unit and labels, for people in the description and for programs beside it."""
    labels = next((labels for tag in tags if (labels := _labels(tag))), {})
    sentences = [
        *([f"unit: {unit}"] if unit else []),
        *remarks,
        *([", ".join(f"{value} = {label}" for value, label in labels.items())] if labels else []),
    ]
    told = {"description": "; ".join(sentences), "x-unit": unit, "x-labels": labels}
    return {word: content for word, content in told.items() if content}


def _labels(tag: TagSpec) -> dict[str, str]:
    """Labels are given to the numbers in the PLC; callers see the scaled ones."""
    return {str(_as_json(_scaled(tag, raw))): label for raw, label in sorted(tag.labels.items())}
