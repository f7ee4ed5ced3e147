"""When each API key was used last, to the minute: noted by the calls, stored by a thread of its own.

A call never waits for it, and none fails of it: where the database takes nothing, the use is forgotten.
"""

import asyncio
import logging
import queue
import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta

from django.db import Error as DatabaseUnavailable
from django.db import connection
from django.db.models import Q
from django.utils import timezone

from devices.models import APIKey

logger = logging.getLogger(__name__)

EVERY_S = 60.0  # of one key, over all processes


class LastUses:
    """Takes uses at any speed; stores one a minute of each key."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._noted: dict[str, float] = {}
        self._uses: queue.SimpleQueue[tuple[str, datetime] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to store."""
        self._thread = threading.Thread(target=self._work, name="last uses")
        self._thread.start()

    async def stop(self) -> None:
        """Store what was noted, then end the thread."""
        if self._thread is None:
            return
        self._uses.put(None)
        await asyncio.to_thread(self._thread.join)
        self._thread = None

    def note(self, key_id: str) -> None:
        """A call shows this key now."""
        now_s = self._clock()
        if self._thread is not None and now_s - self._noted.get(key_id, -EVERY_S) >= EVERY_S:
            self._noted[key_id] = now_s
            self._uses.put((key_id, timezone.now()))

    def _work(self) -> None:
        while (use := self._uses.get()) is not None:
            try:
                _store(*use)
            except DatabaseUnavailable as error:
                logger.warning("the last use of key %s is not stored: %s", use[0], error)
            except Exception:
                logger.exception("the last use of key %s is not stored", use[0])
            finally:
                connection.close()


def _store(key_id: str, at: datetime) -> None:
    """By an update, which moves no stamp: nobody has to read the keys again for it."""
    is_due = Q(last_used_at=None) | Q(last_used_at__lte=at - timedelta(seconds=EVERY_S))
    APIKey.objects.filter(is_due, key_id=key_id).update(last_used_at=at)
