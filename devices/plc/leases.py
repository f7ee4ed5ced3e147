"""Turns over several processes: leases in Redis. At most so many holders a PLC, one command, commands before polling.

A lease has a token and an end, by Redis's own clock; its holder renews it, and whoever dies frees it within seconds.
Who cannot renew in time must be gone from the PLC before the lease ends: `hold` cuts its block then, and what is open
at the PLC is closed at once, however long the block takes to leave.
"""

import asyncio
import contextvars
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any

from devices.plc.asking import AWAY, answered, redis_at
from devices.plc.errors import LeaseLost, TurnGone, TurnNotGot, TurnsUnavailable
from devices.plc.specs import Priority

LIFE_S = 4.0  # a process that died frees its turn after this long
RENEW_S = 1.0
CLOSE_S = 1.0  # before its end a lease that could not be renewed is given up: time to close the connection
ASK_LIMIT_S = 1.0  # for one question to Redis
LOOK_FIRST_S = 0.005  # between two tries to get a lease that others hold
LOOK_LONGEST_S = 0.05
CONNECTIONS = 16  # to Redis, for the questions of all PLCs; they take turns
WISH_S = 1.0  # how long a waiting command holds back pollers after its last try

_ACQUIRE = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local token, limit, is_command, life, wish = ARGV[1], tonumber(ARGV[2]), ARGV[3] == '1', ARGV[4], ARGV[5]
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
local is_free = redis.call('ZCARD', KEYS[1]) < limit
for _, holder in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
    if is_command and string.sub(holder, 1, 1) == 'c' then is_free = false end
end
if not is_command and redis.call('ZCARD', KEYS[2]) > 0 then is_free = false end
if is_free then
    redis.call('ZADD', KEYS[1], now + life, token)
    redis.call('ZREM', KEYS[2], token)
elseif is_command then
    redis.call('ZADD', KEYS[2], now + wish, token)
end
for _, key in ipairs(KEYS) do redis.call('PEXPIRE', key, 60000) end
return is_free and 1 or 0
"""
_RENEW = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local ends = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not ends or tonumber(ends) <= now then return 0 end
redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1])
redis.call('PEXPIRE', KEYS[1], 60000)
return 1
"""
_WANTED = """
local time = redis.call('TIME')
return redis.call('ZCOUNT', KEYS[1], time[1] * 1000 + math.floor(time[2] / 1000), '+inf')
"""


class Lease:
    """One that is held."""

    def __init__(self, limit: asyncio.Timeout, ends_s: float) -> None:
        self._limit = limit
        self._closing: set[Callable[[], None]] = set()
        self._timer = asyncio.get_running_loop().call_at(ends_s, self._close)

    @property
    def is_lost(self) -> bool:
        """It could not be kept: another process may have the turn any moment, so nothing more may be sent.

        By the clock: a process that was frozen may come to its next request before the limit's timer has been called.
        Not by the loop's, which counts the same seconds: on some it stands still until the callback of now has ended.
        """
        when = self._limit.when()
        return self._limit.expired() or (when is not None and time.monotonic() >= when)

    def require(self) -> None:
        """TurnGone where it is lost."""
        if self.is_lost:
            raise TurnGone("the turn could not be kept: this process stood still, or Redis did not confirm it in time")

    @contextmanager
    def closing(self, close: Callable[[], None]) -> Iterator[None]:
        """Call this once it is lost, within the block: who is cut may have a record to wait for before he leaves."""
        self._closing.add(close)
        try:
            yield
        finally:
            self._closing.discard(close)

    def prolong(self, ends_s: float) -> None:
        """It is held until then; it is lost where that is now."""
        self._limit.reschedule(ends_s)
        self.end()
        self._timer = asyncio.get_running_loop().call_at(ends_s, self._close)

    def end(self) -> None:
        """It was given back: it can be lost no more."""
        self._timer.cancel()

    def _close(self) -> None:
        for close in tuple(self._closing):
            close()


