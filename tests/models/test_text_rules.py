"""Names, texts and hosts that can be told apart by eye, and numbers within their limits."""

import math

import pytest
from django.core.exceptions import ValidationError

from devices.models import text_rules
from devices.models.text_rules import Between

INVISIBLE = {
    "NUL": "\0",
    "newline": "\n",
    "escape": "\x1b",
    "right-to-left override": "\u202e",
    "left-to-right mark": "\u200e",
    "isolate": "\u2066",
    "zero width space": "\u200b",
    "byte order mark": "\ufeff",
    "soft hyphen": "\u00ad",
    "line separator": "\u2028",
    "lone surrogate": "\ud800",
}


def complaint(validator, value) -> str:
    """What the validator says, empty if nothing."""
    try:
        validator(value)
    except ValidationError as error:
        return error.messages[0]
    return ""


class TestPrintable:
    @pytest.mark.parametrize("character", INVISIBLE.values(), ids=INVISIBLE)
    def test_refuses_what_cannot_be_seen(self, character):
        assert f"U+{ord(character):04X}" in complaint(text_rules.printable, f"press{character}1")

    @pytest.mark.parametrize("text", ["Presse 1 (Süd)", "温度 °C", "می‌خواهم", "", "a\u00a0b", "½ µm"])
    def test_takes_every_language(self, text):
        assert not complaint(text_rules.printable, text)

    def test_takes_lines_only_where_there_may_be_several(self):
        assert not complaint(text_rules.printable_lines, "one\r\n\ttwo")
        assert complaint(text_rules.printable, "one\ntwo")
        assert complaint(text_rules.printable_lines, "one\u202etwo")


class TestNames:
    @pytest.mark.parametrize("name", ["a", "batch_size", "t1"])
    def test_of_tags_are_identifiers(self, name):
        assert not complaint(text_rules.identifier, name)

    @pytest.mark.parametrize("name", ["1st", "Batch", "batch-size", "batch size", "_x", "größe", "a\n", ""])
    def test_of_tags_are_nothing_else(self, name):
        assert "a letter first" in complaint(text_rules.identifier, name)

    @pytest.mark.parametrize("name", ["press-1", "press_1", "3d-printer"])
    def test_of_plcs_stand_in_addresses(self, name):
        assert not complaint(text_rules.slug, name)

    # A number is an id: /api/plcs/12 would be two PLCs.
    @pytest.mark.parametrize("name", ["12", "1-2", "Press-1", "press 1", "-press", "press/1", "press.1", "a\n", ""])
    def test_of_plcs_are_not_numbers_or_paths(self, name):
        assert "for example press-1" in complaint(text_rules.slug, name)


class TestHost:
    @pytest.mark.parametrize(
        "host",
        ["192.168.0.10", "127.0.0.1", "::1", "fe80::1%eth0", "press-1", "plc_1.hall-a.example.", "a" * 63, "1a.b"],
    )
    def test_is_an_address_or_a_name(self, host):
        assert not complaint(text_rules.host, host)

    @pytest.mark.parametrize(
        ("host", "hint"),
        [
            ("192.168.0.300", "not a whole IP address"),
            ("10.0.5", "not a whole IP address"),
            ("010.0.0.5", "not a whole IP address"),
            ("0x7f000001", "not a whole IP address"),
            ("12", "not a whole IP address"),
            ("http://press-1", "without http://"),
            ("press-1/x", "without a path"),
            ("press-1:502", "port has a field of its own"),
            ("[::1]", "port has a field of its own"),
            ("press 1", "Not a host name"),
            ("-press", "Not a host name"),
            ("press..1a", "Not a host name"),
            ("a" * 64, "Not a host name"),
            ("größe", "Not a host name"),
            ("press\n", "Not a host name"),
            ("0.0.0.0", "no address of a single PLC"),
            ("::", "no address of a single PLC"),
            ("224.0.0.1", "no address of a single PLC"),
        ],
    )
    def test_says_what_is_wrong(self, host, hint):
        assert hint in complaint(text_rules.host, host)


class TestBetween:
    def test_takes_both_ends(self):
        assert not complaint(Between(1, 5), 1)
        assert not complaint(Between(1, 5), 5)

    @pytest.mark.parametrize("value", [0.99, 5.01, math.nan, math.inf, -math.inf])
    def test_refuses_the_rest(self, value):
        assert complaint(Between(1, 5, "so it is"), value) == "Must be 1 to 5: so it is."
