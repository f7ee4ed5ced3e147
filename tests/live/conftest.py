"""A page without a browser, a newsroom that can lose what it sends, and a registry with a PLC."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from channels.db import database_sync_to_async
from channels.layers import get_channel_layer
from channels.testing import WebsocketCommunicator
from django.db import connections
from django.utils import timezone

from devices.control.errors import NotRunning
from devices.control.gateway import current
from devices.control.topics import OVERVIEW, PAGES
from devices.live.feed import Pace
from devices.live.pages import OverviewConsumer, PLCConsumer
from devices.models import PLC, Profile, Run, State


class Closed(Exception):
    """The server closed the socket, with this code."""

    def __init__(self, code: int) -> None:
        self.code = code
        super().__init__(code)


QUICK = Pace(frame_s=0.05, snapshot_s=0.05)


class Quick(OverviewConsumer):
    """Waits less."""

    pace = QUICK


class QuickPLC(PLCConsumer):
    """Waits less."""

    pace = QUICK


class Page:
    """One open page."""

    def __init__(self, consumer: Any = OverviewConsumer, *, address: str = "/ws/live/", **scope: Any) -> None:
        application = consumer.as_asgi() if isinstance(consumer, type) else consumer
        self.socket = WebsocketCommunicator(application, address, headers=scope.pop("headers", None))
        self.socket.scope.update(scope)

    async def __aenter__(self) -> "Page":
        with suppress(NotRunning):
            # What the test has registered is loaded, and told: the page hears of what changes from now on.
            await current().registry.plcs()
            await asyncio.sleep(0.02)
        assert await self.socket.connect(timeout=15) == (True, None)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.socket.disconnect()

    async def frame(self, timeout: float = 15) -> dict[str, Any]:
        """The next frame; Closed if the server closes instead."""
        message = await self.socket.receive_output(timeout)
        if message["type"] == "websocket.close":
            raise Closed(message["code"])
        return json.loads(message["text"])

    async def snapshot(self) -> dict[str, Any]:
        """The next snapshot; what comes before it is passed over."""
        while (frame := await self.frame()).get("type") != "snapshot":
            pass
        return frame

    async def news(self) -> list[Any]:
        """What is in the next frame with news; what comes before it is passed over."""
        while "news" not in (frame := await self.frame()):
            pass
        return frame["news"]

    async def news_until(self, is_enough: Callable[[list[Any]], Any]) -> list[Any]:
        """All news from now until there is enough."""
        heard: list[Any] = []
        async with asyncio.timeout(15):
            while not is_enough(heard):
                heard += await self.news()
        return heard

    async def closed(self) -> int:
        """The code with which the server closes; what comes before it is passed over."""
        try:
            while True:
                await self.frame()
        except Closed as end:
            return end.code

    async def hears_nothing(self, for_s: float) -> bool:
        return await self.socket.receive_nothing(for_s)


class Newsroom:
    """Announces as a gateway does, and can lose a message on the way."""

    def __init__(self, source: str = "a1b2", topic: str = OVERVIEW) -> None:
        self.source = source
        self.topic = topic
        self.seqs = {PAGES: 0, topic: 0}

    async def tell(self, content: Any = "news", about: str = "") -> None:
        """One piece of news; without `about` it is about a thing of its own."""
        number = self._next(self.topic)
        items = {about or f"thing {number}": json.dumps(content)}
        await self._send(self.topic, {"type": "live.news", "topic": self.topic, "seq": number, "items": items})

    def lose(self) -> None:
        self._next(self.topic)

    async def tell_registry(self) -> None:
        number = self._next(PAGES)
        await self._send(PAGES, {"type": "live.registry", "topic": PAGES, "seq": number})

    async def beat(self) -> None:
        await self._send(PAGES, {"type": "live.beat", "seqs": self.seqs})

    def _next(self, topic: str) -> int:
        self.seqs[topic] += 1
        return self.seqs[topic]

    async def introduce(self, page: Page) -> None:
        """Make the page know this source: of a new one it asks for a snapshot once."""
        await self.beat()
        await page.snapshot()

    async def _send(self, group: str, message: dict[str, Any]) -> None:
        await get_channel_layer().group_send(group, {**message, "source": self.source})


@pytest.fixture(autouse=True)
async def _no_connection_left() -> AsyncIterator[None]:
    """Channels' test tools keep the database connection of the worker thread open: close it."""
    yield
    await sync_to_async(connections.close_all)()


@pytest.fixture
def newsroom() -> Newsroom:
    return Newsroom()


@pytest.fixture
def public(settings: Any) -> None:
    """Anybody may watch."""
    settings.LIVE_PUBLIC = True


@pytest.fixture
async def press(transactional_db: None) -> PLC:
    profile = await Profile.objects.acreate(name="batch-machine")
    return await PLC.objects.acreate(name="press-1", title="Press 1", area="Hall A", profile=profile, host="127.0.0.1")


def run_of(plc: PLC, **fields: Any) -> Run:
    """A run, not yet stored."""
    at = timezone.now()
    given = {"plc_name": plc.name, "command": "start_batch", "caller": "user anna", "accepted_at": at, "version": 4}
    return Run(plc=plc, **{**given, "state": State.SUCCEEDED, "trace": [{"step": "long"}], "finished_at": at, **fields})


def busy_database(seconds: float) -> "asyncio.Task[None]":
    """Hold the one thread in which a process talks to its database, as a slow query does."""
    return asyncio.create_task(database_sync_to_async(time.sleep)(seconds))