class Leases:
    """The leases of all PLCs, as one process takes and holds them."""

    def __init__(
        self,
        url: str,
        *,
        prefix: str,
        life_s: float = LIFE_S,
        renew_s: float = RENEW_S,
        may_take: Callable[[], bool] = lambda: True,
    ) -> None:
        """`may_take`: whether this process may take turns at all now."""
        self._redis = redis_at(url, connections=CONNECTIONS, limit_s=ASK_LIMIT_S)
        self._prefix = prefix
        self._life_s = life_s
        self._renew_s = renew_s
        self._may_take = may_take
        self._acquire = self._redis.register_script(_ACQUIRE)
        self._renew = self._redis.register_script(_RENEW)
        self._wanted = self._redis.register_script(_WANTED)

    @asynccontextmanager
    async def hold(self, plc_id: int, *, limit: int, priority: Priority, timeout_s: float) -> AsyncIterator[Lease]:
        """Wait for a lease and hold it for the block.

        TurnNotGot after `timeout_s`, TurnsUnavailable where Redis does not answer: nothing was sent. LeaseLost cuts
        the block where the lease could not be kept.
        """
        token = f"{'c' if priority is Priority.COMMAND else 'p'}{secrets.token_hex(8)}"
        try:
            ends_s = await self._get(plc_id, token, limit=limit, priority=priority, timeout_s=timeout_s)
            async with self._kept(plc_id, token, ends_s) as lease:
                yield lease
        finally:
            await asyncio.shield(self._give_back(plc_id, token))

    async def is_wanted(self, plc_id: int) -> bool:
        """A command waits for this PLC in some process: who only reads gives way."""
        with suppress(TurnsUnavailable):
            return bool(await self._ask(self._wanted(keys=[self._keys(plc_id)[1]])))
        return False

    async def close(self) -> None:
        """Close the connections to Redis."""
        await self._redis.aclose()

    async def _get(self, plc_id: int, token: str, *, limit: int, priority: Priority, timeout_s: float) -> float:
        """Ask until it is granted; when it ends, by the loop's clock, counted from before it was asked for."""
        clock = asyncio.get_running_loop().time
        give_up_s, pause_s = clock() + timeout_s, LOOK_FIRST_S
        is_command = int(priority is Priority.COMMAND)
        wanted: list[str | int] = [token, limit, is_command, _ms(self._life_s), _ms(WISH_S)]
        while True:
            asked_s = clock()
            if not self._may_take():
                raise TurnNotGot("the PLC is another process's to poll by now")
            if await self._ask(self._acquire(keys=self._keys(plc_id), args=wanted)):
                return asked_s + self._life_s
            if clock() + pause_s > give_up_s:
                raise TurnNotGot(f"the PLC was busy with other commands for {timeout_s:g} s")
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, LOOK_LONGEST_S)

    @asynccontextmanager
    async def _kept(self, plc_id: int, token: str, ends_s: float) -> AsyncIterator[Lease]:
        """Renew while the block runs; cut it while there is still time to close the connection."""
        limit = asyncio.timeout_at(ends_s - CLOSE_S)
        try:
            async with limit:
                lease = Lease(limit, ends_s - CLOSE_S)
                keeping = asyncio.create_task(self._keep(plc_id, token, lease), context=contextvars.Context())
                try:
                    yield lease
                finally:
                    keeping.cancel()
                    await asyncio.gather(keeping, return_exceptions=True)
                    lease.end()
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise LeaseLost("the turn could not be kept: Redis did not confirm it in time") from error

    async def _keep(self, plc_id: int, token: str, lease: Lease) -> None:
        clock = asyncio.get_running_loop().time
        while True:
            await asyncio.sleep(self._renew_s)
            asked_s = clock()
            try:
                is_ours = await self._ask(self._renew(keys=[self._keys(plc_id)[0]], args=[token, _ms(self._life_s)]))
            except TurnsUnavailable:
                continue  # it may answer next time; the limit stands where it is
            lease.prolong(asked_s + self._life_s - CLOSE_S if is_ours else clock())

    async def _give_back(self, plc_id: int, token: str) -> None:
        """What cannot be given back ends by itself."""
        with suppress(TurnsUnavailable):
            turn, wish = self._keys(plc_id)
            for key in (turn, wish) if token.startswith("c") else (turn,):  # only commands wish
                await self._ask(self._redis.zrem(key, token))

    async def _ask(self, question: Awaitable[Any]) -> Any:
        try:
            return await answered(question, ASK_LIMIT_S)
        except AWAY as error:
            why = str(error) or type(error).__name__
            raise TurnsUnavailable(f"Redis, which shares the turns at the PLCs, does not answer ({why})") from error

    def _keys(self, plc_id: int) -> list[str]:
        return [f"{self._prefix}:turn:{plc_id}", f"{self._prefix}:wish:{plc_id}"]


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
