"""Whether something that this process keeps in memory was changed, here or elsewhere: one small look for all of it.

Each change moves the stamp of its kind in the database, in the same transaction. All stamps are looked at again and
again, at once where another process says over Redis that it changed something, and before a caller is believed who
must be seen as things stand. A notice that is lost, and a change that nobody tells, cost LOOK_S.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from contextlib import suppress

from django.db import Error as DatabaseUnavailable

from devices.control.apart import OneAtATime, apart
from devices.control.errors import RecordUnavailable
from devices.control.notices import Notices
from devices.control.own_thread import OwnThread
from devices.models import stamps

logger = logging.getLogger(__name__)

LOOK_S = 0.5  # between two looks where nothing is told
NEVER = float("-inf")

OnLook = Callable[["Seen"], None]


class Seen:
    """The stamps at one look."""

    def __init__(self, versions: Mapping[str, int], began: float) -> None:
        self.versions = versions
        self.began = began
        """On the monotonic clock: what was committed until then is in it."""


class Stamps:
    """The stamps as they were when they were last looked at."""

    def __init__(self, *, redis_url: str = "", prefix: str = "") -> None:
        """`redis_url` where other processes tell what they change, and want to be told."""
        self.on_look: list[OnLook] = []
        """Hear of each look."""
        self._seen = Seen({}, NEVER)
        self._look = OneAtATime(self._look_now)
        self.thread = OwnThread("stamps")
        """For looks, and for what is read quickly."""
        self._notices = Notices(redis_url, prefix=prefix, on_notice=self._hasten) if redis_url else None
        self._is_due = asyncio.Event()
        self._looking: asyncio.Task[None] | None = None
        self._is_failing = False

    def start(self) -> None:
        """Begin to look again and again."""
        self._looking = apart(self._look_regularly())
        if self._notices is not None:
            self._notices.start()

    async def stop(self) -> None:
        """Look no more."""
        if self._notices is not None:
            await self._notices.stop()
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)
        await self._look.end()
        self.thread.stop()

    async def look(self, *, since: float) -> Seen:
        """The stamps as a look found them that began at `since` or later; RecordUnavailable where none succeeds."""
        while self._seen.began < since:
            await asyncio.shield(self._look.begin())
        return self._seen

    async def _look_now(self) -> None:
        began = time.monotonic()
        try:
            versions = await self.thread.run(stamps.versions)
        except DatabaseUnavailable as error:
            raise RecordUnavailable("whether something was changed cannot be looked up") from error
        self._seen = Seen(versions, began)
        for listener in self.on_look:
            listener(self._seen)

    async def _look_regularly(self) -> None:
        while True:
            self._is_due.clear()
            await self._try()
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):
                    await self._is_due.wait()

    async def _try(self) -> None:
        try:
            await self.look(since=time.monotonic())
        except Exception as error:
            if not self._is_failing:
                logger.error("%s (%s)", error, error.__cause__)
            self._is_failing = True
        else:
            self._is_failing = False

    def _hasten(self) -> None:
        """Another process has changed something."""
        self._is_due.set()
