"""Changes whose commit was sent and not confirmed: the database may hold them all the same.

A connection can be lost amid COMMIT. Who then takes the change for not made leaves a run open that nobody carries out,
and its PLC shut: so the row is looked at, at once or as soon as the database answers again.
"""

import logging
from collections.abc import Mapping
from typing import Any

from django.db import Error as DatabaseUnavailable
from django.db.models import F
from django.utils import timezone

from devices.control import outcomes
from devices.control.records import RunRecord
from devices.models import Run, State

logger = logging.getLogger(__name__)

WHO = ("plc_id", "command", "caller", "accepted_at")
"""What tells one run from all others, before it has a number: the moment counts microseconds."""
NOT_TOLD = outcomes.failed("The database lost the connection while the run was stored; the machine was not told.")


def find(before: RunRecord | None, fields: Mapping[str, Any]) -> RunRecord | None:
    """The run as the change made it, if the database has the change; DatabaseUnavailable if that cannot be seen now."""
    if before is None:
        row = Run.objects.filter(**{name: fields[name] for name in WHO}, version=1).first()
    else:
        state = State(fields.get("state", before.state))
        row = Run.objects.filter(pk=before.id, state=state, version=before.version + 1).first()
    return RunRecord.from_row(row) if row else None


class Doubtful:
    """New runs of which it could not be seen whether they are stored; their callers were told that they are not."""

    def __init__(self) -> None:
        self._runs: list[Mapping[str, Any]] = []

    def add(self, fields: Mapping[str, Any]) -> None:
        """Remember a run to look for."""
        self._runs.append({name: fields[name] for name in WHO})

    def settle(self) -> list[RunRecord]:
        """Once the database answers: end those that are stored, since nobody carries them out; returns these."""
        settled: list[RunRecord] = []
        while self._runs:
            try:
                settled += _settle(self._runs[0])
            except DatabaseUnavailable:
                break  # it is asked again after the next commit, and once for all
            del self._runs[0]
        return settled


def _settle(who: Mapping[str, Any]) -> list[RunRecord]:
    rows = Run.objects.filter(**who, version=1, state__in=[State.QUEUED, State.RUNNING])
    numbers = list(rows.values_list("pk", flat=True))
    rows.update(
        **NOT_TOLD.fields,
        triggered_at=None,
        finished_at=timezone.now(),
        version=F("version") + 1,
    )
    for number in numbers:
        logger.warning("run %d was stored after all, though the database had not said so: it is settled", number)
    return [RunRecord.from_row(row) for row in Run.objects.filter(pk__in=numbers)]
