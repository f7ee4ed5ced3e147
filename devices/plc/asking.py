"""Ask Redis within a limit, and so that whoever asks can be cut.

redis-py 8.1.0 may lose a cancellation that comes while it sends (it uses `asyncio.wait_for`, which does so in Python
3.11): the task then runs on, and who waits for its end waits for ever. So a question runs in a task of its own.
"""

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar

from redis.asyncio import BlockingConnectionPool, Redis
from redis.exceptions import RedisError

Answer = TypeVar("Answer")

AWAY = (RedisError, OSError, TimeoutError)
"""What a question raises where Redis does not answer it."""


def redis_at(url: str, *, connections: int, limit_s: float, wait_s: float | None = None, **more: Any) -> Any:
    """A Redis to ask, over so many connections; nothing is connected yet.

    `limit_s` for a connection and for an answer; `wait_s` (else as long) for a connection that others use. Redis's own
    types know neither scripts nor what it answers with.
    """
    limits = {"socket_timeout": limit_s, "socket_connect_timeout": limit_s, "timeout": wait_s or limit_s}
    return Redis.from_pool(BlockingConnectionPool.from_url(url, max_connections=connections, **limits, **more))


async def answered(question: Awaitable[Answer], limit_s: float) -> Answer:
    """The answer, or what the question raises; TimeoutError after `limit_s` seconds. Nothing runs on behind it."""
    asking = asyncio.ensure_future(question)
    try:
        await asyncio.wait([asking], timeout=limit_s)
        if asking.done():
            return asking.result()
    finally:
        await _end(asking, limit_s)
    raise TimeoutError(f"no answer within {limit_s:g} s")


async def _end(asking: "asyncio.Future[Answer]", limit_s: float) -> None:
    if asking.cancel():
        await asyncio.wait([asking], timeout=limit_s)
    if asking.done() and not asking.cancelled():
        asking.exception()  # nobody is left to be told
