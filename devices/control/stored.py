"""Runs as they are stored, whoever made them."""

from collections.abc import Iterable

from devices.control.errors import UnknownRun
from devices.control.records import KeyedRun, RunRecord
from devices.models import Run, State


def by_id(run_id: int) -> RunRecord:
    """One run; UnknownRun if there is none of that number."""
    row = Run.objects.filter(pk=run_id).first()
    if row is None:
        raise no_run(run_id)
    return RunRecord.from_row(row)


def no_run(run_id: int) -> UnknownRun:
    """The error for a number that no run has, as far as the caller may know."""
    return UnknownRun(f"no run {run_id} is recorded")


def by_key(caller: str, key: str) -> KeyedRun | None:
    """The run that stands under this caller's Idempotency-Key."""
    row = Run.objects.filter(caller=caller, idempotency_key=key).first()
    return KeyedRun(run=RunRecord.from_row(row), fingerprint=row.fingerprint) if row else None


def running_at(plc_id: int) -> int | None:
    """Number of the run that is recorded as running at a PLC."""
    return Run.objects.filter(plc=plc_id, state=State.RUNNING).values_list("pk", flat=True).first()


def fingerprints(caller: str, keys: Iterable[str]) -> dict[str, str]:
    """What was asked for under those of this caller's keys that stand on a run."""
    rows = Run.objects.filter(caller=caller, idempotency_key__in=list(keys))
    return {key: fingerprint for key, fingerprint in rows.values_list("idempotency_key", "fingerprint") if key}
