"""Turn register words into typed values and back. Pure: no I/O.

Scale and offset are worked out exactly and rounded once, at the end. An integer type whose scale and offset are
whole has int values, of any size. Every other number is a float, the one nearest to the exact value; where floats
lie further apart than the tag's steps (uint64 with scale 0.1), neighbouring steps read as the same float, and
encode finds a step that reads so again: decode(encode(x)) == x for every finite x that decode gives.
"""

import math
import re
import reprlib
import struct
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from functools import partial
from typing import Any

from devices.modbus import raw_numbers
from devices.modbus.errors import ValueRefused
from devices.modbus.types import ByteOrder, DataType, TagSpec, Value, Words

SWITCH_WORDS = {"true": True, "on": True, "1": True, "false": False, "off": False, "0": False}
NOTATIONS: Sequence[tuple[re.Pattern[str], Callable[[str], float]]] = (
    (re.compile(r"[+-]?0x[0-9a-f]+"), partial(int, base=16)),
    (re.compile(r"[+-]?[0-9]+"), int),
    (re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?"), float),
    (re.compile(r"[+-]?(nan|inf|infinity)"), float),  # understood, so that encode refuses them by name
)
AS_THEY_ARE = ByteOrder.ABCD
LONGEST_NUMBER = 80  # characters that a person may type for one


def encode(tag: TagSpec, value: Value) -> Words:
    """Return the words to write for a value, rounded to the tag's nearest step.

    A bit of a register comes as a mask of one word: the bit alone. Only `set_bit` on the word read before keeps
    the bit's neighbours. Raises ValueRefused, which names the tag, what is wrong and what is allowed.
    """
    return ENCODERS.get(tag.data_type, _number_words)(tag, value)


def decode(tag: TagSpec, words: Sequence[int]) -> Value:
    """Return the value that `tag.count` words hold; there is one for any content.

    A NaN or an infinity in the PLC comes as that float. Text ends at its first NUL and is UTF-8, or else Latin-1.
    Bits count from the word as it is on the wire: byte orders are for numbers and text. Raises ValueError for
    another count of words.
    """
    if len(words) != tag.count:
        raise ValueError(f"{tag.name}: {len(words)} words came, one value takes {tag.count}")
    return DECODERS.get(tag.data_type, _number)(tag, words)


def parse(tag: TagSpec, text: str) -> Value:
    """Return the value that a person typed: a label of the tag in any case, true or off, 21.5, 0x1F.

    Raises ValueRefused also where `encode` would. For text, every character counts, blanks too.
    """
    value = PARSERS.get(tag.data_type, _parse_number)(tag, text)
    encode(tag, value)
    if not tag.data_type.is_number:
        return value
    return int(value) if tag.has_whole_values else float(value)


def set_bit(word: int, bit: int, value: bool) -> int:
    """Return the register with one bit changed, 0 the least significant, whatever the tag's byte order."""
    return word | (1 << bit) if value else word & ~(1 << bit)


def _bool_words(tag: TagSpec, value: Value) -> Words:
    # 1 is not True here: a caller who sends numbers may mean another tag.
    if not isinstance(value, bool):
        raise _refusal(tag, f"{_say(value)} is not a switch position")
    return (set_bit(0, tag.bit or 0, value),)


def _bool(tag: TagSpec, words: Sequence[int]) -> bool:
    return bool(words[0] if tag.bit is None else (words[0] >> tag.bit) & 1)


def _text_words(tag: TagSpec, value: Value) -> Words:
    if not isinstance(value, str):
        raise _refusal(tag, f"{_say(value)} is not text")
    if "\0" in value:
        raise _refusal(tag, f"{_say(value)} holds a NUL character, which ends a text in a PLC")
    try:
        encoded = value.encode()
    except UnicodeEncodeError:
        raise _refusal(tag, f"{_say(value)} holds half a character") from None
    if len(encoded) > tag.length * 2:
        raise _refusal(tag, f"{_say(value)} takes {len(encoded)} bytes and does not fit")
    return _to_words(tag, encoded.ljust(tag.length * 2, b"\0"))


def _text(tag: TagSpec, words: Sequence[int]) -> str:
    # What stands behind the first NUL is left over from a longer text, and PostgreSQL stores no NUL.
    encoded = _to_bytes(tag, words).partition(b"\0")[0]
    try:
        return encoded.decode()
    except UnicodeDecodeError:
        return encoded.decode("latin-1")


def _number_words(tag: TagSpec, value: Value) -> Words:
    number = _require_number(tag, value)
    if beyond := _beyond_limits(tag, number):
        raise _refusal(tag, f"{_say(number)} is {beyond}")
    raw = _raw(tag, number)
    _require_step_within_limits(tag, number, raw_numbers.unpack(tag.data_type, raw))
    return _to_words(tag, raw)


def _number(tag: TagSpec, words: Sequence[int]) -> float:
    return _scaled(tag, raw_numbers.unpack(tag.data_type, _to_bytes(tag, words)))


def _require_number(tag: TagSpec, value: Value) -> float:
    # True is an int in Python.
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _refusal(tag, f"{_say(value)} is not a number")
    if isinstance(value, float) and not math.isfinite(value):
        raise _refusal(tag, f"{'NaN' if math.isnan(value) else 'infinity'} is nothing that a machine can act on")
    if tag.has_whole_values and value != int(value):
        raise _refusal(tag, f"{_say(value)} is not whole")
    if tag.scale == 0:
        raise _refusal(tag, "the tag's scale is 0, so that nothing can be written")
    return value


def _require_step_within_limits(tag: TagSpec, number: float, step: float) -> None:
    """The limits protect the machine: rounding to the steps of an integer may not lead beyond them."""
    if _is_plain(tag) or tag.data_type.is_float:
        return
    if beyond := _beyond_limits(tag, _exact(tag, step)):
        raise _refusal(tag, f"{_say(number)} would be written as {_say(_scaled(tag, step))}, that is {beyond}")


def _beyond_limits(tag: TagSpec, number: float | Fraction) -> str:
    # A float 0.1 lies a little above the 0.1 that the engineer set as maximum: floats are compared with floats.
    exactly = float if isinstance(number, float) else Fraction
    if tag.minimum is not None and number < exactly(tag.minimum):
        return "below the minimum"
    if tag.maximum is not None and number > exactly(tag.maximum):
        return "above the maximum"
    return ""


def _raw(tag: TagSpec, value: float) -> bytes:
    """The nearest step, or the one beside it that alone reads as the value again."""
    wanted = value if _is_plain(tag) else (Fraction(value) - Fraction(tag.offset)) / Fraction(tag.scale)
    nearest, fits = raw_numbers.pack(tag.data_type, wanted)
    if fits and _is_plain(tag) and not tag.data_type.is_float:
        return nearest  # a whole number, which is its own step
    for raw in raw_numbers.neighbours(nearest):
        if _scaled(tag, raw_numbers.unpack(tag.data_type, raw)) == value:
            return raw
    if not fits:
        raise _refusal(tag, f"{_say(value)} does not fit {tag.data_type}")
    return nearest


def _scaled(tag: TagSpec, raw: float) -> float:
    if _is_plain(tag):
        return raw
    if not math.isfinite(raw):
        return raw * math.copysign(1, tag.scale)
    exact = _exact(tag, raw)
    if tag.has_whole_values:
        return int(exact)
    try:
        return float(exact)
    except OverflowError:  # a float64 near its end, scaled up
        return math.inf if exact > 0 else -math.inf


def _exact(tag: TagSpec, raw: float) -> Fraction:
    return Fraction(raw) * Fraction(tag.scale) + Fraction(tag.offset)


def _is_plain(tag: TagSpec) -> bool:
    """The number in the PLC is the value itself."""
    return tag.scale == 1 and tag.offset == 0


def _to_words(tag: TagSpec, raw: bytes) -> Words:
    return _ordered(tag.byte_order, struct.unpack(f">{len(raw) // 2}H", raw))


def _to_bytes(tag: TagSpec, words: Sequence[int]) -> bytes:
    return struct.pack(f">{len(words)}H", *_ordered(tag.byte_order, words))


def _ordered(order: ByteOrder, words: Sequence[int]) -> Words:
    """Most significant first to the tag's order, and by the same swaps back."""
    if order is AS_THEY_ARE:
        return tuple(words)
    swapped = ((word & 0xFF) << 8 | (word >> 8) for word in words) if order.swaps_bytes else words
    return tuple(swapped)[::-1] if order.swaps_registers else tuple(swapped)


def _parse_bool(tag: TagSpec, text: str) -> bool:
    word = text.strip().casefold()
    labelled = _raw_of_label(tag, word)
    if labelled is not None:
        return bool(labelled)
    if word not in SWITCH_WORDS:
        raise _refusal(tag, f"{_say(text)} is none of {_list([*SWITCH_WORDS, *tag.labels.values()])}")
    return SWITCH_WORDS[word]


def _parse_number(tag: TagSpec, text: str) -> float:
    word = text.strip().casefold()
    labelled = _raw_of_label(tag, word)
    if labelled is not None:
        return _scaled(tag, labelled)
    for notation, read in NOTATIONS:
        if len(word) <= LONGEST_NUMBER and notation.fullmatch(word):
            return read(word)
    if "," in word:
        raise _refusal(tag, f"{_say(text)} has a comma: write 21.5 with a point, and thousands without a mark")
    labels = f" and no label ({_list(tag.labels.values())})" if tag.labels else ""
    raise _refusal(tag, f"{_say(text)} is not a number{labels}")


def _parse_text(_tag: TagSpec, text: str) -> str:
    return text


def _raw_of_label(tag: TagSpec, word: str) -> int | None:
    """The raw number that the engineer gave this word to; it goes before what the word could mean otherwise."""
    found = [raw for raw, label in tag.labels.items() if label.strip().casefold() == word]
    if len(found) > 1:
        raise _refusal(tag, f"{_say(word)} is the label of {_list(found)}, write the number")
    return found[0] if found else None


def _refusal(tag: TagSpec, wrong: str) -> ValueRefused:
    return ValueRefused(f"{tag.name}: {wrong}; allowed: {ALLOWED.get(tag.data_type, _allowed_numbers)(tag)}")


def _allowed_numbers(tag: TagSpec) -> str:
    """The type's range cut to the tag's limits, in the tag's unit."""
    low, high = sorted(_scaled(tag, end) for end in raw_numbers.RANGES[tag.data_type])
    lowest = _say(low) if tag.minimum is None or tag.minimum < low else _say_limit(tag.minimum)
    highest = _say(high) if tag.maximum is None or tag.maximum > high else _say_limit(tag.maximum)
    unit = f" {tag.unit}" if tag.unit else ""
    return f"{'whole numbers' if tag.has_whole_values else 'numbers'} from {lowest} to {highest}{unit}"


def _say_limit(limit: Decimal) -> str:
    """Without the zeros that a database column fills up with."""
    return f"{limit:.10f}".rstrip("0").rstrip(".")


def _list(words: Any) -> str:
    return ", ".join(str(word) for word in words)


def _say(value: Any) -> str:
    """A value as the caller wrote it in JSON, cut where it is long; Python itself refuses to print a huge int."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int) and value.bit_length() > 128:
        return "a number of more than 38 digits"
    return reprlib.repr(value)


ENCODERS: Mapping[DataType, Callable[[TagSpec, Value], Words]] = {
    DataType.BOOL: _bool_words,
    DataType.STRING: _text_words,
}
DECODERS: Mapping[DataType, Callable[[TagSpec, Sequence[int]], Value]] = {
    DataType.BOOL: _bool,
    DataType.STRING: _text,
}
PARSERS: Mapping[DataType, Callable[[TagSpec, str], Value]] = {
    DataType.BOOL: _parse_bool,
    DataType.STRING: _parse_text,
}
ALLOWED: Mapping[DataType, Callable[[TagSpec], str]] = {
    DataType.BOOL: lambda _tag: "true or false",
    DataType.STRING: lambda tag: (
        f"text of up to {tag.length * 2} bytes in UTF-8 (letters beyond A to Z take two or more)"
    ),
}
