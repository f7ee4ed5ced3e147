"""All samples of some tags, page by page: each page is one short query, however long the history is."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from django.db.models import Q

from devices.control.recorded import RecordedTag, Span
from devices.models import Sample

PAGE = 2000  # samples


@dataclass(frozen=True, slots=True)
class Kept:
    """One sample of a tag; neither number nor text: from then on it could not be read."""

    tag: RecordedTag
    at_ms: int
    number: float | None
    text: str | None


def pages(tags: Iterable[RecordedTag], span: Span) -> Iterator[list[Kept]]:
    """One tag after the other, each in the order of time; no page is empty."""
    for tag in tags:
        yield from _pages_of(tag, span)


def _pages_of(tag: RecordedTag, span: Span) -> Iterator[list[Kept]]:
    left = Sample.objects.filter(series=tag.series, at_ms__gte=span.start_ms, at_ms__lt=span.end_ms)
    in_time = left.order_by("at_ms", "pk").values_list("pk", "at_ms", "number", "text")
    while page := list(in_time[:PAGE]):
        yield [Kept(tag, at_ms, number, text) for _, at_ms, number, text in page]
        if len(page) < PAGE:
            return
        key, reached_ms = page[-1][:2]
        in_time = in_time.filter(Q(at_ms__gt=reached_ms) | Q(at_ms=reached_ms, pk__gt=key), at_ms__gte=reached_ms)
