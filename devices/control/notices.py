"""Tells the other processes over Redis that something was changed here, and hears the same of them.

A notice says only that it is time to look: it may be lost, or come twice. Nothing here raises where Redis is away.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from devices.control.apart import apart
from devices.models.stamps import moved
from devices.plc.asking import AWAY, answered, redis_at

logger = logging.getLogger(__name__)

LIMIT_S = 1.0  # for one exchange with Redis
RETRY_S = 1.0
QUIET_S = 5.0  # without a word Redis is asked whether it is still there
CONNECTIONS = 2  # one to hear, one to tell


class Notices:
    """Of one process."""

    def __init__(self, url: str, *, prefix: str, on_notice: Callable[[], None]) -> None:
        """`on_notice` is called where another process may have changed something."""
        self._redis = redis_at(url, connections=CONNECTIONS, limit_s=LIMIT_S, decode_responses=True)
        self._channel = f"{prefix}:changes"
        self._on_notice = on_notice
        self._untold: set[str] = set()
        self._has_untold = asyncio.Event()
        self._is_away = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin to tell and to hear."""
        self._loop = asyncio.get_running_loop()
        moved.connect(self._note_moved)
        self._tasks = [apart(self._tell_all()), apart(self._hear_all())]

    async def stop(self) -> None:
        """Tell nothing more, and close the connections."""
        self._loop = None
        moved.disconnect(self._note_moved)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._redis.aclose()

    def _note_moved(self, kind: str, **_: Any) -> None:
        """Called in the thread that stored it."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._add, kind)

    def _add(self, kind: str) -> None:
        self._untold.add(kind)
        self._has_untold.set()

    async def _tell_all(self) -> None:
        while True:
            await self._has_untold.wait()
            self._has_untold.clear()
            kinds, self._untold = self._untold, set()
            await self._tell(" ".join(sorted(kinds)))

    async def _tell(self, kinds: str) -> None:
        try:
            await answered(self._redis.publish(self._channel, kinds), LIMIT_S)
        except AWAY as error:
            self._note(error)
        except Exception:
            logger.exception("a change is told to no other process by a fault of the gateway")

    async def _hear_all(self) -> None:
        while True:
            try:
                async with self._redis.pubsub() as heard:
                    await self._hear(heard)
            except AWAY as error:
                self._note(error)
            except Exception:
                logger.exception("changes in other processes are not heard by a fault of the gateway")
            await asyncio.sleep(RETRY_S)

    async def _hear(self, heard: Any) -> None:
        """Until it fails. A Redis that has gone without a word is asked, and does not answer."""
        await answered(heard.subscribe(self._channel), LIMIT_S)
        is_asked = False
        while True:
            message = await answered(heard.get_message(timeout=QUIET_S), QUIET_S + LIMIT_S)
            if message is None:
                if is_asked:
                    raise TimeoutError(f"no word within {QUIET_S:g} s")
                await answered(heard.ping(), LIMIT_S)
            elif message["type"] != "pong":
                # Also when the subscription stands: what was told before was not heard.
                self._note(None)
                self._on_notice()
            is_asked = message is None

    def _note(self, error: Exception | None) -> None:
        if error is not None and not self._is_away:
            reason = str(error) or type(error).__name__
            logger.warning("changes are seen a little later in other processes: Redis does not answer (%s)", reason)
        self._is_away = error is not None
