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
from django.utils import timezone

from devices.models import Run

logger = logging.getLogger(__name__)

BATCH = 200  # runs a transaction: who writes a run meanwhile waits for one of these, not for all
FIRST_S = 300.0  # after the start, when those who waited for it are served
DAILY_S = 86_400.0

Sleep = Callable[[float], Awaitable[None]]


def prune(*, now: datetime) -> int:
    """Empty the frames of all runs that ended more than FRAMES_DAYS ago; returns how many there were."""
    return sum(batches(now=now))


def batches(*, now: datetime) -> Iterator[int]:
    """The same, a batch at each step; yields how many runs it took. Nothing else of a run is touched."""
    try:
        before = now - timedelta(days=max(settings.FRAMES_DAYS, 0))
    except OverflowError:  # longer than there have been calendars: for ever
        return
    old = Run.objects.filter(finished_at__lt=before).exclude(frames=[])
    newest = 0
    while batch := list(old.filter(pk__gt=newest).order_by("pk").values_list("pk", flat=True)[:BATCH]):
        newest = batch[-1]
        # Asked again: what is open or young now is left alone, whatever it was a moment ago.
        yield old.filter(pk__in=batch).update(frames=[])


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
    await sleep(FIRST_S)
    while True:
        try:
            await _prune_between_others(clock())
        except DatabaseUnavailable as error:  # InterfaceError too: a lost connection must not end the chore for good
            logger.warning("the frames of old runs could not be emptied, next try tomorrow: %s", error)
        await sleep(DAILY_S)


async def _prune_between_others(now: datetime) -> None:
    """Batch by batch: all of a process's async database work shares one thread."""
    work, count = batches(now=now), 0
    while (done := await database_sync_to_async(next)(work, None)) is not None:
        count += done
    if count:
        logger.info("emptied the frames of %d run(s) that ended more than %d days ago", count, settings.FRAMES_DAYS)
