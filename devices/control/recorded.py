"""Tags that have a history: marked for it now, or once. With the database."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db.models import Q

from devices.control.errors import UnknownTag
from devices.modbus.types import DataType
from devices.models import Sample, Series
from devices.plc.specs import PLCSpec, PollSpec

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Span:
    """From a moment on until before another, in milliseconds since 1970-01-01 UTC."""

    start_ms: int
    end_ms: int

    @classmethod
    def between(cls, start: datetime, end: datetime) -> "Span":
        """Both with a time zone."""
        return cls((start - EPOCH) // MILLISECOND, (end - EPOCH) // MILLISECOND)


def moment(at_ms: int) -> datetime:
    """The moment of a sample, in UTC."""
    return EPOCH + at_ms * MILLISECOND


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordedTag:
    """A tag of a PLC whose samples are kept."""

    name: str
    unit: str
    is_text: bool
    series: int | None
    """None: nothing was recorded yet."""
    silent_ms: float
    """No two samples are further apart than this while it is read; beyond it nobody recorded."""


def find(plc: PLCSpec, names: Iterable[str]) -> list[RecordedTag]:
    """The tags of these names; UnknownTag for one that has no history."""
    series = dict(Series.objects.filter(plc=plc.id).values_list("tag", "pk"))
    known = {name for name, poll in plc.polls.items() if poll.is_recorded} | series.keys()
    for name in names:
        if name not in known:
            kept = ", ".join(sorted(known)) or "none"
            raise UnknownTag(f"{plc.name} has no tag {name!r} whose history is kept; kept are: {kept}")
    return [_recorded(plc.polls.get(name), name, series.get(name)) for name in names]


def _recorded(poll: PollSpec | None, name: str, series: int | None) -> RecordedTag:
    return RecordedTag(
        name=name,
        unit=poll.tag.unit if poll else "",
        is_text=poll.tag.data_type is DataType.STRING if poll else _holds_text(series),
        series=series,
        silent_ms=_silent_ms(poll),
    )


def _silent_ms(poll: PollSpec | None) -> float:
    """A tag that is recorded no more tells nothing of how often it was; its end is a sample of its own."""
    if poll is None or not poll.is_recorded:
        return math.inf
    return round(1000 * (max(poll.record_every_s, poll.interval_s) + poll.old_after_s))


def _holds_text(series: int | None) -> bool:
    """Of a tag that its profile has no more: what its newest value was."""
    readable = Sample.objects.filter(Q(number__isnull=False) | Q(text__isnull=False), series=series)
    newest = readable.order_by("-at_ms", "-pk").values_list("text", flat=True).first()
    return newest is not None
