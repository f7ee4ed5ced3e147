"""What a tag held over time, in so many points that a page can draw it. With the database, in two or three queries.

A point holds until the next one. Where there are more samples than points, each point stands for a stretch of time with
its lowest and highest value, so that no peak is lost however short it was.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connection
from django.db.models import Max

from devices.control.recorded import RecordedTag, Span
from devices.models import Sample

BUCKETS = """
WITH bucket AS (
    SELECT (at_ms - %(start)s) / %(width)s AS place,
           MIN(at_ms) AS first_ms,
           MAX(CASE WHEN number IS NOT NULL THEN at_ms END) AS read_ms,
           MAX(CASE WHEN number IS NULL THEN at_ms END) AS lost_ms,
           MIN(number) AS minimum,
           MAX(number) AS maximum
    FROM devices_sample
    WHERE series_id = %(series)s AND at_ms >= %(start)s AND at_ms < %(end)s
    GROUP BY 1
)
SELECT first_ms, read_ms, lost_ms, minimum, maximum,
       (SELECT number FROM devices_sample AS sample
        WHERE sample.series_id = %(series)s AND sample.at_ms = bucket.read_ms AND number IS NOT NULL
        ORDER BY id DESC LIMIT 1) AS number
FROM bucket ORDER BY place
"""

CHANGES = """
SELECT at_ms, text, before_ms
FROM (
    SELECT id, at_ms, text, LAG(at_ms) OVER in_time AS before_ms, LAG(text) OVER in_time AS earlier
    FROM devices_sample
    WHERE series_id = %(series)s AND at_ms >= %(start)s AND at_ms < %(end)s
    WINDOW in_time AS (ORDER BY at_ms, id)
) AS sample
WHERE before_ms IS NULL OR at_ms - before_ms > %(silent)s
   OR COALESCE(text, '') <> COALESCE(earlier, '') OR (text IS NULL) <> (earlier IS NULL)
ORDER BY at_ms DESC, id DESC LIMIT %(limit)s
"""

FOR_EVER_MS = 2**62  # a silence that no history can hold


@dataclass(frozen=True, slots=True)
class Point:
    """What a tag holds from a moment on; without a value: it was not read from then on, or nobody recorded it."""

    at_ms: int
    value: float | str | None = None
    minimum: float | None = None
    """Of all samples that the point stands for; None for a text."""
    maximum: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Trend:
    """The history of a tag within a span."""

    tag: RecordedTag
    span: Span
    is_downsampled: bool
    """Points stand for more than one sample; of a text: the oldest changes are left out."""
    points: tuple[Point, ...]


@dataclass(frozen=True, slots=True)
class _Stretch:
    """Samples that are told by one point or two."""

    first_ms: int
    last_ms: int
    points: tuple[Point, ...]


def trend(tag: RecordedTag, span: Span, points: int) -> Trend:
    """The history of a tag in at most `points` values; where one begins to be missing there is a point more."""
    is_downsampled, stretches = (_changes if tag.is_text else _numbers)(tag, span, points)
    # Where the oldest changes are left out, nobody knows here what held at the edge.
    edge = () if tag.is_text and is_downsampled else _edge(tag, span)
    drawn = tuple(_with_gaps((*edge, *stretches), span, tag.silent_ms))
    return Trend(tag=tag, span=span, is_downsampled=is_downsampled, points=drawn)


def _with_gaps(stretches: Iterable[_Stretch], span: Span, silent_ms: float) -> Iterator[Point]:
    """All points, and one where for too long nobody recorded anything: the process was dead."""
    held_ms: int | None = None
    """The newest sample, while there is a value that holds."""
    for stretch in stretches:
        if held_ms is not None and stretch.first_ms - held_ms > silent_ms:
            yield Point(int(held_ms + silent_ms))
            held_ms = None
        for point in stretch.points:
            if point.value is not None or held_ms is not None:
                yield point
            held_ms = None if point.value is None else stretch.last_ms
    if held_ms is not None and span.end_ms - held_ms > silent_ms:
        yield Point(int(held_ms + silent_ms))


def _edge(tag: RecordedTag, span: Span) -> tuple[_Stretch, ...]:
    """What held when the span began, if anything did."""
    before = Sample.objects.filter(series=tag.series, at_ms__lt=span.start_ms).order_by("-at_ms", "-pk")
    found = before.values_list("at_ms", "text" if tag.is_text else "number").first()
    if found is None or found[1] is None or span.start_ms - found[0] > tag.silent_ms:
        return ()
    return (_Stretch(found[0], found[0], (_point(span.start_ms, found[1]),)),)


def _numbers(tag: RecordedTag, span: Span, points: int) -> tuple[bool, list[_Stretch]]:
    samples = Sample.objects.filter(series=tag.series, at_ms__gte=span.start_ms, at_ms__lt=span.end_ms)
    few = list(samples.order_by("at_ms", "pk").values_list("at_ms", "number")[: points + 1])
    if len(few) <= points:
        return False, [_Stretch(at_ms, at_ms, (_point(at_ms, number),)) for at_ms, number in few]
    width = -(-(span.end_ms - span.start_ms) // points)
    return True, [_stretch(bucket) for bucket in _rows(BUCKETS, tag, span, width=width)]


def _stretch(bucket: Sequence[Any]) -> _Stretch:
    """A bucket as the database tells it; where the tag was lost and read again within it, it shows that too."""
    first_ms, read_ms, lost_ms, minimum, maximum, number = bucket
    if read_ms is None:
        return _Stretch(first_ms, lost_ms or first_ms, (Point(first_ms),))
    point = Point(read_ms, number, minimum, maximum)
    if lost_ms is None:
        return _Stretch(first_ms, read_ms, (point,))
    both = sorted((Point(lost_ms), point), key=lambda one: (one.at_ms, one.value is None))
    return _Stretch(first_ms, max(read_ms, lost_ms), tuple(both))


def _changes(tag: RecordedTag, span: Span, points: int) -> tuple[bool, list[_Stretch]]:
    """The newest changes of a text; what was only recorded again is part of the change before."""
    silent_ms = min(tag.silent_ms, FOR_EVER_MS)
    rows = _rows(CHANGES, tag, span, silent=silent_ms, limit=points + 1)
    last_ms = Sample.objects.filter(series=tag.series, at_ms__lt=span.end_ms).aggregate(last=Max("at_ms"))["last"]
    stretches = []
    for at_ms, text, before_ms in rows[:points]:
        stretches.append(_Stretch(at_ms, last_ms, (_point(at_ms, text),)))
        last_ms = before_ms
    return len(rows) > points, stretches[::-1]


def _point(at_ms: int, value: float | str | None) -> Point:
    """Of one sample."""
    return Point(at_ms, value) if isinstance(value, str) else Point(at_ms, value, value, value)


def _rows(sql: str, tag: RecordedTag, span: Span, **more: float) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, {"series": tag.series, "start": span.start_ms, "end": span.end_ms, **more})
        return list(cursor.fetchall())
