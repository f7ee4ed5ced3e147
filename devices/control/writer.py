"""Writes changes of runs, in the journal's thread: all that came together in one transaction."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.db import Error as DatabaseUnavailable
from django.db import IntegrityError, InterfaceError, OperationalError, connection, transaction
from django.db.models import Max

from devices.control.definitions import StoredDefinitions
from devices.control.errors import IllegalMove, KeyTaken, RecordUnavailable
from devices.control.landed import Doubtful, find
from devices.control.records import RunRecord
from devices.control.stored import by_key
from devices.models import Run, State

logger = logging.getLogger(__name__)

NEXT = "next"
"""Given as `sequence`: one more than the newest number at the run's PLC. Only one run a PLC is running, so that no two
are given the same."""


@dataclass(eq=False)
class Change:
    """A new run, or new fields for a stored one, and who waits for it to be durable."""

    fields: dict[str, Any]
    before: RunRecord | None
    done: "asyncio.Future[RunRecord]"
    outcome: RunRecord | Exception | None = None

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
                return _refuse(batch, _key_taken(batch[0]) or error)
            for change in batch:
                self.commit([change])

    def settle_doubtful(self) -> list[RunRecord]:
        """End the runs that turn out to be stored though nobody carries them out."""
        return self._doubtful.settle()

    def _look_whether_it_landed(self, batch: Sequence[Change], error: Exception) -> None:
        """The connection may have been lost amid the commit."""
        _refuse(batch, error)
        for change in batch:
            try:
                change.outcome = find(change.before, change.fields) or change.outcome
            except DatabaseUnavailable:
                if change.before is None:
                    self._doubtful.add(change.fields)

    def _write(self, batch: Sequence[Change]) -> None:
        with transaction.atomic():
            self._insert([change for change in batch if change.before is None])
            for change in batch:
                if change.before is not None:
                    change.outcome = _update(change.before, change.fields)

    def _insert(self, changes: Sequence[Change]) -> None:
        keys = self._definitions.store([spec for change in changes if (spec := change.fields.get("definition"))])
        rows = Run.objects.bulk_create([Run(**_columns(_numbered(change.fields), keys)) for change in changes])
        for change, row in zip(changes, rows, strict=True):
            change.outcome = RunRecord.from_row(row)


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
    newest = Run.objects.filter(plc=fields["plc_id"]).aggregate(newest=Max("sequence"))["newest"]
    return {**fields, "sequence": (newest or 0) + 1}


def _update(before: RunRecord, fields: dict[str, Any]) -> RunRecord | IllegalMove:
    fields = _numbered({"plc_id": before.plc_id, **fields})
    row = Run.objects.filter(pk=before.id, state=before.state, version=before.version)
    if not row.update(**fields, version=before.version + 1):
        return IllegalMove(f"run {before.id} is no longer {before.state} at version {before.version}")
    known = {name: value for name, value in fields.items() if name in RunRecord.__dataclass_fields__}
    return replace(before, **{**known, "state": State(fields.get("state", before.state))}, version=before.version + 1)


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


def _translated(error: Exception) -> Exception:
    if isinstance(error, KeyTaken):
        return error
    is_expected = isinstance(error, DatabaseUnavailable)
    logger.error("a run could not be stored: %s", error, exc_info=None if is_expected else error)
    if isinstance(error, IntegrityError):
        # one_running_per_plc, one_run_per_sequence; or the PLC's row is gone.
        return IllegalMove("another process carries out a command on this PLC now, or the PLC was deleted meanwhile")
    if is_expected:
        return RecordUnavailable("the database does not take the record; its own words are in the log")
    return error
