"""The stretch of time that a caller asks for: `from` and `to` of a query."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Annotated

from ninja import Field, Schema
from pydantic import WithJsonSchema

from devices.control.errors import InvalidParameters
from devices.control.recorded import EPOCH, Span

LAST = timedelta(hours=1)  # what is told where no time is given
LONGEST = timedelta(days=366)
EXAMPLE = "2026-11-26T08:00:00Z"

Given = Annotated[str | None, WithJsonSchema({"type": "string", "format": "date-time"})]


class SpanIn(Schema):
    """From when to when."""

    start: Given = Field(
        None,
        alias="from",
        description=f"ISO 8601 with a time zone, for example `{EXAMPLE}`; one hour before `to` if left out",
    )
    end: Given = Field(None, alias="to", description="likewise; now if left out. At most 366 days after `from`")

    def span(self, now: datetime) -> Span:
        """As asked for; InvalidParameters names what is wrong."""
        faults: list[tuple[str, str]] = []
        end = _moment("to", self.end, now, faults)
        start = _moment("from", self.start, max(end - LAST, EPOCH), faults)
        faults = faults or list(_faults(start, end))
        if faults:
            raise InvalidParameters(tuple(faults))
        return Span.between(start, end)


def _moment(name: str, text: str | None, default: datetime, faults: list[tuple[str, str]]) -> datetime:
    if text is None:
        return default
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is not None:
            return moment.astimezone(UTC)
        fault = f"has no time zone: write it as {EXAMPLE}"
    except (OverflowError, ValueError):
        fault = f"must be a moment in ISO 8601 like {EXAMPLE}; a + in it is sent as %2B"
    faults.append((name, fault))
    return default


def _faults(start: datetime, end: datetime) -> Iterator[tuple[str, str]]:
    if start < EPOCH:
        yield "from", "must not be before 1970"
    if end <= start:
        yield "to", "must be after `from`"
    elif end - start > LONGEST:
        yield "to", f"must be at most {LONGEST.days} days after `from`"
