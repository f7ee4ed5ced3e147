"""Tell who asked for which runs, and who said how one ended that nobody knew the end of."""

from collections.abc import Iterable, Sequence

from devices.control.actors import Actor
from devices.control.audit import Deed, append
from devices.control.records import RunRecord
from devices.models import Action

KIND = "Run"

Settled = tuple[RunRecord, RunRecord, str]
"""A run before and after, and the address of who settled it."""


def tell(*, commanded: Sequence[RunRecord], settled: Iterable[Settled]) -> None:
    """They are stored, and changed, in this transaction, which has the turn."""
    append(*map(_commanded, commanded), *(_reconciled(*run) for run in settled), has_turn=True)


def _commanded(run: RunRecord) -> Deed:
    return Deed(
        action=Action.COMMANDED,
        kind=KIND,
        subject=f"{run.plc} {run.command}",
        subject_id=str(run.id),
        after=run.parameters,
        by=Actor(name=run.caller, source=run.source),
    )


def _reconciled(before: RunRecord, after: RunRecord, source: str) -> Deed:
    by = str(after.history[-1]["by"]) if after.history else ""
    return Deed(
        action=Action.RECONCILED,
        kind=KIND,
        subject=f"{after.plc} {after.command}",
        subject_id=str(after.id),
        before=_outcome(before),
        after=_outcome(after),
        by=Actor(name=by, source=source),
    )


def _outcome(run: RunRecord) -> dict[str, str]:
    return {"state": run.state.value, "effect": run.effect, "detail": run.detail}
