"""Lines of a table that a spreadsheet opens, and takes no formula from. Pure."""

import csv
import io
import re
from collections.abc import Iterable

MOST_ROWS = 1_000_000  # what a spreadsheet takes

# A cell that begins like one of these is carried out (full-width signs too, in some languages). A cell may also begin
# behind a ; or a tab, or in a new line: not every country's spreadsheet divides at commas, and then quotes do not hold.
_STARTS = re.compile(r"(^|[;|\t\r\n])(?=[^\S\r\n]*[=+\-@＝＋－＠])|^(?=[\t\r\n])")


def lines(rows: Iterable[tuple[str, ...]]) -> str:
    """As CSV, whatever is in the cells; texts that others wrote go through `harmless` first."""
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue()


def harmless(text: str) -> str:
    """The text with a ' wherever a cell could begin with a formula; all other texts as they are."""
    return _STARTS.sub(r"\1'", text)
