"""A poller's side of the mirror: what it sees of the PLCs that it polls goes to Redis, for the servers to show.

Several pollers write. Each writes only of PLCs that are its own in Redis at that moment: one that stood still for so
long that another took over must not put what it once read over what is read now. What an earlier poller left stands
until it is read anew, unless it was of another machine or of other tags.
"""

import asyncio
import json
import logging
import time
from collections.abc import Callable, Iterable, Mapping

from devices.control.mirror import BEAT_S, LIMIT_S, Meanings, MirrorStore, in_ms, round_of, written
from devices.control.status import PLCStatus
from devices.control.values import Round, Stamp, Values
from devices.plc.asking import AWAY, answered
from devices.plc.specs import PLCSpec

logger = logging.getLogger(__name__)

ANEW_S = 30.0  # a Redis that has restarted says nothing of it
LIFE_S = 24 * 3600  # of values that nobody writes any more; they have long been old by then
WHOLE_AT_ONCE = 20  # PLCs that are written in full between two looks at other work

_WRITE = """
local polled, statuses, beats, token, life = KEYS[1], KEYS[2], KEYS[3], ARGV[1], ARGV[2]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function is_ours(plc)
    local owner = redis.call('HGET', polled, plc)
    return not owner or owner == token
end
redis.call('ZREMRANGEBYSCORE', beats, '-inf', now - 60000)
redis.call('ZADD', beats, now, token)
local i = 4
for _ = 1, tonumber(ARGV[3]) do
    if is_ours(ARGV[i]) then redis.call('HSET', statuses, ARGV[i], ARGV[i + 1]) end
    i = i + 2
end
for k = 4, #KEYS do
    local plc, of, last = ARGV[i], ARGV[i + 1], i + 2 + 2 * tonumber(ARGV[i + 2])
    if is_ours(plc) then
        if redis.call('HGET', KEYS[k], '@of') ~= of then
            redis.call('DEL', KEYS[k])
            redis.call('HSET', KEYS[k], '@of', of)
        end
        for j = i + 3, last, 2 do redis.call('HSET', KEYS[k], ARGV[j], ARGV[j + 1]) end
        redis.call('EXPIRE', KEYS[k], life)
    end
    i = last + 1
end
"""


class MirrorWriter:
    """Of one poller."""

    def __init__(
        self,
        url: str,
        *,
        prefix: str,
        values: Values,
        status: Callable[[PLCSpec], PLCStatus],
        token: Callable[[], str],
    ) -> None:
        """`token`: as which this poller holds its PLCs now."""
        self._store = MirrorStore(url, prefix=prefix)
        self._script = self._store.redis.register_script(_WRITE)
        self._token = token
        self._values = values
        self._status = status
        self._plcs: Mapping[int, PLCSpec] = {}
        self._meanings = Meanings()
        self._whole: set[int] = set()
        """PLCs to be written in full."""
        self._changed: dict[int, set[str]] = {}
        self._rounds: dict[int, dict[float, Stamp]] = {}
        self._restated: set[int] = set()
        self._lock = asyncio.Lock()

    def refresh(self, plcs: Mapping[int, PLCSpec]) -> None:
        """Take over the registry, as far as this poller's PLCs go; all is written anew."""
        self._meanings = Meanings()
        self.share(plcs)
        self._whole = set(plcs)

    def share(self, plcs: Mapping[int, PLCSpec]) -> None:
        """These PLCs are this poller's from now on; of others nothing more is written."""
        self._whole = (self._whole | (plcs.keys() - self._plcs.keys())) & plcs.keys()
        self._rounds = {plc_id: rounds for plc_id, rounds in self._rounds.items() if plc_id in plcs}
        self._plcs = plcs

    def note_round(self, done: Round) -> None:
        """Tags were read."""
        near = (name for name, poll in done.plc.polls.items() if poll.dead_band and poll.interval_s == done.interval_s)
        self._changed.setdefault(done.plc.id, set()).update(done.changed, near)
        if done.is_whole:
            self._rounds.setdefault(done.plc.id, {})[done.interval_s] = done.stamp

    def note_status(self, plc: PLCSpec) -> None:
        """A PLC's state may be another one."""
        self._restated.add(plc.id)

    async def run(self) -> None:
        """Write until cancelled, at least once each BEAT_S."""
        anew_at = time.monotonic() + ANEW_S
        while True:
            if time.monotonic() > anew_at:
                self._whole, anew_at = set(self._plcs), time.monotonic() + ANEW_S
            await self._write()
            await asyncio.sleep(0 if self._whole else BEAT_S)

    async def flush(self) -> None:
        """Write what is new, if anything is: who hears of it may then look."""
        if self._changed or self._restated:
            await self._write()

    async def close(self) -> None:
        """Close the connections to Redis."""
        await self._store.close()

    async def _write(self) -> None:
        async with self._lock:
            try:
                await answered(self._write_all(), LIMIT_S)
            except AWAY as error:
                self._store.note(error, "what is polled does not reach the servers")
                await self._begin_anew()
            except Exception:
                logger.exception("what is polled does not reach the servers by a fault of the gateway")
                await self._begin_anew()
            else:
                self._store.note(None, "")

    async def _begin_anew(self) -> None:
        self._whole = set(self._plcs)
        await asyncio.sleep(LIMIT_S)

    async def _write_all(self) -> None:
        offset_ms = in_ms(await self._store.redis.time()) - asyncio.get_running_loop().time() * 1000
        whole = {self._whole.pop() for _ in range(min(WHOLE_AT_ONCE, len(self._whole)))}
        changed, self._changed = self._changed, {}
        restated, self._restated = self._restated | whole, set()
        stated = [plc_id for plc_id in restated if plc_id in self._plcs]
        keys, told = [self._store.polled, self._store.statuses, self._store.beats], [self._token(), LIFE_S, len(stated)]
        for plc_id in stated:
            told += plc_id, self._stated(self._plcs[plc_id])
        for plc_id in (whole | changed.keys()) & self._plcs.keys():
            plc = self._plcs[plc_id]
            fields = self._fields(plc, None if plc_id in whole else changed[plc_id], offset_ms)
            keys.append(self._store.values(plc_id))
            told += plc_id, self._meanings.of(plc), len(fields)
            for field in fields.items():
                told += field
        await self._script(keys=keys, args=told)

    def _stated(self, plc: PLCSpec) -> str:
        return json.dumps({**self._status(plc).as_news(), "by": self._token(), "of": self._meanings.of(plc)})

    def _fields(self, plc: PLCSpec, names: Iterable[str] | None, offset_ms: float) -> dict[str, str]:
        values = self._values.of(plc)
        known = values.all() if names is None else (values.of(name) for name in names if name in plc.polls)
        now_s = asyncio.get_running_loop().time()
        fields = {
            tag.poll.tag.name: written(tag, int((now_s - tag.age_s) * 1000 + offset_ms))
            for tag in known
            if tag.age_s is not None
        }
        for interval_s, stamp in self._rounds.get(plc.id, {}).items():
            fields[round_of(interval_s)] = json.dumps([stamp.at.isoformat(), int(stamp.clock_s * 1000 + offset_ms)])
        return fields
