"""Samples as a table that a spreadsheet opens, and takes no formula from."""

from collections.abc import Iterable, Iterator

from devices.control.exports import Kept
from devices.control.recorded import moment
from devices.control.spreadsheets import MOST_ROWS, harmless, lines

HEAD = ("time", "tag", "value", "unit")
EXACT = 2**53  # up to here a float holds every whole number


class Table:
    """The lines of one table, with an end that says so if it comes too early."""

    def __init__(self, *, limit: int = MOST_ROWS) -> None:
        self._left = limit
        self._limit = limit

    def texts(self, pages: Iterable[list[Kept]]) -> Iterator[str]:
        """The table, in pieces of some lines."""
        yield lines([HEAD])
        for page in pages:
            if len(page) > self._left:
                yield lines(map(_row, page[: self._left])) + self.cut(
                    f"after {self._limit} rows, ask for a shorter time"
                )
                return
            self._left -= len(page)
            yield lines(map(_row, page))

    def cut(self, why: str) -> str:
        """The last line of a table that is not whole."""
        return lines([(f"# cut: {why}", "", "", "")])


def _row(sample: Kept) -> tuple[str, ...]:
    time = moment(sample.at_ms).isoformat(timespec="milliseconds")
    return time, harmless(sample.tag.name), _value(sample), harmless(sample.tag.unit)


def _value(sample: Kept) -> str:
    if sample.text is not None:
        return harmless(sample.text)
    if sample.number is None:
        return ""
    is_whole = sample.number.is_integer() and abs(sample.number) < EXACT
    return str(int(sample.number)) if is_whole else repr(sample.number)
