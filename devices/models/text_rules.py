"""What names, texts, hosts and plain numbers may look like. Validators; no rows, no network."""

import ipaddress
import re
import unicodedata
from collections.abc import Iterable

from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.utils.deconstruct import deconstructible

HOST_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)\Z", re.IGNORECASE)  # RFC 1123, and the _ of Windows names
# Invisible, or able to make a text read as another one: controls, bidi and other format marks, lone surrogates.
UNPRINTABLE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
JOINERS = frozenset("\u200c\u200d")  # format characters that Persian and emoji need
LINE_ENDS = frozenset("\r\n\t")

identifier = RegexValidator(
    r"^[a-z][a-z0-9_]*\Z",
    "Use lower-case letters, digits and _ only, a letter first, for example batch_size.",
)
slug = RegexValidator(
    r"^(?=.*[a-z])[a-z0-9][a-z0-9_-]*\Z",
    "Use lower-case letters, digits, - and _ only, and at least one letter, for example press-1.",
)


def printable(text: str) -> None:
    """Refuse what cannot be seen; one line only."""
    _refuse(character for character in text if _is_unprintable(character))


def printable_lines(text: str) -> None:
    """The same for texts of several lines."""
    _refuse(character for character in text if _is_unprintable(character) and character not in LINE_ENDS)


def visible(text: str) -> str:
    """The text with what cannot be seen written out, for example \\u202e: to show what somebody else typed."""
    if text.isprintable():
        return text
    return "".join(f"\\u{ord(each):04x}" if _is_unprintable(each) else each for each in text)


def _is_unprintable(character: str) -> bool:
    return unicodedata.category(character) in UNPRINTABLE and character not in JOINERS


def _refuse(characters: Iterable[str]) -> None:
    found = next(iter(characters), None)
    if found is not None:
        name = unicodedata.name(found, "a control character")
        raise ValidationError(
            f"Contains U+{ord(found):04X} ({name.lower()}), which cannot be seen: type the text anew without it."
        )


def host(text: str) -> None:
    """An IP address, or a name by its syntax; whether it exists shows when the PLC is called."""
    if "://" in text or "/" in text:
        raise ValidationError("Only the name or the IP address, without http:// and without a path.")
    address = _address(text)
    if address is None:
        _require_name(text)
    elif address.is_unspecified or address.is_multicast:
        raise ValidationError(f"{text} is no address of a single PLC.")


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def _require_name(text: str) -> None:
    if ":" in text:
        raise ValidationError("Only the name or the IP address: the port has a field of its own.")
    labels = text.removesuffix(".").split(".")
    # The system would read 10.0.5 as 10.0.0.5 and 010.0.0.5 as 8.0.0.5: another machine.
    if labels[-1].isdigit() or re.fullmatch(r"0x[0-9a-f]*", labels[-1], re.IGNORECASE):
        raise ValidationError(f"{text} is not a whole IP address: four numbers of 0 to 255, for example 192.168.0.10.")
    if not all(HOST_LABEL.match(label) for label in labels):
        raise ValidationError("Not a host name: letters, digits, - and _ in parts divided by points.")


def networks(text: str) -> None:
    """Networks or addresses, divided by commas."""
    for part in filter(None, (part.strip() for part in text.split(","))):
        try:
            ipaddress.ip_network(part)
        except ValueError as error:
            raise ValidationError(f"{part} is no network such as 10.1.0.0/16, and no IP address: {error}.") from error


def poll_interval(interval_ms: int) -> None:
    """How often a tag is read: never, or with a pause that a PLC can live with."""
    if interval_ms and not 50 <= interval_ms <= 3_600_000:
        raise ValidationError("Must be 0 (never) or 50 to 3600000 milliseconds.")


@deconstructible
class Between:
    """A number within two limits, both included; NaN never is."""

    def __init__(self, low: float, high: float, why: str = "") -> None:
        self.low, self.high, self.why = low, high, why

    def __call__(self, value: float) -> None:
        if not self.low <= value <= self.high:
            why = f": {self.why}" if self.why else ""
            raise ValidationError(f"Must be {self.low:.15g} to {self.high:.15g}{why}.")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Between) and vars(self) == vars(other)

    def __hash__(self) -> int:
        return hash((self.low, self.high, self.why))
