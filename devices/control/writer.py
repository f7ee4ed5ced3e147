"""Writes changes of runs, in the journal's thread: all that came together in one transaction."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.db import Error as DatabaseUnavailable
from django.db import IntegrityError, InterfaceError, OperationalError, connection, transaction
from django.db.models import Max

from devices.control import audit, audit_runs
from devices.control.definitions import StoredDefinitions
from devices.control.errors import IllegalMove, KeyTaken, PLCTaken, RecordUnavailable
from devices.control.landed import Doubtful, find
from devices.control.records import RunRecord
from devices.control.stored import by_key
from devices.models import PLC, Run, State
from devices.models.statements import Statements

logger = logging.getLogger(__name__)

NEXT = "next"
"""Given as `sequence`: one more than the newest number at the run's PLC. Only one run a PLC is running, so that no two
are given the same."""

_RUNS = Statements(Run)


@dataclass(eq=False)
class Change:
    """A new run, or new fields for a stored one, and who waits for it to be durable."""

    fields: dict[str, Any]
    before: RunRecord | None
    done: "asyncio.Future[RunRecord]"
    outcome: RunRecord | Exception | None = None
    asked_from: str = ""
    """The address of who asks, where somebody says what a machine did."""

    @property
    def is_reconciliation(self) -> bool:
        """It was not known how the run ended, and now it is."""
        return self.before is not None and self.before.state.is_final and "state" in self.fields

    def resolve(self) -> None:
        """Tell who waits; in the event loop."""
        if self.done.done():
            return
        if isinstance(self.outcome, RunRecord):
            self.done.set_result(self.outcome)
        else:
            self.done.set_exception(self.outcome or RuntimeError("not written"))


class Writer:
    """Remembers between transactions which definitions are stored, and which runs may be without our knowing."""

    def __init__(self) -> None:
        self._definitions = StoredDefinitions()
        self._doubtful = Doubtful()

    def commit(self, batch: Sequence[Change]) -> None:
        """Write all in one transaction; where one of them breaks it, each in its own. Each change gets its outcome."""
        try:
            self._write(batch)
        except (OperationalError, InterfaceError) as error:
            # The database takes nothing now: to ask again for each would make the last one wait many times its limit.
            self._look_whether_it_landed(batch, error)
        except Exception as error:
            if len(batch) == 1:
                return _refuse(batch, _key_taken(batch[0]) or _plc_taken(batch[0], error) or error)
            for change in batch:
                self.commit([change])

    def settle_doubtful(self) -> list[RunRecord]:
        """End the runs that turn out to be stored though nobody carries them out."""
        return self._doubtful.settle()

    def _look_whether_it_landed(self, batch: Sequence[Change], error: Exception) -> None:
        """The connection may have been lost amid the commit."""
        _refuse(batch, error)
        for number, change in enumerate(batch):
            try:
                change.outcome = find(change.before, change.fields) or change.outcome
            except DatabaseUnavailable:
                # Nor does it answer for the others: to ask for each would make them wait many times its limit.
                self._doubt(batch[number:])
                return

    def _doubt(self, batch: Sequence[Change]) -> None:
        for change in batch:
            if change.before is None:
                self._doubtful.add(change.fields)

    def _write(self, batch: Sequence[Change]) -> None:
        new = [change for change in batch if change.before is None]
        reconciled = [change for change in batch if change.is_reconciliation]
        with transaction.atomic():
            if new or reconciled:
                audit.take_turn()
            commanded = self._insert(new) if new else ()
            for change in batch:
                if change.before is not None:
                    change.outcome = _update(change.before, change.fields)
            audit_runs.tell(commanded=commanded, settled=filter(None, map(_settled, reconciled)))

    def _insert(self, changes: Sequence[Change]) -> Sequence[RunRecord]:
        keys = self._definitions.store([spec for change in changes if (spec := change.fields.get("definition"))])
        rows = [_columns(_numbered(change.fields), keys) for change in changes]
        records = [RunRecord.of_new(key, row) for key, row in _RUNS.insert(rows)]
        for change, record in zip(changes, records, strict=True):
            change.outcome = record
        return records


def _refuse(batch: Sequence[Change], error: Exception) -> None:
    outcome = _translated(error)
    for change in batch:
        change.outcome = outcome
    connection.close()


def _columns(fields: dict[str, Any], keys: Mapping[str, int]) -> dict[str, Any]:
    """A definition comes as what it says, and is stored as the key of its row."""
    columns = dict(fields)
    spec = columns.pop("definition", None)
    return columns if spec is None else {**columns, "definition_id": keys[spec.digest]}


def _numbered(fields: dict[str, Any]) -> dict[str, Any]:
    if fields.get("sequence") != NEXT:
        return fields
    newest = Run.objects.filter(plc=fields["plc_id"], sequence__isnull=False).aggregate(newest=Max("sequence"))[
        "newest"
    ]
    return {**fields, "sequence": (newest or 0) + 1}


def _update(before: RunRecord, fields: dict[str, Any]) -> RunRecord | IllegalMove:
    fields = _numbered({"plc_id": before.plc_id, **fields})
    changes = {**fields, "version": before.version + 1}
    if not _RUNS.update(before.id, changes, where={"state": before.state, "version": before.version}):
        return IllegalMove(f"run {before.id} is no longer {before.state} at version {before.version}")
    known = {name: value for name, value in fields.items() if name in RunRecord.__dataclass_fields__}
    return replace(before, **{**known, "state": State(fields.get("state", before.state))}, version=before.version + 1)


def _settled(change: Change) -> audit_runs.Settled | None:
    if change.before is None or not isinstance(change.outcome, RunRecord):
        return None
    return change.before, change.outcome, change.asked_from


def _key_taken(change: Change) -> KeyTaken | None:
    """Whether a new run was refused because of its key: one_run_per_key, whichever process holds it."""
    key = change.fields.get("idempotency_key")
    if change.before is not None or key is None:
        return None
    try:
        taken = by_key(change.fields["caller"], key)
    except DatabaseUnavailable:
        return None
    return KeyTaken(taken) if taken else None


def _plc_taken(change: Change, error: Exception) -> PLCTaken | None:
    """Whether a run could not begin because another one of its PLC is recorded as running: one_running_per_plc."""
    if not isinstance(error, IntegrityError) or change.fields.get("state") != State.RUNNING:
        return None
    plc_id = change.before.plc_id if change.before else change.fields["plc_id"]
    try:
        is_there = PLC.objects.filter(pk=plc_id).exists()
    except DatabaseUnavailable:
        return None
    # Not whether one runs now: it may have ended since.
    return PLCTaken("another process carries out a command on this PLC now") if is_there else None


def _translated(error: Exception) -> Exception:
    if isinstance(error, (KeyTaken, PLCTaken)):
        return error
    is_expected = isinstance(error, DatabaseUnavailable)
    logger.error("a run could not be stored: %s", error, exc_info=None if is_expected else error)
    if isinstance(error, IntegrityError):
        # one_running_per_plc, one_run_per_sequence; or the PLC's row is gone.
        return IllegalMove("another process carries out a command on this PLC now, or the PLC was deleted meanwhile")
    if is_expected:
        return RecordUnavailable("the database does not take the record; its own words are in the log")
    return error
