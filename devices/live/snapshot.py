"""All that the overview shows, as of now: each PLC with its state and its last run, and the newest runs."""

from collections.abc import Mapping
from typing import Any

from channels.db import database_sync_to_async
from django.db.models import OuterRef, QuerySet, Subquery
from django.utils import timezone

from devices.control.errors import NotRunning
from devices.control.gateway import current
from devices.control.lock_outs import LockOutSpec, open_ones
from devices.control.pictures import statuses_of
from devices.control.records import LONG, RunRecord
from devices.control.status import PLCState, PLCStatus
from devices.live import messages
from devices.models import PLC, Run
from devices.plc.specs import PLCSpec

RUNS = 50  # the newest, as many as a page shows

Row = dict[str, Any]


async def read(seen: frozenset[int] | None = None) -> str:
    """Read it from the database and this process's memory, as JSON; only `seen` PLCs, where not all are.

    Raises DatabaseUnavailable, RecordUnavailable.
    """
    plcs, runs = await database_sync_to_async(_stored)(seen)
    specs = {spec.id: spec for spec in (await _registered()).values()}
    # The states come last: what changes after it is announced after it.
    shown_specs = [specs[plc["id"]] for plc in plcs if plc["id"] in specs]
    statuses = await statuses_of(shown_specs) if shown_specs else {}
    shown = [_with_state(plc, statuses.get(plc["id"])) for plc in plcs]
    return messages.written(now=timezone.now(), plcs=shown, runs=runs)


def short_runs() -> QuerySet[Run]:
    """Runs without their long columns."""
    return Run.objects.defer(*LONG)


def lock_out_now(known: LockOutSpec | None) -> Row | None:
    """JSON-ready; null where its time is over."""
    return known.as_json() if known is not None and known.holds(timezone.now()) else None


def _stored(seen: frozenset[int] | None) -> tuple[list[Row], list[Row]]:
    last_run = Run.objects.filter(plc=OuterRef("pk")).order_by("-id").values("id")[:1]
    plcs = PLC.objects.annotate(last_run_id=Subquery(last_run)).order_by("name")
    newest_runs = short_runs().order_by("-id")
    if seen is not None:
        plcs, newest_runs = plcs.filter(pk__in=seen), newest_runs.filter(plc__in=seen)
    shown = plcs.values("id", "name", "title", "area", "is_enabled", "last_run_id", "profile__name")
    locked = open_ones(seen)
    rows: list[Row] = [{**row, "lock_out": lock_out_now(locked.get(row["id"]))} for row in shown]
    newest = {run.pk: run for run in newest_runs[:RUNS]}
    older = short_runs().in_bulk({row["last_run_id"] for row in rows} - newest.keys() - {None})
    return rows, [RunRecord.from_row(run).as_news() for run in (*newest.values(), *older.values())]


async def _registered() -> Mapping[str, PLCSpec]:
    try:
        return await current().registry.plcs()
    except NotRunning:
        return {}  # a process that serves pages only: their states are not known here


def _with_state(plc: Mapping[str, Any], status: PLCStatus | None) -> Row:
    shown = {name: plc[name] for name in ("id", "name", "title", "area", "last_run_id", "lock_out")}
    shown["profile"] = plc["profile__name"]
    if not plc["is_enabled"]:
        return {**shown, **PLCStatus(state=PLCState.DISABLED).as_news()}
    return {**shown, **(status or PLCStatus(state=PLCState.UNKNOWN)).as_news()}
