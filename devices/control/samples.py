"""The writer of history: one thread that stores samples about once a second, few in a transaction. Off the hot path.

Commands come first: SQLite has one writer at a time, so each transaction is short and leaves room for the journal's.
"""

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

from django.db import DataError, IntegrityError, connection, transaction
from django.db import Error as DatabaseUnavailable
from django.db.models import Q

from devices.models import PLC, Sample, Series

logger = logging.getLogger(__name__)

BATCH = 500  # samples a transaction
EVERY_S = 1.0  # between two looks at what has come
PAUSE_S = 0.1  # between two transactions of one look: the journal's turn
WAITING_LIMIT = 100_000  # samples that wait while the database is away: some 20 MB, ten minutes of a large plant
COMPLAIN_EVERY_S = 60.0

Key = tuple[int, str]
"""A PLC's number and a tag's name."""


WRONG = (IntegrityError, DataError, ValueError, OverflowError)
"""What one sample may do to its whole batch; tried again, it does the same."""


class NewSample(NamedTuple):
    """What a tag held from a moment on; neither number nor text: it could not be read."""

    plc_id: int
    tag: str
    at_ms: int
    number: float | None = None
    text: str | None = None


class SampleWriter:
    """Takes samples at any speed, and stores them when the database lets it."""

    def __init__(self, *, limit: int = WAITING_LIMIT, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit = limit
        self._clock = clock
        self._rows = _Rows()
        self._waiting: deque[NewSample] = deque()
        self._lock = threading.Lock()
        """Around the queue and the count of what was lost, never around the database."""
        self._lost = 0
        self._complained_s = -COMPLAIN_EVERY_S
        self._is_ending = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to store."""
        self._thread = threading.Thread(target=self._work, name="history")
        self._thread.start()

    async def stop(self) -> None:
        """Store what waits, as far as the database takes it at once, then end the thread."""
        if self._thread is None:
            return
        self._is_ending.set()
        await asyncio.to_thread(self._thread.join)
        self._thread = None

    def put(self, samples: Sequence[NewSample]) -> None:
        """Hand samples in; where too many wait, the oldest are lost."""
        with self._lock:
            self._waiting.extend(samples)
            self._drop_beyond_limit()

    def _work(self) -> None:
        while not self._is_ending.wait(EVERY_S):
            self._store_waiting()
        self._store_waiting()
        self._note_end()

    def _store_waiting(self) -> None:
        """Whatever happens, this thread lives on: without it there would be no more history until a restart."""
        try:
            while batch := self._take_batch():
                self._store(batch)
                self._note_success()
                if len(batch) == BATCH:
                    self._is_ending.wait(PAUSE_S)
        except DatabaseUnavailable as error:
            self._note_failure(error)
        except Exception:
            logger.exception("the writer of history met a bug")
        finally:
            connection.close()

    def _take_batch(self) -> list[NewSample]:
        with self._lock:
            return [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]

    def _store(self, batch: list[NewSample]) -> None:
        try:
            self._rows.store(batch)
        except DatabaseUnavailable:
            with self._lock:
                self._waiting.extendleft(reversed(batch))
                self._drop_beyond_limit()
            raise

    def _drop_beyond_limit(self) -> None:
        while len(self._waiting) > self._limit:
            self._waiting.popleft()
            self._lost += 1

    def _note_failure(self, error: Exception) -> None:
        if self._clock() - self._complained_s < COMPLAIN_EVERY_S:
            return
        self._complained_s = self._clock()
        logger.warning("history cannot be stored, %d sample(s) wait: %s", len(self._waiting), error)
        self._tell_lost()

    def _note_success(self) -> None:
        if self._complained_s >= 0:
            logger.info("history is stored again")
        self._complained_s = -COMPLAIN_EVERY_S
        self._tell_lost()

    def _note_end(self) -> None:
        with self._lock:
            self._lost += len(self._waiting)
            self._waiting.clear()
        self._tell_lost()

    def _tell_lost(self) -> None:
        with self._lock:
            lost, self._lost = self._lost, 0
        if lost:
            logger.warning("%d sample(s) of history are lost: the database did not take them in time", lost)


class _Rows:
    """Samples as rows; remembers which row stands for which series."""

    def __init__(self) -> None:
        self._series: dict[Key, int] = {}

    def store(self, batch: Sequence[NewSample]) -> None:
        """All in one transaction; DatabaseUnavailable where it may be tried again."""
        try:
            self._write(batch)
        except WRONG:
            self._series.clear()  # a series was pruned, or its PLC deleted
            self._store_what_can_be(batch)

    def _store_what_can_be(self, batch: Sequence[NewSample]) -> None:
        try:
            self._write(batch)
        except WRONG as error:
            if len(batch) == 1:
                logger.error("a sample of %s cannot be stored and is dropped: %s", batch[0].tag, error)
                return
            for half in (batch[: len(batch) // 2], batch[len(batch) // 2 :]):
                self._store_what_can_be(half)

    def _write(self, batch: Sequence[NewSample]) -> None:
        with transaction.atomic():
            found = self._resolve({(sample.plc_id, sample.tag) for sample in batch})
            Sample.objects.bulk_create(
                Sample(series_id=found[key], at_ms=sample.at_ms, number=sample.number, text=sample.text)
                for sample in batch
                if (key := (sample.plc_id, sample.tag)) in found  # of a PLC that was deleted meanwhile: nobody asks
            )
        self._series.update(found)  # not before they are committed

    def _resolve(self, keys: set[Key]) -> dict[Key, int]:
        known = {key: self._series[key] for key in keys & self._series.keys()}
        missing = keys - known.keys()
        return known | _made(missing) if missing else known


def _made(keys: set[Key]) -> dict[Key, int]:
    """Their rows, made where there are none; without those whose PLC is gone."""
    plcs = set(PLC.objects.filter(pk__in={plc for plc, _ in keys}).values_list("pk", flat=True))
    rows = [Series(plc_id=plc, tag=tag) for plc, tag in sorted(keys) if plc in plcs]
    Series.objects.bulk_create(rows, ignore_conflicts=True)  # another process may have been first
    asked = Q(plc__in=plcs, tag__in={tag for _, tag in keys})
    stored = Series.objects.filter(asked).values_list("plc_id", "tag", "pk")
    return {(plc, tag): pk for plc, tag, pk in stored if (plc, tag) in keys}
