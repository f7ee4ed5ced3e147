"""Something read from the database and kept in memory, read again where its stamp has moved."""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from django.db import Error as DatabaseUnavailable

from devices.control.apart import OneAtATime
from devices.control.errors import Draining, RecordUnavailable
from devices.control.own_thread import OwnThread
from devices.control.stamps import NEVER, Seen, Stamps
from devices.models.one_moment import one_moment
from devices.models.stamps import Kind, moved, version

logger = logging.getLogger(__name__)

RETRY_S = 5.0  # after a reading that failed, where nobody asks meanwhile
KEPT_S = 60.0  # what somebody changes past the product, in the database itself, is seen after this

Content = TypeVar("Content")


class Kept(Generic[Content]):
    """What this process has stored is known to it before anybody is told that it is stored.

    What another process has stored is known with the next look at the stamps, and all that it stored in one transaction
    at once. It is read once for all who wait.
    """

    def __init__(  # noqa: PLR0913 - one choice each of who keeps it
        self,
        read: Callable[[], Content],
        *,
        kind: Kind,
        lack: str,
        stamps: Stamps,
        on_read: Callable[[Content], None] = lambda _: None,
        thread: OwnThread | None = None,
    ) -> None:
        """`lack` says what is wrong where `read` fails. Without a `thread` it is quick, and done in that of the looks.

        `read` only reads: it is called in a transaction that sees one moment, and may write nothing.
        """
        self._read = read
        self._kind = kind
        self._lack = lack
        self._stamps = stamps
        self._on_read = on_read
        self._content: Content
        # A mark, not a count: it is set from any thread.
        self._stored = object()
        self._seen: object = None
        self._version: int | None = None
        """The stamp when it was read."""
        self._read_at = self._known_at = NEVER
        """When the last reading began, and the last look that found nothing new."""
        self._reading = OneAtATime(self._read_now)
        self._retry: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = thread or stamps.thread
        moved.connect(self._note_moved)
        stamps.on_look.append(self._note_look)

    async def start(self) -> None:
        """Read, and from now on also where nobody asks."""
        self._loop = asyncio.get_running_loop()
        await self.now()

    async def stop(self) -> None:
        """Notice nothing more."""
        self._loop = None
        moved.disconnect(self._note_moved)
        if self._retry is not None:
            self._retry.cancel()
        await self._reading.end()

    async def now(self) -> Content:
        """As far as this process knows. RecordUnavailable where it is known to be out of date and cannot be read."""
        while self._seen is not self._stored:
            await asyncio.shield(self._reading.begin())
        return self._content

    async def as_of(self, since: float) -> Content:
        """As it was stored at this moment of the monotonic clock, or later. RecordUnavailable as above."""
        while self._seen is not self._stored or self._known_at < since:
            if self._seen is self._stored:
                self._note_look(await self._stamps.look(since=since))
            await self.now()
        return self._content

    def forget(self) -> None:
        """What was read is out of date; to be called in the event loop."""
        self._stored = object()
        self._catch_up()

    async def _read_now(self) -> None:
        stored, began = self._stored, time.monotonic()
        try:
            found, content = await self._thread.run(self._version_and_content)
        except Draining:
            raise
        except Exception as error:
            self._note_failure(error)
            if isinstance(error, DatabaseUnavailable):
                raise RecordUnavailable(self._lack) from error
            raise
        self._content, self._version, self._seen = content, found, stored
        self._read_at = self._known_at = began
        self._tell(content)
        # Something may have been stored while it was read.
        if self._loop is not None and self._seen is not self._stored:
            self._loop.call_soon(self._catch_up)

    def _tell(self, content: Content) -> None:
        try:
            self._on_read(content)
        except Exception:
            logger.exception("what was read of %s was not taken over by a fault of the gateway", self._kind.label)

    def _version_and_content(self) -> tuple[int, Content]:
        # What is stored in one transaction is seen as a whole: no command is run half as it was and half as it is.
        with one_moment():
            return version(self._kind), self._read()

    def _note_look(self, seen: Seen) -> None:
        if self._seen is not self._stored or seen.began < self._read_at:
            return
        if seen.versions.get(self._kind, 0) != self._version:
            self.forget()
            return
        self._known_at = seen.began
        if seen.began - self._read_at > KEPT_S:
            self._reading.begin()  # nobody waits for it

    def _note_moved(self, kind: Kind, **_: Any) -> None:
        """Called in the thread that stored it; from its commit on, nobody goes by what was known before."""
        if kind is not self._kind:
            return
        self._stored = object()
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._catch_up)

    def _catch_up(self) -> None:
        """Read also where nobody asks: the poller would go on at a machine that is another one now."""
        if self._loop is not None and self._seen is not self._stored:
            self._reading.begin()

    def _note_failure(self, error: Exception) -> None:
        """What failed is tried again."""
        logger.error("%s: %s", self._lack, error)
        if self._retry is not None:
            self._retry.cancel()
        if self._loop is not None:
            self._retry = self._loop.call_later(RETRY_S, self._catch_up)
