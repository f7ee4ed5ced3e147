"""Find out what became of a run that nobody knows the end of."""

from typing import Annotated, Any

from django.http import HttpRequest
from ninja import Body, Router

from devices.api.auth import caller_of, with_rights
from devices.api.runs import RunNumber, whole
from devices.api.schemas import SETTLING, ReconcileIn, RunWithTraceOut, answers
from devices.control.gateway import current
from devices.control.verdicts import verdict_of

router = Router(tags=["Runs"])


@router.post(
    "/{run}/reconcile",
    response=answers(RunWithTraceOut, SETTLING),
    operation_id="reconcile_run",
    summary="Find out what became of a run",
)
async def reconcile_run(
    request: HttpRequest,
    run: RunNumber,
    body: Annotated[ReconcileIn, Body(default_factory=ReconcileIn)],
) -> dict[str, Any]:
    """Settle a run that ended as `unknown` or `timed_out`. Nothing is ever written to the machine.

    Without a body the PLC is read: where all proofs of the command hold, the run becomes `succeeded`. With a body a
    person who is logged in, and has the permission `devices.change_run`, says what the machine did. 200 always means
    that the run is settled now; with 409 it is as it was: `not-proven`, ask again later; `not-provable`, somebody has
    to look at the machine; `run-settled`, it is known already.
    """
    given, caller = body.model_dump(exclude_unset=True), caller_of(request)
    reconciler = current().reconciler
    if given:
        await reconciler.judge(run, verdict_of(given), await with_rights(request))
    else:
        await reconciler.read(run, caller)
    return await whole(run)
