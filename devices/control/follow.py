"""Waiting for the end of a run that somebody else asked for."""

from devices.control.errors import NotRunning
from devices.control.gateway import current
from devices.control.underway import Underway
from devices.control.waiting import look, until_final


async def follow(run_id: int, limit_s: float) -> None:
    """Return once the run has ended, or after `limit_s` seconds; UnknownRun if there is none.

    A run of this process is waited for as its caller does; only one of another process is looked at again and again.
    """
    if limit_s and (underway := _underway(run_id)):
        await underway.outcome(limit_s)
    else:
        await until_final(await look(run_id), limit_s)


def _underway(run_id: int) -> Underway | None:
    try:
        return current().of_number(run_id)
    except NotRunning:
        return None
