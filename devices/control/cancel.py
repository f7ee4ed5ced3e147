"""Withdraw a run that still waits for its turn. The database decides who was first: the turn, or the withdrawal."""

import asyncio
import contextvars

from django.utils import timezone

from devices.control import outcomes
from devices.control.callers import Caller
from devices.control.errors import IllegalMove, RunNotQueued
from devices.control.gateway import current
from devices.control.records import RunRecord
from devices.control.sight import find_run_to_act_on
from devices.control.waiting import look
from devices.models import State


async def cancel(run_id: int, caller: Caller) -> RunRecord:
    """Move a queued run to `cancelled`, and take it out of the queue; its caller is answered at once.

    Raises UnknownRun, NotPermitted where it is somebody else's and the caller may not ask for such a run himself, or
    RunNotQueued where it has had its turn or has ended. A run that waits in another process is
    cancelled in its row: the move to `running` then fails there, so that the machine is never told. Who asks for it
    and goes away does not leave it half done: the row withdrawn, and its caller waiting on.
    """
    # A fresh context: the request's own would drag its database thread and its cancellation along.
    return await asyncio.shield(asyncio.create_task(_cancel(run_id, caller), context=contextvars.Context()))


async def _cancel(run_id: int, caller: Caller) -> RunRecord:
    gateway = current()
    run = _queued(await find_run_to_act_on(run_id, caller, is_own_enough=True))
    outcome = outcomes.cancelled(f"Withdrawn by {caller.name} while it waited for its turn; the machine was not told.")
    try:
        cancelled = await gateway.journal.change(
            run,
            **outcome.fields,
            finished_at=timezone.now(),
        )
    except IllegalMove:
        # Its turn, its end or another withdrawal came first.
        _queued(await look(run_id))
        raise
    gateway.withdraw(cancelled)
    return cancelled


def _queued(run: RunRecord) -> RunRecord:
    """The run, if it waits."""
    if run.state is State.RUNNING:
        raise RunNotQueued(f"run {run.id} has its turn: the machine may be told already")
    if run.state is not State.QUEUED:
        raise RunNotQueued(f"run {run.id} has ended already: {run.state}")
    return run
