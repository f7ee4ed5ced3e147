"""All that the page of one PLC shows, as of now: its state, what its tags hold, its newest runs and what they do."""

from typing import Any

from channels.db import database_sync_to_async
from django.utils import timezone

from devices.control.gateway import current
from devices.control.lock_outs import LockOutSpec, open_ones
from devices.control.pictures import picture_of
from devices.control.records import RunRecord
from devices.control.tag_news import tag_row
from devices.live import messages
from devices.live.snapshot import lock_out_now, short_runs
from devices.models import Run
from devices.plc.specs import PLCSpec

RUNS = 30  # the newest

Timeline = list[dict[str, Any]]


async def read(plc_id: int) -> str:
    """Read it from the database and this process's memory, as JSON.

    Raises DatabaseUnavailable, RecordUnavailable, NotRunning, and UnknownPLC for one that is no longer registered.
    """
    records, stored, locked = await database_sync_to_async(_stored)(plc_id)
    plc = await current().registry.find(str(plc_id))
    # What is in memory comes last: what changes after it is announced after it.
    picture = await picture_of(plc)
    return messages.written(
        now=timezone.now(),
        plc={**_described(plc), **picture.status.as_news(), "lock_out": lock_out_now(locked)},
        tags=[tag_row(known) for known in picture.tags],
        runs=[record.as_news() for record in records],
        trace={run_id: _as_it_happens(run_id, trace) for run_id, trace in stored.items()},
    )


def _stored(plc_id: int) -> tuple[list[RunRecord], dict[int, Timeline], LockOutSpec | None]:
    """The newest runs, what is stored of the timelines of those that are under way, and who has locked the PLC."""
    records = [RunRecord.from_row(run) for run in short_runs().filter(plc=plc_id).order_by("-id")[:RUNS]]
    under_way = [record.id for record in records if not record.state.is_final]
    traces = dict(Run.objects.filter(pk__in=under_way).values_list("id", "trace"))
    return records, traces, open_ones([plc_id]).get(plc_id)


def _as_it_happens(run_id: int, stored: Timeline) -> Timeline:
    underway = current().of_number(run_id)
    return underway.execution.timeline if underway else stored


def _described(plc: PLCSpec) -> dict[str, Any]:
    names = ("id", "name", "title", "area", "profile", "is_enabled")
    return {name: getattr(plc, name) for name in names}
