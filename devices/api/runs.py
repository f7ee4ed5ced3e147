"""What was asked of the machines, and what became of it."""

from typing import Annotated, Any

from django.db.models import QuerySet
from django.http import HttpRequest
from ninja import Path, Query, Router

from devices.api.schemas import LARGEST_ID, RunFilter, RunListOut, RunWithTraceOut, answers
from devices.control.errors import UnknownRun
from devices.control.gateway import current
from devices.control.records import LONG, RunRecord
from devices.models import Run

router = Router(tags=["Runs"])

RunNumber = Annotated[int, Path(ge=1, le=LARGEST_ID)]


@router.get("", response=answers(RunListOut), operation_id="list_runs", summary="List runs")
async def list_runs(request: HttpRequest, wanted: Query[RunFilter]) -> dict[str, Any]:  # noqa: ARG001
    """Runs, newest first, without their traces."""
    # One more than asked for tells whether there are more.
    rows = [run async for run in (await _matching(wanted)).order_by("-id")[: wanted.limit + 1]]
    runs = rows[: wanted.limit]
    return {
        "runs": [RunRecord.from_row(run).as_json() for run in runs],
        "next": runs[-1].pk if len(rows) > len(runs) else None,
    }


@router.get("/{run}", response=answers(RunWithTraceOut), operation_id="get_run", summary="Look at a run")
async def get_run(request: HttpRequest, run: RunNumber) -> dict[str, Any]:  # noqa: ARG001
    """One run with its trace: all that was read and written, in order; what went over the wire; what it ran with."""
    row = await Run.objects.select_related("definition").filter(pk=run).afirst()
    if row is None:
        raise UnknownRun(f"no run {run} is recorded")
    definition = row.definition.content if row.definition else None
    return RunRecord.from_row(row).as_json(with_trace=True) | {"frames": row.frames, "definition": definition}


async def _matching(wanted: RunFilter) -> QuerySet[Run]:
    runs = Run.objects.defer(*LONG)
    if wanted.plc is not None:
        runs = runs.filter(plc_id=(await current().registry.find(wanted.plc)).id)
    if wanted.state is not None:
        runs = runs.filter(state=wanted.state)
    return runs if wanted.before is None else runs.filter(pk__lt=wanted.before)
