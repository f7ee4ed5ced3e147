"""Housekeeping: what is kept for some days only goes, daily while the gateway serves, or at once."""

import asyncio
import contextvars
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

from channels.db import database_sync_to_async
from django.conf import settings
from django.db import Error as DatabaseUnavailable
from django.utils import timezone

from devices.control import prune_samples
from devices.control.prune_frames import Sweep

logger = logging.getLogger(__name__)

FIRST_S = 300.0  # after the start, when those who waited for it are served
DAILY_S = 86_400.0
REST_S = 0.02  # after each step that wrote: SQLite has one writer at a time, and commands come first

Sleep = Callable[[float], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Pruned:
    """What went."""

    runs: int
    """Whose frames were emptied."""
    samples: int


def prune(*, now: datetime) -> Pruned:
    """Empty the frames of runs that ended more than FRAMES_DAYS ago, delete samples older than HISTORY_DAYS."""
    return Pruned(runs=_all(Sweep().steps(now=now)), samples=_all(prune_samples.steps(now=now)))


def _all(steps: Iterator[int]) -> int:
    count = 0
    for done in steps:
        count += done
        if done:
            time.sleep(REST_S)
    return count


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
        now = clock()
        try:
            runs = await _between_others(sweep.steps(now=now))
            samples = await _between_others(prune_samples.steps(now=now))
        except DatabaseUnavailable as error:  # InterfaceError too: a lost connection must not end the chore for good
            logger.warning("what is old could not be pruned, next try tomorrow: %s", error)
        else:
            _tell(Pruned(runs=runs, samples=samples))
        await sleep(DAILY_S)


async def _between_others(steps: Iterator[int]) -> int:
    """Step by step: all of a process's async database work shares one thread."""
    count = 0
    while (done := await database_sync_to_async(next)(steps, None)) is not None:
        count += done
        if done:
            await asyncio.sleep(REST_S)
    return count


def _tell(pruned: Pruned) -> None:
    if pruned.runs:
        ended = f"ended more than {settings.FRAMES_DAYS} days ago"
        logger.info("emptied the frames of %d run(s) that %s", pruned.runs, ended)
    if pruned.samples:
        logger.info("deleted %d sample(s) more than %d days old", pruned.samples, settings.HISTORY_DAYS)
