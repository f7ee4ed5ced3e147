"""Runs as they are stored, whoever made them."""

from collections.abc import Iterable

from devices.control.errors import UnknownRun
from devices.control.records import KeyedRun, RunRecord
from devices.models import Run


def by_id(run_id: int) -> RunRecord:
    """One run; UnknownRun if there is none of that number."""
    row = Run.objects.filter(pk=run_id).first()
    if row is None:
        raise UnknownRun(f"no run {run_id} is recorded")
    return RunRecord.from_row(row)


def by_key(caller: str, key: str) -> KeyedRun | None:
    """The run that stands under this caller's Idempotency-Key."""
    row = Run.objects.filter(caller=caller, idempotency_key=key).first()
    return KeyedRun(run=RunRecord.from_row(row), fingerprint=row.fingerprint) if row else None


def fingerprints(caller: str, keys: Iterable[str]) -> dict[str, str]:
    """What was asked for under those of this caller's keys that stand on a run."""
    rows = Run.objects.filter(caller=caller, idempotency_key__in=list(keys))
    return {key: fingerprint for key, fingerprint in rows.values_list("idempotency_key", "fingerprint") if key}
