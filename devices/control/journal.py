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
from devices.control.own_connection import leave_the_pool
from devices.control.records import RunRecord
from devices.control.writer import NEXT, Change, Writer
from devices.models import State

__all__ = ["NEXT", "Journal"]

logger = logging.getLogger(__name__)

BATCH = 200  # changes a transaction

OnCommit = Callable[[RunRecord], None]


class Journal:
    """Stores runs durably; what a call returns is to be awaited, and done when its change is committed."""

    def __init__(self, *, on_commit: OnCommit, process: str = "") -> None:
        """`process`: the name of this one, under which its runs are stored."""
        self._on_commit = on_commit
        self._process = process
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

    def accept(self, **fields: Any) -> "asyncio.Future[RunRecord]":
        """Store a new run; KeyTaken if its key stands on another, RecordUnavailable if the database refuses.

        IllegalMove where no run begins like this; PLCTaken where another run of its PLC is running.
        """
        if (state := fields.get("state", State.QUEUED)) not in STARTS:
            return _refused(IllegalMove(f"no run begins as {state}"))
        return self._hand_in({"process": self._process, **fields}, None)

    def change(self, record: RunRecord, *, asked_from: str = "", **fields: Any) -> "asyncio.Future[RunRecord]":
        """Change a stored run.

        IllegalMove if the move is not allowed or the row is not as `record` says, PLCTaken where another run of its
        PLC is running.

        `asked_from`: the address of who reconciles it, for the audit.
        """
        to = fields.get("state", record.state)
        if to is not record.state and to not in MOVES.get(record.state, frozenset()):
            return _refused(IllegalMove(f"run {record.id} is {record.state}: it cannot become {to}"))
        return self._hand_in(fields, record, asked_from)

    def _hand_in(
        self, fields: dict[str, Any], before: RunRecord | None, asked_from: str = ""
    ) -> "asyncio.Future[RunRecord]":
        if self._loop is None or self._thread is None:
            return _refused(RecordUnavailable("the journal is not running"))
        change = Change(fields, before, self._loop.create_future(), asked_from=asked_from)
        self._changes.put(change)
        return change.done

    def _work(self) -> None:
        assert self._loop is not None  # noqa: S101 - set before the thread starts
        leave_the_pool()
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


def _refused(error: Exception) -> "asyncio.Future[RunRecord]":
    """Told to who waits for it, as what the database refuses is."""
    refused: asyncio.Future[RunRecord] = asyncio.get_running_loop().create_future()
    refused.set_exception(error)
    return refused
