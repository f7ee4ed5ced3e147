"""The raw frames of old runs go, the runs themselves stay."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Q, QuerySet

from devices.models import Run

BATCH = 200  # runs a transaction: who writes a run meanwhile waits for one of these, not for all
WINDOW = 5000  # numbers of runs that one query looks at: there is no index on the end of a run


class Sweep:
    """Goes through the runs by number, and remembers up to where nothing is left to do. Touches no more than frames."""

    def __init__(self) -> None:
        self.done = 0
        """All runs up to this number ended long ago, and hold no frames."""

    def steps(self, *, now: datetime) -> Iterator[int]:
        """The same in small steps, each bounded however many runs there are; yields how many runs it took."""
        try:
            before = now - timedelta(days=max(settings.FRAMES_DAYS, 0))
        except OverflowError:  # longer than there have been calendars: for ever
            return
        newest = Run.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
        is_done = True
        for start in range(self.done, newest, WINDOW):
            window = Run.objects.filter(pk__gt=start, pk__lte=start + WINDOW)
            yield from _emptied(window.filter(finished_at__lt=before).exclude(frames=[]))
            is_done = is_done and start + WINDOW <= newest and not _holds_young(window, before)
            if is_done:
                self.done = start + WINDOW
            yield 0


def _emptied(old: QuerySet[Run]) -> Iterator[int]:
    reached = 0
    while batch := list(old.filter(pk__gt=reached).order_by("pk").values_list("pk", flat=True)[:BATCH]):
        reached = batch[-1]
        # Asked again: what is open or young now is left alone, whatever it was a moment ago.
        yield old.filter(pk__in=batch).update(frames=[])


def _holds_young(runs: QuerySet[Run], before: datetime) -> bool:
    """Some of them are open, or are to be emptied another day."""
    return runs.filter(Q(finished_at=None) | Q(finished_at__gte=before)).exists()
