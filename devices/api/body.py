"""Reads a JSON body strictly: one flat object, each field once, every value one that a register could hold.

What Python's JSON, ninja and pydantic let pass by default (NaN, 1e999, doubled keys, other encodings) would reach a
machine as something that the caller did not mean.
"""

import json
import math
import sys
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest
from ninja.parser import Parser

from devices.control.errors import InvalidParameters

MOST_BYTES = 64 * 1024
MOST_FIELDS = 100
MOST_DIGITS = 309  # of the largest float64; Python itself gives up at 4,300
LONGEST_TEXT = 1000  # characters; a string of the largest write request has 246
LONGEST_NAME = 50


class Malformed(ValueError):
    """The body is not JSON in UTF-8."""


class JSONParser(Parser):
    """ninja's way to the body."""

    def parse_body(self, request: HttpRequest) -> dict[str, Any]:
        """The body as one flat object. Raises Malformed, or InvalidParameters that name the fields."""
        return parse(request.body)


class Pairs(list[tuple[str, Any]]):
    """A JSON object as it was written: in its order, names that come twice included."""


def parse(body: bytes) -> dict[str, Any]:
    """Read one flat object. Raises Malformed, or InvalidParameters that name the fields."""
    found = load(body)
    if not isinstance(found, Pairs):
        raise InvalidParameters((("body", 'must be an object, such as {"batch_size": 15}'),))
    return flat(found, "body")


def load(body: bytes) -> Any:
    """JSON in UTF-8, with Pairs for objects and Wrong for numbers that cannot be taken. Raises Malformed."""
    try:
        return _READER.decode(body.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise Malformed("the body is not UTF-8") from error
    except RecursionError as error:
        raise Malformed("the body is nested too deeply") from error
    except json.JSONDecodeError as error:
        raise Malformed(f"the body is not JSON: {error}") from error


def flat(pairs: Pairs, called: str, *, within: str = "", nested: Collection[str] = ()) -> dict[str, Any]:
    """One object whose values are single ones, but those `nested`. InvalidParameters names each as `within` it."""
    if len(pairs) > MOST_FIELDS:
        raise InvalidParameters(((called, f"has more than {MOST_FIELDS} fields"),))
    found: dict[str, Any] = {}
    faults: dict[str, str] = {}
    for name, value in pairs:
        fault = "is given twice" if name in found else _fault(name, value, is_nested=name in nested)
        if fault:
            faults[within + ascii(name[:LONGEST_NAME])[1:-1]] = fault
        found[name] = value
    if faults:
        raise InvalidParameters(tuple(faults.items()))
    return found


@dataclass(frozen=True, slots=True)
class Wrong:
    """Stands for a value that cannot be taken, until the name of its field is known."""

    why: str


def _fault(name: str, value: Any, *, is_nested: bool) -> str:
    """What is wrong with one field, empty if nothing."""
    if len(name) > LONGEST_NAME or not name.isprintable():
        return "is not a parameter's name"
    if isinstance(value, Wrong):
        return value.why
    if isinstance(value, list) and not is_nested:
        return "must be a single value"
    return _text_fault(value) if isinstance(value, str) else ""


def _text_fault(text: str) -> str:
    if len(text) > LONGEST_TEXT:
        return f"must be at most {LONGEST_TEXT} characters"
    if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
        return "must be text without NUL and without half characters"
    return ""


def _read_int(text: str) -> int | Wrong:
    return int(text) if len(text) <= MOST_DIGITS else Wrong("has more digits than any register holds")


def _read_float(text: str) -> float | Wrong:
    value = float(text)
    if math.isinf(value):
        return Wrong(f"must be a finite number, not {text[:LONGEST_NAME]}")
    if 0 < abs(value) < sys.float_info.min or (value == 0 and _has_digits(text)):
        return Wrong("is too small to be told apart from 0")
    return Wrong("must not be a negative zero") if value == 0 and text.startswith("-") else value


def _has_digits(number: str) -> bool:
    """Whether it was written as something other than 0."""
    mantissa = number.lower().partition("e")[0]
    return any(digit in "123456789" for digit in mantissa)


_READER = json.JSONDecoder(
    object_pairs_hook=Pairs,
    parse_int=_read_int,
    parse_float=_read_float,
    parse_constant=lambda name: Wrong(f"must be a finite number, not {name}"),
)
