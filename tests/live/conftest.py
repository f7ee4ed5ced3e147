"""A page without a browser, a newsroom that can lose what it sends, and a registry with a PLC."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from channels.layers import get_channel_layer
from channels.testing import WebsocketCommunicator
from django.db import connections
from django.utils import timezone

from devices.control.announce import GROUP
from devices.live.consumer import LiveConsumer
from devices.models import PLC, Profile, Run, State


class Closed(Exception):
    """The server closed the socket, with this code."""

    def __init__(self, code: int) -> None:
        self.code = code
        super().__init__(code)


class Page:
    """One open live page."""

    def __init__(self, consumer: Any = LiveConsumer, **scope: Any) -> None:
        application = consumer.as_asgi() if isinstance(consumer, type) else consumer
        self.socket = WebsocketCommunicator(application, "/ws/live/", headers=scope.pop("headers", None))
        self.socket.scope.update(scope)

    async def __aenter__(self) -> "Page":
        assert await self.socket.connect(timeout=3) == (True, None)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.socket.disconnect()

    async def frame(self, timeout: float = 3) -> dict[str, Any]:
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

    def __init__(self, source: str = "a1b2") -> None:
        self.source = source
        self.seq = 0

    async def tell(self, content: Any = "news") -> int:
        self.seq += 1
        await self._send({"type": "live.news", "seq": self.seq, "text": json.dumps(content)})
        return self.seq

    def lose(self) -> None:
        self.seq += 1

    async def tell_registry(self) -> None:
        self.seq += 1
        await self._send({"type": "live.registry", "seq": self.seq})

    async def beat(self) -> None:
        await self._send({"type": "live.beat", "seq": self.seq})

    async def introduce(self, page: Page) -> None:
        """Make the page know this source: of a new one it asks for a snapshot once."""
        await self.beat()
        await page.snapshot()

    async def _send(self, message: dict[str, Any]) -> None:
        await get_channel_layer().group_send(GROUP, {**message, "source": self.source})


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
