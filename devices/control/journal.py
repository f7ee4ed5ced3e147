"""The writer of runs: one thread that commits what comes together in one transaction.

Group commit is worth eight times single creates (docs/adr/0004), and one writer numbers the changes in their
true order. Each change is a compare-and-set on the version before it: an illegal move changes no row.
"""

import asyncio
import logging
import queue
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.db import DatabaseError, IntegrityError, InterfaceError, OperationalError, connection, transaction
from django.db.models import Max

from devices.control.definitions import StoredDefinitions
from devices.control.errors import IllegalMove, KeyTaken, RecordUnavailable
from devices.control.outcomes import MOVES
from devices.control.records import RunRecord
from devices.control.stored import by_key
from devices.models import Run, State

logger = logging.getLogger(__name__)

BATCH = 200  # changes a transaction

NEXT = "next"
"""Given as `sequence`: one more than the newest number at the run's PLC. Only one run a PLC is running, so that no two
are given the same."""

OnCommit = Callable[[RunRecord], None]


@dataclass(eq=False)
class Change:
    """A new run, or new fields for a stored one, and who waits for it to be durable."""

    fields: dict[str, Any]
    before: RunRecord | None
    done: "asyncio.Future[RunRecord]"
    outcome: RunRecord | Exception | None = None


class Journal:
    """Stores runs durably; each call returns when its change is committed."""

    def __init__(self, *, on_commit: OnCommit) -> None:
        self._on_commit = on_commit
        self._definitions = StoredDefinitions()
        self._changes: queue.SimpleQueue[Change | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self) -> None:
        """Begin to take changes, from the event loop that calls."""
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._work, name="journal")
        self._thread.start()

    async def stop(self) -> None:
        """Write what was handed in, then end the thread and close its connection."""
        if self._thread is None:
            return
        self._changes.put(None)
        await asyncio.to_thread(self._thread.join)
        self._thread = None

    async def accept(self, **fields: Any) -> RunRecord:
        """Store a new run; KeyTaken if its key stands on another, RecordUnavailable if the database refuses."""
        return await self._hand_in(fields, None)

    async def change(self, record: RunRecord, **fields: Any) -> RunRecord:
        """Change a stored run; IllegalMove if the move is not allowed or the row is not as `record` says."""
        to = fields.get("state", record.state)
        if to is not record.state and to not in MOVES.get(record.state, frozenset()):
            raise IllegalMove(f"run {record.id} is {record.state}: it cannot become {to}")
        return await self._hand_in(fields, record)

    async def _hand_in(self, fields: dict[str, Any], before: RunRecord | None) -> RunRecord:
        if self._loop is None or self._thread is None:
            raise RecordUnavailable("the journal is not running")
        change = Change(fields, before, self._loop.create_future())
        self._changes.put(change)
        return await change.done

    def _work(self) -> None:
        while batch := self._next_batch():
            _commit(batch, self._definitions)
            assert self._loop is not None  # noqa: S101 - set before the thread starts
            self._loop.call_soon_threadsafe(self._tell, batch)
        connection.close()

    def _next_batch(self) -> list[Change]:
        """Wait for a change and take all that have come meanwhile; empty at the end."""
        change = self._changes.get()
        batch: list[Change] = []
        while change is not None:
            batch.append(change)
            if len(batch) == BATCH or self._changes.empty():
                return batch
            change = self._changes.get()
        if batch:
            self._changes.put(None)  # the end was seen while collecting: see it again next time
        return batch

    def _tell(self, batch: Sequence[Change]) -> None:
        for change in batch:
            if isinstance(change.outcome, RunRecord):
                self._on_commit(change.outcome)
            if change.done.cancelled():
                continue
            if isinstance(change.outcome, RunRecord):
                change.done.set_result(change.outcome)
            else:
                change.done.set_exception(change.outcome or RuntimeError("not written"))


def _commit(batch: Sequence[Change], definitions: StoredDefinitions) -> None:
    """Write all in one transaction; where one of them breaks it, each in its own."""
    try:
        _write(batch, definitions)
    except (OperationalError, InterfaceError) as error:
        # The database takes nothing now: to ask again for each would make the last one wait many times its limit.
        _refuse(batch, error)
    except Exception as error:
        if len(batch) == 1:
            return _refuse(batch, _key_taken(batch[0]) or error)
        for change in batch:
            _commit([change], definitions)


def _refuse(batch: Sequence[Change], error: Exception) -> None:
    outcome = _translated(error)
    for change in batch:
        change.outcome = outcome
    connection.close()


def _write(batch: Sequence[Change], definitions: StoredDefinitions) -> None:
    with transaction.atomic():
        _insert([change for change in batch if change.before is None], definitions)
        for change in batch:
            if change.before is not None:
                change.outcome = _update(change.before, change.fields)


def _insert(changes: Sequence[Change], definitions: StoredDefinitions) -> None:
    keys = definitions.store([spec for change in changes if (spec := change.fields.get("definition"))])
    rows = Run.objects.bulk_create([Run(**_columns(_numbered(change.fields), keys)) for change in changes])
    for change, row in zip(changes, rows, strict=True):
        change.outcome = RunRecord.from_row(row)


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
    except DatabaseError:
        return None
    return KeyTaken(taken) if taken else None


def _translated(error: Exception) -> Exception:
    if isinstance(error, KeyTaken):
        return error
    if isinstance(error, IntegrityError):
        return IllegalMove(f"the database refused the change: {error}")
    if isinstance(error, (DatabaseError, InterfaceError)):  # Django's InterfaceError is none of its DatabaseErrors
        logger.error("a run could not be stored: %s", error)
        return RecordUnavailable(f"the database does not take the record ({error})")
    logger.error("a run could not be stored", exc_info=error)
    return error
