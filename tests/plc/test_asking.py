"""A question that swallows its cancellation, as redis-py's may, harms nobody who asks."""

import asyncio
from contextlib import suppress

import pytest

from devices.plc.asking import answered


async def swallow(ended: asyncio.Event) -> int:
    """A question that goes on after it was cancelled once, and ends in an error that nobody waits for."""
    with suppress(asyncio.CancelledError):
        await asyncio.sleep(30)
    await asyncio.sleep(0.01)
    ended.set()
    raise OSError("the connection is gone")


async def seven() -> int:
    return 7


class TestAQuestion:
    async def test_is_answered(self):
        assert await answered(seven(), 1.0) == 7

    async def test_tells_its_own_error(self):
        async def fail() -> None:
            raise OSError("refused")

        with pytest.raises(OSError, match="refused"):
            await answered(fail(), 1.0)

    async def test_has_a_limit(self):
        with pytest.raises(TimeoutError, match="no answer within"):
            await answered(asyncio.Event().wait(), 0.02)

    async def test_that_swallows_its_cancellation_does_not_keep_who_asked(self):
        ended = asyncio.Event()
        asking = asyncio.create_task(answered(swallow(ended), 60.0))
        await asyncio.sleep(0.02)
        asking.cancel()
        await asyncio.wait([asking], timeout=10)
        assert asking.cancelled()
        assert ended.is_set(), "it runs on behind"
