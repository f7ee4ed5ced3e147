"""Lock a PLC out for maintenance, and unlock it: who may administer it does so, and every caller is told why."""

import asyncio
from collections.abc import Iterator
from datetime import datetime, timedelta

from channels.db import database_sync_to_async
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from devices.control import audit, lock_outs
from devices.control.callers import Caller
from devices.control.errors import InvalidParameters, PLCLockedOut, no_plc
from devices.control.gateway import current
from devices.control.lock_outs import LockOutSpec
from devices.models import PLC, LockOut, Right
from devices.models.text_rules import printable
from devices.plc.specs import PLCSpec

SHORTEST, LONGEST = 3, 300  # characters of a reason; the longest as its row holds it
LONGEST_LOCK = timedelta(days=366)  # what is locked for longer is to be disabled


async def lock(ref: str, caller: Caller, *, reason: object, until: object = None) -> LockOutSpec:
    """From when this returns no command to the PLC begins and no trigger is sent there, by any server of this database.

    Runs that wait for their turn end, and so do those that have begun and not told the machine yet. One whose trigger
    was sent goes on: no lock-out calls back what a machine was told.

    Asked again by the same caller it changes reason and end. UnknownPLC, NotPermitted; InvalidParameters names what is
    wrong; PLCLockedOut where somebody else holds it, who has to be asked.
    """
    plc = await _administered(ref, caller)
    why, end = _checked(reason, until)
    stored: LockOutSpec = await database_sync_to_async(_lock)(plc, caller.name, why, end)
    await current().lock_outs.refresh()
    if current().processes is not None:
        # Another server may have looked just before it was stored, and go by that for so long.
        await asyncio.sleep(lock_outs.BELIEVED_S)
    return stored


async def unlock(ref: str, caller: Caller) -> None:
    """Commands are taken again; where the PLC is not locked out, nothing changes. UnknownPLC, NotPermitted."""
    plc = await _administered(ref, caller)
    await database_sync_to_async(_unlock)(plc, caller.name)
    await current().lock_outs.refresh()


async def _administered(ref: str, caller: Caller) -> PLCSpec:
    plc = await current().registry.find_for(ref, caller.rights)
    caller.rights.require(Right.ADMINISTER, plc)
    return plc


def _checked(reason: object, until: object) -> tuple[str, datetime | None]:
    faults = (*_reason_faults(reason), *_until_faults(until))
    if faults:
        raise InvalidParameters(faults)
    return str(reason).strip(), None if until is None else datetime.fromisoformat(str(until))


def _reason_faults(reason: object) -> Iterator[tuple[str, str]]:
    if not isinstance(reason, str) or not SHORTEST <= len(reason.strip()) <= LONGEST:
        yield "reason", f"is required: why nobody may run a command, in {SHORTEST} to {LONGEST} characters"
        return
    try:
        printable(reason.strip())
    except ValidationError as error:
        yield "reason", " ".join(error.messages)


def _until_faults(until: object) -> Iterator[tuple[str, str]]:
    if until is None:
        return
    try:
        end = datetime.fromisoformat(until if isinstance(until, str) else "")
    except ValueError:
        yield "until", "must be a moment with its zone, such as 2026-01-31T16:00:00+01:00"
        return
    if end.tzinfo is None:
        yield "until", "must name its zone, such as 2026-01-31T16:00:00+01:00 or ...Z"
    elif not timedelta(0) < end - timezone.now() <= LONGEST_LOCK:
        yield "until", f"must lie ahead, by {LONGEST_LOCK.days} days at most; leave it out to lock until it is unlocked"


@transaction.atomic
def _lock(plc: PLCSpec, by: str, reason: str, until: datetime | None) -> LockOutSpec:
    row = _open(plc) or LockOut(plc_id=plc.id, by=by)
    if row.by != by:
        raise PLCLockedOut(LockOutSpec.of(row).said(plc.name))
    row.reason, row.until = reason, until
    row.save()
    return LockOutSpec.of(row)


@transaction.atomic
def _unlock(plc: PLCSpec, by: str) -> None:
    row = _open(plc)
    if row is not None:
        row.lifted_at, row.lifted_by = timezone.now(), by
        row.save()


def _open(plc: PLCSpec) -> LockOut | None:
    """The lock-out that holds. One whose time is over is closed as of then."""
    audit.take_turn()  # before the row: the journal takes them in this order too
    # The row of the PLC is held, so that of two people who lock it at once the second sees what the first did.
    if not PLC.objects.select_for_update().filter(pk=plc.id).exists():
        raise no_plc(plc.name)
    row = LockOut.objects.filter(plc_id=plc.id, lifted_at=None).first()
    if row is None or LockOutSpec.of(row).holds(timezone.now()):
        return row
    row.lifted_at = row.until
    row.save()
    return None
