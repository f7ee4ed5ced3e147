"""Which PLCs somebody looks at: for all others no news is written down, however many are polled.

Pages say what they show when they open and again and again; what nobody asked for lately is let go. A layer may drop
an ask as it may drop anything: a page that hears a gateway's beat and nothing of its PLC asks again.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Iterator

from channels.layers import get_channel_layer

from devices.control.topics import GATEWAYS, is_of_a_plc

logger = logging.getLogger(__name__)

INTEREST_S = 70.0  # pages ask every 20 s
RETRY_S = 5.0  # after the layer failed
REJOIN_S = 3600.0  # the layer in memory ends a membership after a day
JOIN_LIMIT_S = 2.0


class Audience:
    """The topics that pages have asked this gateway for."""

    def __init__(self, *, on_ask: Callable[[str, bool], None], clock: Callable[[], float] = time.monotonic) -> None:
        """`on_ask(topic, is_new)` is called at each ask, when the topic is already looked at."""
        self._on_ask = on_ask
        self._clock = clock
        self._until: dict[str, float] = {}
        self._channel: str | None = None
        self._joined_at = 0.0

    def looks_at(self, topic: str) -> bool:
        """Whether somebody wants its news."""
        return topic in self._until

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self._until))

    def note(self, topic: object) -> None:
        """A page asks for a topic."""
        if not isinstance(topic, str) or not is_of_a_plc(topic):
            return
        is_new = topic not in self._until
        self._until[topic] = self._clock() + INTEREST_S
        self._on_ask(topic, is_new)

    async def keep(self) -> None:
        """To be called again and again: let go what nobody has asked for lately, and stay where asks are heard."""
        now = self._clock()
        for topic in [topic for topic, until in self._until.items() if until < now]:
            del self._until[topic]
        if self._channel is not None and now - self._joined_at > REJOIN_S:
            with contextlib.suppress(Exception):
                async with asyncio.timeout(JOIN_LIMIT_S):
                    await self._join(self._channel)

    async def listen(self) -> None:
        """Hear the pages' asks, until cancelled; a layer in trouble is tried again."""
        while True:
            try:
                await self._hear()
            except Exception as error:
                logger.warning("pages cannot ask for their PLC: %s", str(error) or type(error).__name__)
                await asyncio.sleep(RETRY_S)

    async def _hear(self) -> None:
        layer = get_channel_layer()
        channel = self._channel = await layer.new_channel()
        try:
            await self._join(channel)
            while True:
                self.note((await layer.receive(channel)).get("topic"))
        finally:
            self._channel = None
            await layer.group_discard(GATEWAYS, channel)

    async def _join(self, channel: str) -> None:
        await get_channel_layer().group_add(GATEWAYS, channel)
        self._joined_at = self._clock()
