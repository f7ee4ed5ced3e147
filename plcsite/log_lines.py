"""One record, one line: nobody can write a second one into the log, or steer a terminal that shows it."""

import logging

_BIDI = (0x061C, *range(0x200E, 0x2010), *range(0x202A, 0x202F), *range(0x2066, 0x206A))  # marks that turn text around
_ESCAPES = {
    **{code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0))},
    **{code: f"\\u{code:04x}" for code in (0x2028, 0x2029, *_BIDI)},
    ord("\n"): "\\n",
    ord("\r"): "\\r",
    ord("\t"): "\\t",
}


class OneLine(logging.Formatter):
    """Escapes control characters, in stack traces too."""

    def format(self, record: logging.LogRecord) -> str:
        """The whole record as one line."""
        return super().format(record).translate(_ESCAPES)
