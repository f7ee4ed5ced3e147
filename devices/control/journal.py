"""The writer of runs: one thread that commits what comes together in one transaction.

Group commit is worth eight times single creates (docs/adr/0004), and one writer numbers the changes in their
true order. Each change is a compare-and-set on the version before it: an illegal move changes no row.
"""

import asyncio
import logging
import queue
import threading
from collections.abc import Callable, Sequence
from typing import Any

from django.db import connection

from devices.control.errors import IllegalMove, RecordUnavailable
from devices.control.outcomes import MOVES, STARTS
from devices.control.records import RunRecord
from devices.control.writer import NEXT, Change, Writer
from devices.models import State

__all__ = ["NEXT", "Journal"]

logger = logging.getLogger(__name__)

BATCH = 200  # changes a transaction

OnCommit = Callable[[RunRecord], None]


class Journal:
    """Stores runs durably; each call returns when its change is committed."""

    def __init__(self, *, on_commit: OnCommit) -> None:
        self._on_commit = on_commit
        self._writer = Writer()
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
        """Store a new run; KeyTaken if its key stands on another, RecordUnavailable if the database refuses.

        IllegalMove where no run begins like this, or another run of its PLC is running.
        """
        if (state := fields.get("state", State.QUEUED)) not in STARTS:
            raise IllegalMove(f"no run begins as {state}")
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
        assert self._loop is not None  # noqa: S101 - set before the thread starts
        while batch := self._next_batch():
            settled = self._commit(batch)
            self._loop.call_soon_threadsafe(self._tell, batch, settled)
        connection.close()

    def _commit(self, batch: Sequence[Change]) -> Sequence[RunRecord]:
        """Whatever happens, this thread lives on: without it no command would ever end."""
        try:
            self._writer.commit(batch)
            return self._writer.settle_doubtful()
        except Exception:
            logger.exception("the journal met a bug")
            return ()

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

    def _tell(self, batch: Sequence[Change], settled: Sequence[RunRecord]) -> None:
        for change in batch:
            change.resolve()
        for record in (*(change.outcome for change in batch), *settled):
            if isinstance(record, RunRecord):
                self._on_commit(record)
