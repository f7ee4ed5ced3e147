"""Samples older than their days go, and then a series that has none left."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef

from devices.control.recorded import EPOCH, MILLISECOND
from devices.models import Sample, Series

BATCH = 500  # samples a transaction: who writes meanwhile waits for one of these, not for all
SERIES = 200  # that one query looks at


def steps(*, now: datetime) -> Iterator[int]:
    """Delete samples that are more than HISTORY_DAYS old, in small steps; yields how many each of them took."""
    try:
        before_ms = (now - timedelta(days=max(settings.HISTORY_DAYS, 0)) - EPOCH) // MILLISECOND
    except OverflowError:  # longer than there have been calendars: for ever
        return
    reached = 0
    while some := list(Series.objects.filter(pk__gt=reached).order_by("pk").values_list("pk", flat=True)[:SERIES]):
        reached = some[-1]
        for series in some:
            yield from _deleted(series, before_ms)
        _delete_empty(some)
        yield 0


def _deleted(series: int, before_ms: int) -> Iterator[int]:
    old = Sample.objects.filter(series=series, at_ms__lt=before_ms).order_by("at_ms").values_list("pk", flat=True)
    while batch := list(old[:BATCH]):
        yield Sample.objects.filter(pk__in=batch).delete()[0]


def _delete_empty(some: Sequence[int]) -> None:
    """Looked at again under a lock: a recorder that writes to one of them meanwhile makes it anew."""
    empty = Series.objects.filter(~Exists(Sample.objects.filter(series=OuterRef("pk"))), pk__in=some)
    if found := list(empty.values_list("pk", flat=True)):
        with transaction.atomic():
            locked = Series.objects.select_for_update().filter(pk__in=found)
            empty.filter(pk__in=[series.pk for series in locked]).delete()
