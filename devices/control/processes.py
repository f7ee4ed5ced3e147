"""Which server processes live, as Redis knows them: each says once a second that it does, and is believed for a while.

A process that died leaves runs that nobody carries out; those who live settle them (control/recover.py). So the living
must never be taken for dead: by a Redis that was restarted empty, or because nobody could ask it.
"""

import asyncio
import contextvars
import logging
import os
import secrets
import socket
from collections.abc import Collection
from contextlib import suppress
from typing import Any

from devices.plc.asking import AWAY, answered, redis_at

logger = logging.getLogger(__name__)

LIFE_S = 4.0  # who has not said for so long that it lives has died, or stands still
RENEW_S = 1.0
DEAD_AFTER_S = 3.0  # of being missed without a break, by a Redis that answers
STRANGER_AFTER_S = 30.0  # the same for one that this Redis has never heard of: it may use another one, by mistake
ASK_LIMIT_S = 1.0  # for one question to Redis
CONNECTIONS = 2
KEPT_S = 3600  # for so long Redis remembers who was there
HOST_LENGTH = 60  # characters of a host's name


_BEAT = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local ends = redis.call('ZSCORE', KEYS[1], ARGV[1])
redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
local was_alive = ends and tonumber(ends) > now and 1 or 0
return {was_alive, redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. now, '+inf'),
    redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now)}
"""
_END = """
local time = redis.call('TIME')
return redis.call('ZADD', KEYS[1], 'XX', time[1] * 1000 + math.floor(time[2] / 1000), ARGV[1])
"""


def new_name() -> str:
    """For this process: where it runs, for people, and a part that no other one has."""
    return f"{socket.gethostname()[:HOST_LENGTH]}:{os.getpid()}:{secrets.token_hex(6)}"


class Attendance:
    """Who is there, by what Redis answered; clocks come in. Pure."""

    def __init__(self) -> None:
        self._sure_since: float | None = None
        """From when on each answer came in time and knew us. None: the last one did not."""
        self._now = 0.0
        self._seen: dict[str, float] = {}
        """When a process was last seen alive."""
        self._known: frozenset[str] = frozenset()
        """Those of whom Redis knows that they were there."""

    def miss(self) -> None:
        """Redis did not answer: of no process anything is known."""
        self._sure_since = None

    def note(self, *, was_alive: bool, living: Collection[str], gone: Collection[str], at_s: float) -> None:
        """Redis answered. Where it did not know us, it has lost its memory, or we stood still: begin anew."""
        self._now = at_s
        if not was_alive:
            self._sure_since = None
        elif self._sure_since is None:
            self._sure_since = at_s
        self._known = frozenset((*living, *gone))
        self._seen = {name: at for name, at in self._seen.items() if name in self._known} | dict.fromkeys(living, at_s)

    def is_dead(self, name: str) -> bool:
        """Missed for so long that it must have died, or stood still for longer than it may hold a turn."""
        if self._sure_since is None:
            return False
        limit_s = DEAD_AFTER_S if name in self._known else STRANGER_AFTER_S
        return self._now - max(self._sure_since, self._seen.get(name, self._sure_since)) >= limit_s

    def dead(self) -> frozenset[str]:
        """Those that were seen here, and died since."""
        return frozenset(name for name in self._seen if self.is_dead(name))

    def is_stranger(self, name: str) -> bool:
        """Redis answers, and has not heard of it."""
        return self._sure_since is not None and name not in self._known


class Processes:
    """This process among the others that serve the same database."""

    def __init__(self, url: str, *, prefix: str, name: str, life_s: float = LIFE_S, renew_s: float = RENEW_S) -> None:
        self._redis = redis_at(url, connections=CONNECTIONS, limit_s=ASK_LIMIT_S)
        self._key = f"{prefix}:processes"
        self.name = name
        self._life_s = life_s
        self._renew_s = renew_s
        self._beat: Any = self._redis.register_script(_BEAT)
        self._end: Any = self._redis.register_script(_END)
        self._beating: asyncio.Task[None] | None = None
        self._is_away = False
        self.attendance = Attendance()

    async def start(self) -> None:
        """Say that we live, and go on saying it. A Redis that does not answer is no reason not to start."""
        await self._say()
        self._beating = asyncio.create_task(self._say_regularly(), context=contextvars.Context())

    async def stop(self) -> None:
        """Say that we are gone, so that what we could not settle is settled at once; close the connections."""
        if self._beating is not None:
            self._beating.cancel()
            await asyncio.gather(self._beating, return_exceptions=True)
            with suppress(*AWAY):
                await answered(self._end(keys=[self._key], args=[self.name]), ASK_LIMIT_S)
        await self._redis.aclose()

    async def _say_regularly(self) -> None:
        while True:
            await asyncio.sleep(self._renew_s)
            await self._say()

    async def _say(self) -> None:
        question = self._beat(keys=[self._key], args=[self.name, round(self._life_s * 1000), KEPT_S * 1000])
        try:
            was_alive, living, gone = await answered(question, ASK_LIMIT_S)
            self.attendance.note(
                was_alive=bool(was_alive),
                living=[name.decode() for name in living],
                gone=[name.decode() for name in gone],
                at_s=asyncio.get_running_loop().time(),
            )
        except Exception as error:
            # Whatever it is, this goes on: who says nothing any more is taken for dead while it serves.
            self._note_miss(error)
        else:
            self._is_away = False

    def _note_miss(self, error: Exception) -> None:
        self.attendance.miss()
        if not isinstance(error, AWAY):
            logger.error("which servers live is not known by a fault of the gateway", exc_info=error)
        elif not self._is_away:
            logger.warning("Redis does not say which servers live: %s", str(error) or type(error).__name__)
        self._is_away = True
