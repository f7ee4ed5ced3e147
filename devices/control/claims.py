"""Which poller polls which PLC, as Redis keeps it: one question a second for all PLCs of a poller.

A poller's life has a token and an end, by Redis's own clock. A PLC is the poller's whose token stands at it, for as
long as that lives: to go on with ten thousand PLCs costs no more than with one, and what a dead one polled is free.
No token lives twice, so that nothing of an earlier life counts.

A Redis that was started anew, or emptied, may have forgotten who polls what. So it grants nothing until every life
that it may have forgotten is over.

Keys, after the gateway's prefix: `pollers`, a sorted set of the tokens by the end of their lives; `polled`, a hash of
tokens by PLC; `leaving`, the tokens of those that end; `sharing`, which Redis this is and since when.
"""

import secrets
from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass

from devices.plc.asking import AWAY, answered, redis_at

LIFE_S = 4.0  # after this long without a word a poller is dead
ASK_LIMIT_S = 1.0
KEEP_S = 24 * 3600  # of what nobody uses any more


_SETTLE = """
local pollers, polled, leaving, sharing = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local token, life, is_new, is_leaving, releases = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4], tonumber(ARGV[5])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
if redis.call('HGET', sharing, 'run') ~= run then redis.call('HSET', sharing, 'run', run, 'since', now) end
local ends = redis.call('ZSCORE', pollers, token)
if is_new == '0' and (not ends or tonumber(ends) <= now) then return {0} end
redis.call('ZREMRANGEBYSCORE', pollers, '-inf', now)
redis.call('ZADD', pollers, now + life, token)
if is_leaving == '1' then redis.call('SADD', leaving, token) end
for i = 6, 5 + releases do
    if redis.call('HGET', polled, ARGV[i]) == token then redis.call('HDEL', polled, ARGV[i]) end
end
local is_early, granted, sharers = now < redis.call('HGET', sharing, 'since') + life, {}, {}
if not is_early then
    for i = 6 + releases, #ARGV do
        local owner = redis.call('HGET', polled, ARGV[i])
        if not owner or owner == token or not redis.call('ZSCORE', pollers, owner) then
            redis.call('HSET', polled, ARGV[i], token)
            granted[#granted + 1] = ARGV[i]
        end
    end
end
for _, living in ipairs(redis.call('ZRANGE', pollers, 0, -1)) do
    if redis.call('SISMEMBER', leaving, living) == 0 then sharers[#sharers + 1] = living end
end
for _, key in ipairs(KEYS) do redis.call('EXPIRE', key, KEEP) end
return {1, is_early and 1 or 0, sharers, granted}
""".replace("KEEP", str(KEEP_S))


class LifeOver(Exception):
    """Redis has not heard of this poller for too long: others may poll by now what it polled."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Settled:
    """What Redis said."""

    pollers: frozenset[str]
    """The names of those that share the PLCs, the asking one among them unless it leaves."""
    granted: frozenset[int]
    """PLCs that are the asking one's from now on."""
    is_early: bool
    """Nothing is granted yet: Redis may have forgotten who polls what."""


class Claims:
    """One poller's side."""

    def __init__(self, url: str, *, prefix: str, life_s: float = LIFE_S) -> None:
        self.name = secrets.token_hex(6)
        """The same in all of its lives."""
        self.life_s = life_s
        self._redis = redis_at(url, connections=2, limit_s=ASK_LIMIT_S, decode_responses=True)
        self._settle = self._redis.register_script(_SETTLE)
        self._keys = [f"{prefix}:{kind}" for kind in ("pollers", "polled", "leaving", "sharing")]
        self._lives = 0
        self._is_new = True

    @property
    def token(self) -> str:
        """Of the life of now."""
        return f"{self.name}.{self._lives}"

    def begin_anew(self) -> None:
        """Another life: nothing is polled in it yet."""
        self._lives += 1
        self._is_new = True

    async def settle(
        self, *, released: Collection[int] = (), claimed: Iterable[int] = (), is_leaving: bool = False
    ) -> Settled:
        """Say that this poller lives, give PLCs back and ask for others.

        Raises LifeOver, and one of AWAY where Redis does not answer.
        """
        told = self.token, round(self.life_s * 1000), int(self._is_new), int(is_leaving), len(released)
        question = self._settle(keys=self._keys, args=[*told, *released, *claimed])
        is_alive, *found = await answered(question, ASK_LIMIT_S)
        if not is_alive:
            raise LifeOver
        self._is_new = False
        is_early, sharers, granted = found
        return Settled(
            pollers=frozenset(token.partition(".")[0] for token in sharers),
            granted=frozenset(map(int, granted)),
            is_early=bool(is_early),
        )

    async def leave(self) -> None:
        """All that is still this poller's is free at once; where Redis does not answer, when this life ends."""
        with suppress(*AWAY):
            await answered(self._redis.zrem(self._keys[0], self.token), ASK_LIMIT_S)

    async def close(self) -> None:
        """Close the connections to Redis."""
        await self._redis.aclose()
