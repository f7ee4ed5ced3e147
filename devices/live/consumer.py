"""One open page: hears the news of all gateways, notices what it missed, and sends it on."""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any

from channels.consumer import get_handler_name
from channels.exceptions import StopConsumer
from channels.generic.websocket import AsyncWebsocketConsumer
from django.db import DatabaseError

from devices.control.announce import GROUP
from devices.live import messages, snapshot
from devices.live.access import may_still_watch, may_watch
from devices.live.messages import CloseCode

logger = logging.getLogger(__name__)

LAYER_LIMIT_S = 5.0  # to join or leave the group

ASGIReceive = Callable[[], Awaitable[dict[str, Any]]]
ASGISend = Callable[[dict[str, Any]], Awaitable[None]]


class LiveConsumer(AsyncWebsocketConsumer):  # type: ignore[misc]  # channels has no types
    """Joins the group, sends a snapshot, then forwards what came. A layer may drop messages without a word:
    each carries a number of its source, and who sees a gap sends a fresh snapshot.
    """

    pause_s = 1.0
    """Between two snapshots to one page."""
    lag_s = 15.0
    """A page answers each beat; one that is silent for so long has stopped reading."""
    check_s = 20.0
    """Between two looks whether the user may still watch."""

    held_limit = 500
    """News that may wait for the first snapshot."""

    def __init__(self) -> None:
        super().__init__()
        self._seen: dict[str, int] = {}
        """The highest number heard of each source."""
        self._held: deque[str] | None = deque(maxlen=self.held_limit)
        """News that wait for the first snapshot; None once it is sent."""
        self._wants_snapshot = asyncio.Event()
        self._inbox = messages.Inbox()
        self._heard_at = 0.0
        self._tasks: list[asyncio.Task[None]] = []
        self._is_closed = False

    async def __call__(self, scope: dict[str, Any], receive: ASGIReceive, send: ASGISend) -> None:
        """Serve one page, and leave nothing behind, however it ends."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._leave()

    async def dispatch(self, message: dict[str, Any]) -> None:
        """Handle a message on the event loop.

        The stock method first hops to the one database thread of the process, where every message of every page
        would wait for the slowest query of any.
        """
        handler = getattr(self, get_handler_name(message), None)
        if handler is not None:
            await handler(message)

    async def connect(self) -> None:
        """Accept, so that the page can be told why it is sent away; then join, and send the first snapshot."""
        await self.accept()
        if not may_watch(self.scope.get("user")):
            await self.close(CloseCode.LOG_IN)
        elif not await self._joins():
            await self.close(CloseCode.COME_BACK)
        else:
            self._heard_at = _clock()
            self._wants_snapshot.set()
            self._tasks = [asyncio.create_task(work) for work in (self._keep_in_step(), self._keep_watch())]

    async def websocket_disconnect(self, _message: dict[str, Any]) -> None:
        """The page has left."""
        raise StopConsumer

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:  # noqa: ARG002
        """A page says little: that it reads, or that it lacks something."""
        if self._is_closed:
            return
        self._heard_at = _clock()
        fault = self._inbox.judge(text_data, self._heard_at)
        if fault is not None:
            await self.close(fault)
        elif text_data and messages.asks_for_snapshot(text_data):
            self._wants_snapshot.set()

    async def live_news(self, event: dict[str, Any]) -> None:
        """A run or a PLC has changed."""
        self._note(event, needed=event["seq"] - 1)
        await self._forward(messages.news(event))

    async def live_beat(self, event: dict[str, Any]) -> None:
        """A gateway lives, and tells the last number that it sent."""
        self._note(event, needed=event["seq"])
        if _clock() - self._heard_at > self.lag_s:
            await self.close(CloseCode.LAGS)
        await self.send(messages.BEAT)

    async def live_registry(self, event: dict[str, Any]) -> None:
        """PLCs were added, changed or removed."""
        self._note(event, needed=event["seq"] - 1)
        self._wants_snapshot.set()

    async def live_bye(self, _event: dict[str, Any]) -> None:
        """The server ends."""
        await self.close(CloseCode.COME_BACK)

    async def send(self, text_data: str) -> None:
        """Send a frame, unless the socket is closed."""
        if not self._is_closed:
            await super().send(text_data)

    async def close(self, code: CloseCode) -> None:
        """Close the socket, once."""
        if not self._is_closed:
            self._is_closed = True
            await super().close(int(code))

    def _note(self, event: Mapping[str, Any], *, needed: int) -> None:
        """See whether all up to number `needed` has come; if not, a snapshot makes up for it.

        Of a source not heard before nobody knows what was lost until now.
        """
        source, seen = event["source"], self._seen.get(event["source"])
        if seen is None or seen < needed:
            self._wants_snapshot.set()
        self._seen[source] = max(event["seq"], seen or 0)

    async def _forward(self, frame: str) -> None:
        if self._held is None:
            await self.send(frame)
            return
        if len(self._held) == self._held.maxlen:
            self._wants_snapshot.set()
        self._held.append(frame)

    async def _release(self) -> None:
        """The page has its first snapshot: what came meanwhile follows, in order."""
        while self._held:
            await self.send(self._held.popleft())
        self._held = None

    async def _keep_in_step(self) -> None:
        """Send a snapshot whenever one is wanted; one that is wanted during the pause is sent after it."""
        while not self._is_closed:
            await self._wants_snapshot.wait()
            self._wants_snapshot.clear()
            try:
                frame = await snapshot.shared().take()
            except Exception as error:
                # The page says that it is not connected, which is true, and comes back by itself.
                _warn("gets no snapshot", error)
                await self.close(CloseCode.COME_BACK)
                return
            await self.send(frame)
            await self._release()
            await asyncio.sleep(self.pause_s)

    async def _keep_watch(self) -> None:
        """Look again and again whether the user may watch, and stay in the group: membership ends after a day."""
        while not self._is_closed:
            await asyncio.sleep(self.check_s)
            try:
                is_welcome = await may_still_watch(self.scope)
            except Exception as error:
                _warn("is not checked", error)
                continue
            if not is_welcome:
                await self.close(CloseCode.LOG_IN)
            elif not await self._joins():
                await self.close(CloseCode.COME_BACK)

    async def _joins(self) -> bool:
        try:
            async with asyncio.timeout(LAYER_LIMIT_S):
                await self.channel_layer.group_add(GROUP, self.channel_name)
        except Exception as error:
            # Redis is away; which of its errors says so does not matter.
            logger.warning("a live page cannot hear the news: %s", str(error) or type(error).__name__)
            return False
        return True

    async def _leave(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        with suppress(Exception):
            async with asyncio.timeout(LAYER_LIMIT_S):
                await self.channel_layer.group_discard(GROUP, self.channel_name)


def _clock() -> float:
    return asyncio.get_running_loop().time()


def _warn(what: str, error: Exception) -> None:
    is_bug = not isinstance(error, DatabaseError)
    logger.warning("a live page %s: %s", what, error, exc_info=error if is_bug else None)
