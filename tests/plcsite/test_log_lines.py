"""Whoever can put text into a log line cannot forge another, nor steer the terminal that shows it."""

import logging

import pytest

from plcsite.log_lines import OneLine


def line(message: str, *args: object, **more: object) -> str:
    """How a record is written."""
    logger = logging.getLogger("test")
    return OneLine("{levelname} {message}", style="{").format(
        logger.makeRecord("test", logging.INFO, __file__, 1, message, args, more.get("exc_info"))
    )


class TestALine:
    @pytest.mark.parametrize(
        ("given", "written"),
        [
            ("a\nINFO forged", "a\\nINFO forged"),
            ("a\r\n", "a\\r\\n"),
            ("\x1b[2J", "\\x1b[2J"),
            ("\x9b2J", "\\x9b2J"),
            ("\x00\x7f", "\\x00\\x7f"),
            ("\u2028", "\\u2028"),
            ("\u202eevil", "\\u202eevil"),
            ("\u061c\u2066\u200f", "\\u061c\\u2066\\u200f"),
            ("Grüße, 5 °C ✓", "Grüße, 5 °C ✓"),
        ],
    )
    def test_shows_control_characters_as_text(self, given, written):
        assert line("%s", given) == f"INFO {written}"

    def test_holds_a_stack_trace_too(self):
        try:
            raise ValueError("first\nsecond")
        except ValueError as error:
            text = line("failed", exc_info=(ValueError, error, error.__traceback__))
        assert "\n" not in text
        assert "first\\nsecond" in text
