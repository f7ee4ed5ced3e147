"""The database was restored: it knows nothing of what was done since its backup, nor who works at a machine now.

A MES that repeats a request from that time would start its machine again, since the run that its Idempotency-Key names
is gone. So nobody tells a machine anything until a person has looked at it and unlocks it.
"""

from dataclasses import dataclass
from datetime import datetime

from django.contrib.sessions.models import Session
from django.db import transaction
from django.utils import timezone

from devices.control import audit
from devices.control.lock_outs import LockOutSpec
from devices.models import PLC, LockOut

BY = "shell after_restore"
"""Who locks them out. No caller has this name: theirs begin with `user` or `key`."""
REASON = (
    "The database was restored from a backup. Before you unlock: look at the machine, see that nobody works at it, and "
    "that the MES repeats nothing that it asked for since."
)
LONGEST = 300  # characters, as the row holds them


@dataclass(frozen=True, slots=True)
class Held:
    """What was done."""

    plcs: int
    """That are locked out now."""
    sessions: int
    """That were ended: one that somebody had logged out of was there again."""


@transaction.atomic
def hold() -> Held:
    """Lock every PLC out until somebody unlocks it, and let everybody log in anew. What was locked stays so."""
    audit.take_turn()  # before any row: the journal takes them in this order too
    plcs = list(PLC.objects.select_for_update().order_by("pk"))
    now = timezone.now()
    for plc in plcs:
        _lock(plc, now)
    sessions, _ = Session.objects.all().delete()
    return Held(plcs=len(plcs), sessions=sessions)


def was_restored_since(plc_id: int, at: datetime) -> bool:
    """Whether the PLC may have been told something since `at` that is recorded nowhere."""
    return LockOut.objects.filter(plc=plc_id, by=BY, since__gte=at).exists()


def _lock(plc: PLC, now: datetime) -> None:
    reason = REASON
    row = LockOut.objects.filter(plc=plc, lifted_at=None).first()
    if row is not None:
        if row.by != BY and LockOutSpec.of(row).holds(now):
            reason = f"{REASON} It was locked out then by {row.by}: {row.reason}"
        row.lifted_at, row.lifted_by = now, BY
        row.save()
    LockOut(plc=plc, by=BY, since=now, reason=reason[:LONGEST]).save()
