"""What a tag must be like to be read and written at all. Pure."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

from django.core.exceptions import ValidationError

from devices.modbus import codec, raw_numbers
from devices.modbus.errors import ValueRefused
from devices.modbus.types import ADDRESS_SPACE, DataType, Limits, TagSpec, WriteFunctions
from devices.models.checked import Fault
from devices.models.text_rules import printable

KEPT_DIGITS = 15  # significant ones that SQLite keeps of a decimal; more would come back as another number
NOUNS = {"coil": "a coil", "discrete_input": "a discrete input"}
RAW_NUMBER = re.compile(r"(0|-?[1-9][0-9]{0,19})\Z")  # as Python writes it, so that none stands twice
LABELS_FORM = 'Write {"number": "text", ...}, for example {"0": "idle", "3": "jam at infeed"}.'


def tag_faults(tag: TagSpec, limits: Limits) -> Iterator[Fault]:
    """Everything wrong with one tag, in the order of its fields."""
    yield from _place_faults(tag)
    yield from _bit_faults(tag)
    yield from _length_faults(tag, limits)
    yield from _scale_faults(tag)
    yield from _limit_faults(tag)
    yield from _label_faults(tag)


def _place_faults(tag: TagSpec) -> Iterator[Fault]:
    if tag.table.is_bits and tag.data_type is not DataType.BOOL:
        yield "data_type", f"{NOUNS[tag.table].capitalize()} is a single bit: its data type must be bool."
    elif tag.address + tag.count > ADDRESS_SPACE:
        last = ADDRESS_SPACE - tag.count
        yield (
            "address",
            f"A table ends at address {ADDRESS_SPACE - 1}, and this tag takes {tag.count} addresses: "
            f"the highest possible one is {last}.",
        )


def _bit_faults(tag: TagSpec) -> Iterator[Fault]:
    if tag.bit is None:
        return
    if tag.table.is_bits:
        yield "bit", f"{NOUNS[tag.table].capitalize()} has no bits of its own: leave this empty."
    elif tag.data_type is not DataType.BOOL:
        yield "bit", f"Only a bool is a bit of a register; {tag.data_type} takes all of it: leave this empty."
    elif not 0 <= tag.bit <= 15:
        yield "bit", "A register has the bits 0 (least significant) to 15."


def _length_faults(tag: TagSpec, limits: Limits) -> Iterator[Fault]:
    if tag.data_type is not DataType.STRING:
        if tag.length:
            yield "length", f"Only a string has a length; {tag.data_type} has its own: set it to 0."
        if tag.count > limits.read_registers:
            yield "data_type", _too_long(tag, limits)
    elif not tag.length:
        yield "length", "A string needs its length in registers, two characters each."
    elif tag.length > limits.read_registers:
        yield "length", _too_long(tag, limits)


def _too_long(tag: TagSpec, limits: Limits) -> str:
    return (
        f"Takes {tag.count} registers, which must be read in one request, "
        f"and the profile's limit for reading is {limits.read_registers}."
    )


def _scale_faults(tag: TagSpec) -> Iterator[Fault]:
    if not tag.data_type.is_number:
        if tag.scale != 1:
            yield "scale", f"A {tag.data_type} is not a number and cannot be scaled: set it to 1."
        if tag.offset != 0:
            yield "offset", f"A {tag.data_type} is not a number and has no offset: set it to 0."
        return
    if tag.scale == 0:
        yield "scale", "With a scale of 0 every value would read the same: use 1 for none."
    yield from _digit_faults(scale=tag.scale, offset=tag.offset)


def _digit_faults(**numbers: Decimal) -> Iterator[Fault]:
    for field, number in numbers.items():
        digits = "".join(map(str, number.as_tuple().digits)).strip("0")
        if len(digits) > KEPT_DIGITS:
            yield field, f"Has {len(digits)} significant digits; {KEPT_DIGITS} at most are kept exactly."


def _limit_faults(tag: TagSpec) -> Iterator[Fault]:
    ends = {"minimum": tag.minimum, "maximum": tag.maximum}
    given = {field: limit for field, limit in ends.items() if limit is not None}
    if not tag.data_type.is_number:
        for field in given:
            yield field, f"A {tag.data_type} is not a number and has no limits: leave this empty."
        return
    yield from _digit_faults(**given)
    if tag.scale != 0:
        yield from _range_faults(tag, given)
    if tag.minimum is not None and tag.maximum is not None and tag.minimum > tag.maximum:
        yield "maximum", f"Lies below the minimum of {tag.minimum}: no value would be allowed."


def _range_faults(tag: TagSpec, given: Mapping[str, Decimal]) -> Iterator[Fault]:
    unlimited = replace(tag, minimum=None, maximum=None)
    for field, limit in given.items():
        try:
            codec.encode(unlimited, int(limit) if limit == limit.to_integral_value() else float(limit))
        except ValueRefused as error:
            yield field, f"No value that this tag can hold. {error}"


def _label_faults(tag: TagSpec) -> Iterator[Fault]:
    if not tag.labels:
        return
    if not tag.data_type.is_number:
        yield "labels", f"Labels are words for numbers, and a {tag.data_type} is none: leave this empty."
        return
    low, high = raw_numbers.RANGES[tag.data_type]
    for number in tag.labels:
        if not low <= number <= high:
            yield "labels", f"{number} never occurs in {tag.data_type}."
    words = [text.strip().casefold() for text in tag.labels.values()]
    for word in sorted({word for word in words if words.count(word) > 1}):
        yield "labels", f"Two numbers are called {word!r}: a step could not tell which one is meant."


def watch_faults(tag: TagSpec, *, poll_interval_ms: int, dead_band: float, is_recorded: bool) -> Iterator[Fault]:
    """Everything wrong with how a tag is watched."""
    if dead_band and not tag.data_type.is_number:
        yield "dead_band", f"A {tag.data_type} is not a number: each change counts, set it to 0."
    if is_recorded and not poll_interval_ms:
        yield "is_recorded", "It is never read (polled every 0 ms), so nothing would be recorded."


def labels(labels: Any) -> None:
    """Validator of what is stored: a JSON object of numbers (JSON writes them as text) and words."""
    if not isinstance(labels, dict):
        raise ValidationError(LABELS_FORM)
    for number, text in labels.items():
        if not isinstance(number, str) or not RAW_NUMBER.match(number):
            raise ValidationError(f"{number!r} is not a whole number. {LABELS_FORM}")
        if not isinstance(text, str) or not text.strip():
            raise ValidationError(f"The label of {number} must be text. {LABELS_FORM}")
        printable(text)


def write_faults(tag: TagSpec, limits: Limits) -> Iterator[str]:
    """Why this tag can't be written to a PLC of these limits; a value wider than a register goes in one request."""
    if not tag.table.is_writable:
        yield f"{tag.name} is in the {tag.table.replace('_', ' ')}s, which can only be read"
    elif tag.table.is_bits:
        return
    elif tag.count > limits.write_registers:
        yield (
            f"{tag.name} takes {tag.count} registers, which must be written in one request, "
            f"and the profile's limit for writing is {limits.write_registers}"
        )
    elif tag.count > 1 and limits.write_functions is WriteFunctions.SINGLE:
        yield (
            f"{tag.name} takes {tag.count} registers, which must be written in one request (FC16), "
            "and the profile says that its PLCs know only the single writes FC5 and FC6"
        )
