"""Counting: in memory, together over Redis, and at once where Redis does not answer."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from secrets import token_hex

import pytest

from devices.control import rates
from devices.control.rates import Counts
from tests.doubles.clock import CLOCK_S
from tests.doubles.redis import NEEDS_REDIS, REDIS_URL


async def count_of(counts: Counts, name: str = "key mes") -> int:
    return (await counts.add(name))[0]


class TestCounts:
    async def test_go_up_and_say_when_they_begin_anew(self):
        counts = Counts()
        assert [await count_of(counts) for _ in range(3)] == [1, 2, 3]
        count, rest_s = counts.look("key mes")
        assert count == 3
        assert 59 < rest_s <= 60

    async def test_of_one_name_are_not_those_of_another(self):
        counts = Counts()
        assert [await count_of(counts, name) for name in ("a", "b", "a")] == [1, 1, 2]
        assert counts.look("c") == (0, 0.0)

    async def test_begin_anew_after_a_minute(self, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr(rates, "WINDOW_S", 0.05)
        counts = Counts()
        assert [await count_of(counts) for _ in range(2)] == [1, 2]
        await asyncio.sleep(0.06)
        assert counts.look("key mes") == (0, 0.0)
        assert await count_of(counts) == 1

    async def test_do_not_fill_the_memory_whoever_makes_up_names(self, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr(rates, "MOST_NAMES", 100)
        counts = Counts()
        for number in range(1000):
            await counts.add(f"guess {number}")
        assert len(counts._kept) == 100
        assert counts.look("guess 999")[0] == 1

    async def test_that_are_over_are_dropped_by_the_next_name(self, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr(rates, "WINDOW_S", 0.02)
        counts = Counts()
        for number in range(50):
            await counts.add(f"guess {number}")
        await asyncio.sleep(0.03)
        await counts.add("key mes")
        assert len(counts._kept) == 1


@NEEDS_REDIS
class TestTwoProcesses:
    @pytest.fixture
    async def both(self, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Counts, Counts]]:
        for limit in ("ASK_LIMIT_S", "SOCKET_S"):
            monkeypatch.setattr(rates, limit, 10.0)  # this computer may be busy
        one, other, prefix = Counts(), Counts(), f"test-{token_hex(4)}"
        async with one.shared(REDIS_URL, prefix=prefix), other.shared(REDIS_URL, prefix=prefix):
            yield one, other

    async def test_count_together(self, both):
        one, other = both
        assert [await count_of(counts) for counts in (one, other, other, one)] == [1, 2, 3, 4]
        assert one.look("key mes")[0] == 4

    async def test_lose_none_of_what_comes_at_once(self, both):
        found = await asyncio.gather(*(count_of(counts) for counts in both * 20))
        assert max(found) == 40

    async def test_forget_in_redis_too(self, both):
        one, _ = both
        await count_of(one)
        shared = one._shared
        (key,) = await shared._redis.keys(f"{shared._prefix}:*")
        assert 0 < await shared._redis.ttl(key) <= 60


class TestARedisThatIsAway:
    @pytest.fixture
    async def frozen(self) -> AsyncIterator[str]:
        """Takes connections and says nothing."""
        held: list[asyncio.StreamWriter] = []
        async with await asyncio.start_server(lambda _reader, writer: held.append(writer), "127.0.0.1") as server:
            yield f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0"
            for writer in held:
                writer.close()

    @pytest.fixture(params=["frozen", "refusing"])
    def away(self, request, frozen: str, unused_tcp_port: int) -> str:
        """It says nothing, or nobody listens there."""
        return frozen if request.param == "frozen" else f"redis://127.0.0.1:{unused_tcp_port}/0"

    async def test_fails_nothing_and_slows_one_call_of_many(self, away: str, caplog):
        counts = Counts()
        async with counts.shared(away, prefix="test"):
            took = [await self.timed(lambda: count_of(counts)) for _ in range(200)]
        assert [count for count, _ in took] == list(range(1, 201))
        # One waits for the limit; on a busy computer some others wait for their turn. Asked each time, all would.
        assert sum(duration_s > rates.ASK_LIMIT_S / 2 for _, duration_s in took) < 20
        assert max(duration_s for _, duration_s in took) < 1.0
        assert len([record for record in caplog.records if "counts by itself" in record.getMessage()]) == 1

    async def test_leaves_nothing_behind(self, frozen: str):
        before = asyncio.all_tasks()
        async with AsyncExitStack() as stack:
            counts = Counts()
            await stack.enter_async_context(counts.shared(frozen, prefix="test"))
            await asyncio.gather(*(counts.add("key mes") for _ in range(20)))
        await asyncio.sleep(0.05)
        assert {task for task in asyncio.all_tasks() - before if "redis" in repr(task)} == set()

    async def test_is_asked_again_later(self, frozen: str, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr(rates, "AWAY_S", 0.1)
        counts = Counts()
        async with counts.shared(frozen, prefix="test"):
            await counts.add("key mes")
            assert (await self.timed(lambda: count_of(counts)))[1] < rates.ASK_LIMIT_S
            await asyncio.sleep(0.12)
            assert (await self.timed(lambda: count_of(counts)))[1] >= rates.ASK_LIMIT_S - CLOCK_S

    async def timed(self, ask: Callable) -> tuple[int, float]:
        began = time.monotonic()
        return await ask(), time.monotonic() - began
