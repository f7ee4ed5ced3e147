"""A poller's life in a process of its own: load, poll its share, hand over. No command is carried out here."""

import asyncio
import faulthandler
import logging

from django.conf import settings

from devices.control.errors import RecordUnavailable
from devices.control.lookout import Lookout
from devices.management.database import close_pools, require_migrated
from devices.management.ending import LAST_RESORT_S, SIGNALS
from devices.management.errors import CannotStart
from devices.management.event_loop import new_event_loop
from devices.management.lock import HeldLock, one_of_the_pollers
from devices.management.lock_keeping import keeping
from devices.management.watchdog import Watchdog

logger = logging.getLogger(__name__)


NEEDS_REDIS = (
    "manage.py poll needs REDIS_URL: over Redis it shares the turns at the PLCs with `manage.py serve --no-poll`. "
    "Without Redis one process does both: `manage.py serve`."
)


def run() -> int:
    """Poll until SIGTERM or SIGINT and return the exit code; to be called in the main thread. A second signal: now.

    Raises CannotStart.
    """
    if not settings.REDIS_URL:
        raise CannotStart(NEEDS_REDIS)
    with one_of_the_pollers() as lock:
        require_migrated()
        try:
            with asyncio.Runner(loop_factory=new_event_loop) as runner:
                return runner.run(_Life(lock).run())
        finally:
            close_pools()


class _Life:
    """One run of the poller."""

    def __init__(self, lock: HeldLock) -> None:
        self._lock = lock
        self._asked_to_end = asyncio.Event()
        self._has_lost_lock = False

    async def run(self) -> int:
        """Until a signal comes."""
        loop = asyncio.get_running_loop()
        polling = asyncio.create_task(self._poll())
        for number in SIGNALS:
            loop.add_signal_handler(number, self._on_signal, polling)
        with Watchdog(loop):
            await asyncio.wait([polling])
        if polling.cancelled():
            return 1
        polling.result()
        return 1 if self._has_lost_lock else 0

    async def _poll(self) -> None:
        lookout = Lookout(redis_url=settings.REDIS_URL, prefix=settings.REDIS_PREFIX)
        try:
            await lookout.start()
            logger.info("Ready: polling")
            async with keeping(self._lock, on_loss=self._on_lock_lost):
                await self._asked_to_end.wait()
        except RecordUnavailable as error:
            raise CannotStart(f"The registry cannot be loaded: {error}") from error
        finally:
            await lookout.stop()

    def _on_lock_lost(self) -> None:
        faulthandler.dump_traceback_later(LAST_RESORT_S, exit=True)
        self._has_lost_lock = True
        self._asked_to_end.set()

    def _on_signal(self, polling: "asyncio.Task[None]") -> None:
        faulthandler.dump_traceback_later(LAST_RESORT_S, exit=True)
        if not self._asked_to_end.is_set():
            logger.info("Ending; a second signal ends it now")
            self._asked_to_end.set()
            return
        polling.cancel()
