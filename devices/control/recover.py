"""At start-up: settle what a dead process left. Ends before the server says that it is ready."""

import logging

from django.db.models import F, QuerySet
from django.utils import timezone

from devices.control import outcomes
from devices.control.outcomes import Outcome
from devices.control.records import LONG, RunRecord
from devices.models import Run, State

logger = logging.getLogger(__name__)

NEWS = 200  # runs that are announced; a page shows 50
NOT_TOLD = outcomes.failed("The gateway restarted before the machine was told.")
MAYBE_TOLD = outcomes.unknown("The gateway restarted after the trigger may have been sent. Look at the machine.")


def settle_orphans() -> list[RunRecord]:
    """Give every open run the outcome that its last durable record allows.

    One process: every open row is an orphan, since the lock of `serve` proves that nobody else runs.

    Returns the newest of them, in the order in which they were asked for, to be announced as any change is: a page at
    another process has missed nothing of ours that would make it look again. Older ones, which no page shows but as
    the last of a quiet PLC, come with the snapshot that every page takes once the registry is loaded.
    """
    open_runs = Run.objects.filter(state__in=[State.QUEUED, State.RUNNING])
    newest = list(open_runs.order_by("-id").values_list("id", flat=True)[:NEWS])
    count = _settle(open_runs.filter(triggered_at=None), NOT_TOLD)
    count += _settle(open_runs.exclude(triggered_at=None), MAYBE_TOLD)
    if count:
        logger.warning("settled %d run(s) that an earlier process left open", count)
    return [RunRecord.from_row(run) for run in Run.objects.defer(*LONG).filter(pk__in=newest).order_by("id")]


def _settle(runs: QuerySet[Run], outcome: Outcome) -> int:
    return runs.update(
        **outcome.fields,
        finished_at=timezone.now(),
        version=F("version") + 1,
    )
