"""At start-up: settle what a dead process left. Ends before the server says that it is ready."""

import logging

from django.db.models import F, QuerySet
from django.utils import timezone

from devices.control import outcomes
from devices.control.outcomes import Outcome
from devices.models import Run, State

logger = logging.getLogger(__name__)

NOT_TOLD = outcomes.failed("The gateway restarted before the machine was told.")
MAYBE_TOLD = outcomes.unknown("The gateway restarted after the trigger may have been sent. Look at the machine.")


def settle_orphans() -> int:
    """Give every open run the outcome that its last durable record allows; returns how many there were.

    One process: every open row is an orphan, since the lock of `serve` proves that nobody else runs.
    """
    open_runs = Run.objects.filter(state__in=[State.QUEUED, State.RUNNING])
    count = _settle(open_runs.filter(triggered_at=None), NOT_TOLD)
    count += _settle(open_runs.exclude(triggered_at=None), MAYBE_TOLD)
    if count:
        logger.warning("settled %d run(s) that an earlier process left open", count)
    return count


def _settle(runs: QuerySet[Run], outcome: Outcome) -> int:
    return runs.update(
        state=outcome.state,
        effect=outcome.effect,
        retry=outcome.retry,
        detail=outcome.detail,
        finished_at=timezone.now(),
        version=F("version") + 1,
    )
