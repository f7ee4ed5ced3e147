"""News after commit: every stored change of a run, every change of a PLC's health, over the channel layer.

Off the command's path and with a limit of its own: a page, or Redis, that is slow never slows a command. A layer
may drop messages without a word, so each carries a number; who sees a gap takes a fresh snapshot.
"""

import asyncio
import contextvars
import json
import logging
import secrets
from collections import deque
from typing import Any

from channels.layers import get_channel_layer

from devices.control.records import RunRecord

logger = logging.getLogger(__name__)

GROUP = "live"
BEAT_S = 2.0
SEND_LIMIT_S = 2.0
BYE: dict[str, Any] = {"type": "live.bye"}
BACKLOG = 2000  # messages; older ones are dropped, their numbers missing tell it


class Announcer:
    """Numbers the news of this process and sends them in order."""

    def __init__(self) -> None:
        self._source = secrets.token_hex(4)
        self._seq = 0
        self._outbox: deque[dict[str, Any]] = deque(maxlen=BACKLOG)
        self._has_news = asyncio.Event()
        self._sender: asyncio.Task[None] | None = None
        self._beater: asyncio.Task[None] | None = None
        self._is_failing = False

    def start(self) -> None:
        """Begin to send."""
        self._sender = asyncio.create_task(self._send_all(), context=contextvars.Context())
        self._beater = asyncio.create_task(self._beat(), context=contextvars.Context())

    async def stop(self) -> None:
        """Send what is left, say goodbye to the pages and end; within a limit, whatever the layer does."""
        if self._sender is None or self._beater is None:
            return
        self._beater.cancel()
        self._put(BYE)
        await asyncio.wait([self._sender], timeout=SEND_LIMIT_S)
        self._sender.cancel()
        await asyncio.gather(self._sender, self._beater, return_exceptions=True)
        self._sender = self._beater = None

    def tell_run(self, record: RunRecord) -> None:
        """A run was stored or changed."""
        self._tell("live.news", {"kind": "run", "run": record.as_news()})

    def tell_plc(self, plc: dict[str, Any]) -> None:
        """A PLC's state changed."""
        self._tell("live.news", {"kind": "plc", "plc": plc})

    def tell_registry(self) -> None:
        """PLCs were added, changed or removed: pages take a fresh snapshot."""
        self._tell("live.registry")

    def _tell(self, kind: str, news: dict[str, Any] | None = None) -> None:
        self._seq += 1
        message: dict[str, Any] = {"type": kind, "source": self._source, "seq": self._seq}
        if news is not None:
            # Once for all pages.
            message["text"] = json.dumps(news, separators=(",", ":"))
        self._put(message)

    def _put(self, message: dict[str, Any]) -> None:
        self._outbox.append(message)
        self._has_news.set()

    async def _send_all(self) -> None:
        """Until the goodbye was sent."""
        message = None
        while message is not BYE:
            await self._has_news.wait()
            self._has_news.clear()
            while self._outbox:
                message = self._outbox.popleft()
                await self._send(message)

    async def _beat(self) -> None:
        """Show the pages the newest number, so that a lost last message is noticed, and that we live."""
        while True:
            await asyncio.sleep(BEAT_S)
            await self._send({"type": "live.beat", "source": self._source, "seq": self._seq - len(self._outbox)})

    async def _send(self, message: dict[str, Any]) -> None:
        try:
            async with asyncio.timeout(SEND_LIMIT_S):
                await get_channel_layer().group_send(GROUP, message)
        except Exception as error:
            if not self._is_failing:
                logger.warning("live pages get no news: %s", error or type(error).__name__)
            self._is_failing = True
        else:
            self._is_failing = False
