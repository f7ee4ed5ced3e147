"""Waiting for a run whose task is not of this process, by looking at its row."""

import asyncio
import logging

from channels.db import database_sync_to_async
from django.db import Error as DatabaseUnavailable

from devices.control import stored
from devices.control.records import RunRecord

logger = logging.getLogger(__name__)

LONGEST_S = 3600.0  # nobody waits longer for what another process does
LOOK_EVERY_S = 0.15

look = database_sync_to_async(stored.by_id)
"""One run by its number, as it is stored now; UnknownRun if there is none."""


_running_at = database_sync_to_async(stored.running_at)


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


async def until_none_runs(plc_id: int, limit_s: float) -> int | None:
    """Wait until no run of the PLC is recorded as running; the number of the one that still is after `limit_s` seconds.

    Who has the turn there waits for a process that died with it: whoever lives settles what that one left.
    """
    clock = asyncio.get_running_loop().time
    end = clock() + limit_s
    running: int | None
    while (running := await _running_at(plc_id)) is not None and clock() < end:  # noqa: ASYNC110 - a row of another process
        await asyncio.sleep(min(LOOK_EVERY_S, max(0.0, end - clock())))
    return running


async def _seen(run: RunRecord) -> RunRecord:
    try:
        run = await look(run.id)
    except DatabaseUnavailable:
        logger.warning("run %s cannot be looked at just now", run.id)
    return run
