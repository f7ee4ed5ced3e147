"""How often somebody may ask: so many times in a minute, counted over all processes where they share a Redis.

Counting must cost a command nothing: without Redis it is a look into a dictionary; a Redis that does not answer at
once is left alone for a while, and each process counts by itself.
"""

import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from devices.plc.asking import AWAY, answered, redis_at

logger = logging.getLogger(__name__)

WINDOW_S = 60
MOST_NAMES = 10_000  # that are kept in memory: who makes up names must not fill it
ASK_LIMIT_S = 0.05  # for one question to Redis
SOCKET_S = 1.0  # to connect, and for an answer that nobody waits for any more
AWAY_S = 5.0  # for so long a Redis that did not answer is not asked
CONNECTIONS = 16

_COUNT = """
local count = redis.call('INCR', KEYS[1])
if count == 1 then redis.call('EXPIRE', KEYS[1], ARGV[1]) end
return {count, redis.call('TTL', KEYS[1])}
"""


@dataclass(slots=True)
class _Entry:
    """How often a name has come."""

    ends: float
    """When its minute is over, on the monotonic clock."""
    count: int = 0


class Counts:
    """How often each name has come in the minute that began with its first time."""

    def __init__(self) -> None:
        self._kept: dict[str, _Entry] = {}
        """Who began first stands first, and is the first whose minute is over."""
        self._shared: _Shared | None = None

    async def add(self, name: str) -> tuple[int, float]:
        """Count the name once more: how often it has come, and after how many seconds counting begins anew."""
        entry = self._entry(name) or self._begin(name)
        entry.count += 1
        shared = await self._shared.add(name) if self._shared else None
        # A process that has counted alone for a while knows of calls that Redis does not.
        if shared is not None and shared[0] > entry.count:
            entry.count, entry.ends = shared[0], time.monotonic() + shared[1]
        return entry.count, entry.ends - time.monotonic()

    def look(self, name: str) -> tuple[int, float]:
        """The same without counting, as this process knows it."""
        entry = self._entry(name)
        return (entry.count, entry.ends - time.monotonic()) if entry else (0, 0.0)

    @asynccontextmanager
    async def shared(self, url: str, *, prefix: str) -> AsyncIterator[None]:
        """Count together with all processes that use this Redis, for the block; an empty `url`: alone."""
        if not url:
            yield
            return
        self._shared = _Shared(url, prefix)
        try:
            yield
        finally:
            shared, self._shared = self._shared, None
            await shared.close()

    def forget(self) -> None:
        """Begin anew."""
        self._kept.clear()

    def _entry(self, name: str) -> "_Entry | None":
        entry = self._kept.get(name)
        if entry is not None and entry.ends <= time.monotonic():
            del self._kept[name]
            return None
        return entry

    def _begin(self, name: str) -> "_Entry":
        now = time.monotonic()
        while self._kept and (len(self._kept) >= MOST_NAMES or next(iter(self._kept.values())).ends <= now):
            del self._kept[next(iter(self._kept))]
        entry = self._kept[name] = _Entry(now + WINDOW_S)
        return entry


class _Shared:
    """The counts of all processes, in Redis."""

    def __init__(self, url: str, prefix: str) -> None:
        self._redis = redis_at(url, connections=CONNECTIONS, limit_s=SOCKET_S, wait_s=ASK_LIMIT_S)
        self._prefix = prefix
        self._count: Any = self._redis.register_script(_COUNT)
        self._away_until = 0.0

    async def add(self, name: str) -> tuple[int, float] | None:
        """What Redis says, None where it does not say it at once."""
        if time.monotonic() < self._away_until:
            return None
        question = self._count(keys=[f"{self._prefix}:rate:{name}"], args=[WINDOW_S])
        try:
            count, rest_s = await answered(question, ASK_LIMIT_S)
        except AWAY as error:
            self._leave_alone(error)
            return None
        return int(count), float(rest_s)

    async def close(self) -> None:
        """Close the connections to Redis."""
        await self._redis.aclose()

    def _leave_alone(self, error: Exception) -> None:
        if time.monotonic() >= self._away_until:
            why = str(error) or type(error).__name__
            logger.warning("Redis does not count requests (%s): this process counts by itself for %g s", why, AWAY_S)
        self._away_until = time.monotonic() + AWAY_S


COUNTS = Counts()
"""Of this process."""
