"""Waiting for a run whose task is not of this process, by looking at its row."""

import asyncio
import logging

from channels.db import database_sync_to_async
from django.db import DatabaseError

from devices.control import stored
from devices.control.records import RunRecord

logger = logging.getLogger(__name__)

LONGEST_S = 3600.0  # nobody waits longer for what another process does
LOOK_EVERY_S = 0.15

look = database_sync_to_async(stored.by_id)
"""One run by its number, as it is stored now; UnknownRun if there is none."""


async def until_final(run: RunRecord, limit_s: float | None) -> RunRecord:
    """The run once it has ended, or as it is after `limit_s` seconds.

    A database that does not answer meanwhile is asked again: what is known of the run stays true.
    """
    clock = asyncio.get_running_loop().time
    end = clock() + min(LONGEST_S if limit_s is None else limit_s, LONGEST_S)
    while not run.state.is_final and clock() < end:
        await asyncio.sleep(min(LOOK_EVERY_S, max(0.0, end - clock())))
        run = await _seen(run)
    return run


async def _seen(run: RunRecord) -> RunRecord:
    try:
        run = await look(run.id)
    except DatabaseError:
        logger.warning("run %s cannot be looked at just now", run.id)
    return run
