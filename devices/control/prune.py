"""Housekeeping: the raw frames of old runs go, the runs themselves stay."""

import asyncio
import contextvars
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

from channels.db import database_sync_to_async
from django.conf import settings
from django.db import Error as DatabaseUnavailable
from django.db.models import Q, QuerySet
from django.utils import timezone

from devices.models import Run

logger = logging.getLogger(__name__)

BATCH = 200  # runs a transaction: who writes a run meanwhile waits for one of these, not for all
WINDOW = 5000  # numbers of runs that one query looks at: there is no index on the end of a run
FIRST_S = 300.0  # after the start, when those who waited for it are served
DAILY_S = 86_400.0

Sleep = Callable[[float], Awaitable[None]]


def prune(*, now: datetime) -> int:
    """Empty the frames of all runs that ended more than FRAMES_DAYS ago; returns how many there were."""
    return sum(Sweep().steps(now=now))


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


@asynccontextmanager
async def pruning_daily(
    *, sleep: Sleep = asyncio.sleep, clock: Callable[[], datetime] = timezone.now
) -> AsyncIterator[None]:
    """Prune within the block, for the first time a few minutes after its start and then each day."""
    task = asyncio.create_task(_prune_daily(sleep, clock), context=contextvars.Context())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _prune_daily(sleep: Sleep, clock: Callable[[], datetime]) -> None:
    sweep = Sweep()
    await sleep(FIRST_S)
    while True:
        try:
            await _prune_between_others(sweep, clock())
        except DatabaseUnavailable as error:  # InterfaceError too: a lost connection must not end the chore for good
            logger.warning("the frames of old runs could not be emptied, next try tomorrow: %s", error)
        await sleep(DAILY_S)


async def _prune_between_others(sweep: Sweep, now: datetime) -> None:
    """Step by step: all of a process's async database work shares one thread."""
    work, count = sweep.steps(now=now), 0
    while (done := await database_sync_to_async(next)(work, None)) is not None:
        count += done
    if count:
        logger.info("emptied the frames of %d run(s) that ended more than %d days ago", count, settings.FRAMES_DAYS)
