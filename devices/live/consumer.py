"""One open page: hears the news of all gateways, notices what it missed, and is sent what it shows."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from channels.consumer import get_handler_name
from channels.exceptions import StopConsumer
from channels.generic.websocket import AsyncWebsocketConsumer
from django.db import Error as DatabaseUnavailable
from django.utils import timezone

from devices.control.errors import NotRunning, RecordUnavailable, UnknownPLC
from devices.control.gateway import current
from devices.control.topics import PAGES
from devices.live import messages
from devices.live.access import Viewer, viewer_now, viewer_of
from devices.live.feed import Feed, Pace
from devices.live.heard import Heard
from devices.live.messages import CloseCode
from devices.live.open_pages import open_pages
from devices.live.sharing import Snapshots

logger = logging.getLogger(__name__)

LAYER_LIMIT_S = 5.0  # to join or leave the groups, or to send
NO_BUG = (DatabaseUnavailable, RecordUnavailable, NotRunning)

ASGIReceive = Callable[[], Awaitable[dict[str, Any]]]
ASGISend = Callable[[dict[str, Any]], Awaitable[None]]


class SentAway(Exception):
    """The page cannot be served; its socket is closed with this code."""

    def __init__(self, code: CloseCode) -> None:
        self.code = code
        super().__init__(code.name)


class PageConsumer(AsyncWebsocketConsumer):  # type: ignore[misc]  # channels has no types
    """Joins its groups, sends a snapshot, then what is new. A layer may drop messages without a word: each carries a
    number of its source and topic, and who sees a gap sends a fresh snapshot.
    """

    pace = Pace()
    quiet_s = 6.0
    """A page that has not answered a beat for so long is sent nothing but beats."""
    lag_s = 15.0
    """One that has not for so long has stopped reading."""
    check_s = 20.0
    """Between two looks whether the user may still watch, and what."""

    def __init__(self) -> None:
        super().__init__()
        self.topic = ""
        self.viewer = Viewer()
        self._place = ""
        """Whose page it is counted as."""
        self._heard: Heard
        self._feed: Feed
        self._inbox = messages.Inbox()
        self._asked_at: float | None = None
        """When the first beat went out that is not answered."""
        self._tasks: list[asyncio.Task[None]] = []
        self._is_closed = False

    async def find(self) -> str:
        """The topic that the page shows; SentAway if there is none for this viewer."""
        raise NotImplementedError

    async def look_again(self) -> Snapshots:
        """Called before each snapshot, and when the viewer's rights have changed; SentAway if nothing is left to show.

        Returns the snapshots of what this viewer sees now.
        """
        raise NotImplementedError

    def hears(self, plc_id: int | None) -> bool:  # noqa: ARG002
        """Whether the viewer may hear news that are about this PLC."""
        return True

    def may(self) -> dict[str, Any] | None:
        """What the viewer may do with what the page shows; None where that needs no saying."""
        return None

    async def ask(self) -> None:
        """Make the gateways tell the news of the topic, where they do not so by themselves."""

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
        try:
            await self._enter()
        except SentAway as end:
            await self.close(end.code)
        except NO_BUG as error:
            _warn("is not served", error)
            await self.close(CloseCode.COME_BACK)

    async def websocket_disconnect(self, _message: dict[str, Any]) -> None:
        """The page has left."""
        raise StopConsumer

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:  # noqa: ARG002
        """A page says little: that it reads, or that it lacks something."""
        if self._is_closed:
            return
        self._asked_at = None
        fault = self._inbox.judge(text_data, _clock())
        if fault is not None:
            await self.close(fault)
        elif text_data and messages.asks_for_snapshot(text_data):
            self._feed.want_snapshot()

    async def live_news(self, event: dict[str, Any]) -> None:
        """Runs, the PLC's state or what its tags hold have changed."""
        self._note(event)
        if self.hears(event.get("plc")):
            self._feed.add(event["items"])

    async def live_registry(self, event: dict[str, Any]) -> None:
        """PLCs were added, changed or removed."""
        self._note(event)
        self._feed.want_snapshot()

    async def live_beat(self, event: dict[str, Any]) -> None:
        """A gateway lives, and tells the last numbers that it sent to all pages."""
        await self.live_tail(event)
        if not self._heard.is_told(event["source"], self.topic):
            await self._ask()
        now = _clock()
        self._asked_at = self._asked_at or now
        if now - self._asked_at > self.lag_s:
            await self.close(CloseCode.LAGS)
        await self.send(messages.beat(timezone.now()))

    async def live_tail(self, event: dict[str, Any]) -> None:
        """A gateway tells the last numbers that it sent."""
        if self._heard.lacks_up_to(event["source"], event["seqs"]):
            self._feed.want_snapshot()

    async def live_bye(self, event: dict[str, Any]) -> None:
        """A server ends: the pages that it serves come back to another one, or to the next. Those of others stay."""
        with suppress(NotRunning):
            if event["source"] != current().announcer.source:
                return
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

    def _note(self, event: dict[str, Any]) -> None:
        if self._heard.lacks_before(event["source"], event["topic"], event["seq"]):
            self._feed.want_snapshot()

    async def _enter(self) -> None:
        self.viewer = await viewer_of(self.scope.get("user"))
        if not self.viewer.may_watch:
            raise SentAway(CloseCode.LOG_IN)
        self._take_place()
        self.topic = await self.find()
        self._heard = Heard((PAGES, self.topic))
        self._feed = Feed(
            send=self.send,
            take_snapshot=self._take_snapshot,
            is_reading=self._is_reading,
            pace=self.pace,
        )
        await self._join()
        self._tasks = [asyncio.create_task(work) for work in (self._keep_in_step(), self._keep_watch())]

    def _take_place(self) -> None:
        address = (self.scope.get("client") or ("nowhere",))[0]
        caller = f"user {self.viewer.name}" if self.viewer.name else f"address {address}"
        if not open_pages.enter(caller):
            raise SentAway(CloseCode.CROWDED)
        self._place = caller

    def _is_reading(self) -> bool:
        return self._asked_at is None or _clock() - self._asked_at < self.quiet_s

    async def _take_snapshot(self) -> str:
        snapshots = await self.look_again()
        with suppress(NotRunning):
            announcer = current().announcer
            self._heard.start_from(announcer.source, announcer.reached(PAGES, self.topic))
        may = self.may()
        content = await snapshots.take()
        return content if may is None else messages.personal(content, may=may)

    async def _keep_in_step(self) -> None:
        try:
            await self._feed.run()
        except SentAway as end:
            await self.close(end.code)
        except UnknownPLC:  # deleted while its snapshot was read
            await self.close(CloseCode.GONE)
        except Exception as error:
            # The page says that it is not connected, which is true, and comes back by itself.
            _warn("gets no snapshot", error)
            await self.close(CloseCode.COME_BACK)

    async def _keep_watch(self) -> None:
        """Look again and again what the user may watch, and stay where the news are heard.

        Membership ends after a day, and gateways forget a PLC that nobody asks for: also while the database is away.
        """
        while not self._is_closed:
            await asyncio.sleep(self.check_s)
            try:
                await self._look_who_it_is()
                await self._join()
            except SentAway as end:
                await self.close(end.code)

    async def _look_who_it_is(self) -> None:
        """SentAway where he may see this no longer, or is not the one who was logged in: also where it is public.

        What cannot be looked up now holds as it was found last.
        """
        try:
            viewer = await viewer_now(self.scope)
            is_another = bool(self.viewer.name) and viewer.name != self.viewer.name
            if is_another or not viewer.may_watch:
                raise SentAway(CloseCode.LOG_IN)
            if viewer != self.viewer:
                self.viewer = viewer
                await self.look_again()
                self._feed.want_snapshot()
        except SentAway:
            raise
        except Exception as error:
            _warn("is not checked", error)

    async def _join(self) -> None:
        try:
            async with asyncio.timeout(LAYER_LIMIT_S):
                for group in (PAGES, self.topic):
                    await self.channel_layer.group_add(group, self.channel_name)
        except Exception as error:
            # Redis is away; which of its errors says so does not matter.
            logger.warning("a live page cannot hear the news: %s", str(error) or type(error).__name__)
            raise SentAway(CloseCode.COME_BACK) from error
        await self._ask()

    async def _ask(self) -> None:
        with suppress(Exception):  # the next beat asks again
            async with asyncio.timeout(LAYER_LIMIT_S):
                await self.ask()

    async def _leave(self) -> None:
        if self._place:  # first, and without a pause in which this could be cut
            open_pages.leave(self._place)
            self._place = ""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for group in (PAGES, self.topic) if self.topic else ():
            with suppress(Exception):
                async with asyncio.timeout(LAYER_LIMIT_S):
                    await self.channel_layer.group_discard(group, self.channel_name)


def _clock() -> float:
    return asyncio.get_running_loop().time()


def _warn(what: str, error: Exception) -> None:
    logger.warning("a live page %s: %s", what, error, exc_info=None if isinstance(error, NO_BUG) else error)
