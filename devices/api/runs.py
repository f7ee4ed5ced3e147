"""What was asked of the machines, and what became of it."""

from typing import Annotated, Any

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from ninja import Path, Query, Router

from devices.api import group
from devices.api.auth import caller_of
from devices.api.calling import Calling, Wait
from devices.api.schemas import (
    LARGEST_ID,
    SETTLING,
    RunFilter,
    RunListOut,
    RunOut,
    RunWithTraceOut,
    answers,
    group_answers,
)
from devices.control.cancel import cancel
from devices.control.follow import follow
from devices.control.gateway import current
from devices.control.records import LONG, RunRecord
from devices.control.rights import Rights
from devices.control.sight import find_run, runs_of
from devices.models import Run

router = Router(tags=["Runs"])

RunNumber = Annotated[int, Path(ge=1, le=LARGEST_ID)]


@router.get("", response=answers(RunListOut), operation_id="list_runs", summary="List runs")
async def list_runs(request: HttpRequest, wanted: Query[RunFilter]) -> dict[str, Any]:
    """Runs of the PLCs that you may see, newest first, without their traces."""
    # One more than asked for tells whether there are more.
    newest = (await _matching(wanted, caller_of(request).rights)).order_by("-id")
    rows = [run async for run in newest[: wanted.limit + 1]]
    runs = rows[: wanted.limit]
    return {
        "runs": [RunRecord.from_row(run).as_json() for run in runs],
        "next": runs[-1].pk if len(rows) > len(runs) else None,
    }


@router.post(
    "",
    response=group_answers(),
    operation_id="run_group",
    summary="Run commands on many PLCs",
    openapi_extra=group.DOCUMENTED,
)
async def run_group(request: HttpRequest, wait: Wait = None) -> HttpResponse:
    """Start a whole line at once: each command is a run of its own, and all are answered together, in the order asked.

    They run side by side across PLCs, and in the order asked within one. What is wrong with one of them, or goes wrong
    with it, is told in its place and leaves the others alone. `Idempotency-Key` names the whole group: sent again,
    nothing is started twice. `wait` bounds the waiting for all; what is still open then has the status 202.
    """
    return await group.answer(request, Calling.of(request, wait), caller_of(request))


@router.get("/{run}", response=answers(RunWithTraceOut), operation_id="get_run", summary="Look at a run")
async def get_run(request: HttpRequest, run: RunNumber, wait: Wait = None) -> dict[str, Any]:
    """One run with its trace: all that was read and written, in order; what went over the wire; what it ran with.

    With `wait` it is answered once the run has ended, or as it is when the wait is over.
    """
    await find_run(run, caller_of(request))
    await follow(run, wait or 0.0)
    return await whole(run)


async def whole(run: int) -> dict[str, Any]:
    """All that is recorded of a run, for its page."""
    row = await Run.objects.select_related("definition").aget(pk=run)
    definition = row.definition.content if row.definition else None
    return RunRecord.from_row(row).as_json(with_trace=True) | {"frames": row.frames, "definition": definition}


@router.post(
    "/{run}/cancel", response=answers(RunOut, SETTLING), operation_id="cancel_run", summary="Cancel a queued run"
)
async def cancel_run(request: HttpRequest, run: RunNumber) -> dict[str, Any]:
    """Withdraw a run that still waits for its turn: the machine is not told, and who waits for it gets 409.

    Once it has had its turn there is nothing to withdraw: 409, and nothing is changed.
    """
    return (await cancel(run, caller_of(request))).as_json()


async def _matching(wanted: RunFilter, rights: Rights) -> QuerySet[Run]:
    if wanted.plc is None:
        runs = await runs_of(rights)
    else:
        runs = Run.objects.filter(plc_id=(await current().registry.find_for(wanted.plc, rights)).id)
    runs = runs.defer(*LONG)
    if wanted.state is not None:
        runs = runs.filter(state=wanted.state)
    return runs if wanted.before is None else runs.filter(pk__lt=wanted.before)
