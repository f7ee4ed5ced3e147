"""What the pollers see, for the servers in other processes: what tags hold and how PLCs are, in Redis.

A poller writes what changed (`mirror_writer`), and for each poll interval when its last round was; whatever is lost
(Redis restarted, or was away) is written anew before long. Moments carry Redis's own clock beside the poller's: two
hosts need not agree on the time for a value to grow old. Nothing here raises where Redis is away: then nothing is
known, and nothing is shown as good.

Keys, after the gateway's prefix: `values:{plc}`, a hash of JSON by tag name, with `@{interval}` for rounds and `@of`
for what the tags mean; `statuses`, a hash of JSON by PLC, which says `by` which poller and `of` which machine;
`beats`, a sorted set of pollers by the moment of their last report. What a poller said of a PLC is forgotten soon
after its last report: by then another poller has taken the PLC over, or nobody polls.
"""

import asyncio
import hashlib
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from devices.control import moments
from devices.control.status import PLCState, PLCStatus
from devices.control.values import TagValue, quality_of
from devices.plc.asking import AWAY, answered, redis_at
from devices.plc.specs import PLCSpec, PollSpec

logger = logging.getLogger(__name__)

LIMIT_S = 1.0  # for one exchange with Redis
BEAT_S = 1.0
GONE_AFTER_S = 10.0  # without a beat: a poller that died is replaced in half of it
CONNECTIONS = 4


Beats = Sequence[tuple[str, float]]


class MirrorStore:
    """The place in Redis, and that one log line tells of its absence."""

    def __init__(self, url: str, *, prefix: str) -> None:
        self.redis = redis_at(url, connections=CONNECTIONS, limit_s=LIMIT_S, decode_responses=True)
        self.statuses, self.beats, self.polled = (f"{prefix}:{kind}" for kind in ("statuses", "beats", "polled"))
        self._prefix = prefix
        self._is_away = False

    def values(self, plc_id: int) -> str:
        return f"{self._prefix}:values:{plc_id}"

    async def look(self, ask: Callable[[Any], None]) -> tuple[int, list[Any]]:
        """Redis's clock, and the answers to what `ask` asks a pipeline."""
        pipe = self.redis.pipeline(transaction=False)
        pipe.time()
        ask(pipe)
        time, *found = await pipe.execute()
        return in_ms(time), found

    async def close(self) -> None:
        """Close the connections to Redis."""
        await self.redis.aclose()

    def note(self, error: Exception | None, what: str) -> None:
        if error is not None and not self._is_away:
            logger.warning("%s: Redis does not answer (%s)", what, str(error) or type(error).__name__)
        self._is_away = error is not None


@dataclass(frozen=True, kw_only=True, slots=True)
class Known:
    """What a poller lately said of a PLC: what it means there is what it means here."""

    status: PLCStatus
    values: Mapping[str, TagValue]


class MirrorReader:
    """A server's side; and of a poller, which goes on where another one was."""

    def __init__(self, url: str, *, prefix: str) -> None:
        self._store = MirrorStore(url, prefix=prefix)
        self._meanings = Meanings()
        self.is_alive = False
        """A poller reported lately, when they were last looked at."""

    def note_registry(self) -> None:
        """PLCs and profiles have become others: what those before meant is forgotten."""
        self._meanings = Meanings()

    async def watch(self, on_change: Callable[[], None]) -> None:
        """Look whether a poller lives, until cancelled; `on_change` hears that the first came or the last went."""
        while True:
            try:
                await self._watch(on_change)
            except Exception:
                self.is_alive = False
                logger.exception("looking whether a poller lives met a bug; it goes on")
            await asyncio.sleep(BEAT_S)

    async def _watch(self, on_change: Callable[[], None]) -> None:
        before = self.is_alive
        found = await self._look(self._ask_for_beats)
        self.is_alive = found is not None and bool(_living(found[0], found[1][0]))
        if before is not self.is_alive:
            logger.info("manage.py poll %s", "reports" if self.is_alive else "reports no more: values grow old")
            on_change()

    async def statuses(self) -> Mapping[int, PLCStatus]:
        """By the PLC's number, as its poller sees it; nothing of a poller that has not reported lately."""

        def ask(pipe: Any) -> None:
            self._ask_for_beats(pipe)
            pipe.hgetall(self._store.statuses)

        found = await self._look(ask)
        if found is None:
            self.is_alive = False
            return {}
        now_ms, (beats, told) = found
        living = _living(now_ms, beats)
        self.is_alive = bool(living)
        stated = {int(plc_id): json.loads(text) for plc_id, text in told.items()}
        return {plc_id: _read_status(status) for plc_id, status in stated.items() if status.get("by") in living}

    async def values(self, plc: PLCSpec) -> Mapping[str, TagValue]:
        """By tag; only those that were read, and mean there what they mean here."""
        found = await self._look(lambda pipe: pipe.hgetall(self._store.values(plc.id)))
        return {} if found is None else self._values(plc, found[0], found[1][0])

    async def recall(self, plcs: Sequence[PLCSpec]) -> Mapping[int, Known]:
        """What other pollers said of these PLCs, as far as it may still be shown."""

        def ask(pipe: Any) -> None:
            self._ask_for_beats(pipe)
            pipe.hmget(self._store.statuses, [str(plc.id) for plc in plcs])
            for plc in plcs:
                pipe.hgetall(self._store.values(plc.id))

        found = await self._look(ask, "what other pollers read is not known") if plcs else None
        if found is None:
            return {}
        now_ms, (beats, told, *held) = found
        living, known = _living(now_ms, beats), {}
        for plc, text, fields in zip(plcs, told, held, strict=True):
            status = json.loads(text) if text else {}
            if status.get("by") in living and status.get("of") == self._meanings.of(plc):
                known[plc.id] = Known(status=_read_status(status), values=self._values(plc, now_ms, fields))
        return known

    async def close(self) -> None:
        """Close the connections to Redis."""
        await self._store.close()

    def _ask_for_beats(self, pipe: Any) -> None:
        pipe.zrange(self._store.beats, 0, -1, withscores=True)

    def _values(self, plc: PLCSpec, now_ms: int, fields: Mapping[str, str]) -> Mapping[str, TagValue]:
        if fields.get("@of") != self._meanings.of(plc):
            return {}
        return {
            name: _read(poll, json.loads(fields[name]), fields.get(round_of(poll.interval_s)), now_ms)
            for name, poll in plc.polls.items()
            if name in fields
        }

    async def _look(
        self, ask: Callable[[Any], None], what: str = "what is polled cannot be shown"
    ) -> tuple[int, list[Any]] | None:
        """The answers, and Redis's clock; `what` is told where it does not answer."""
        try:
            found = await answered(self._store.look(ask), LIMIT_S)
        except AWAY as error:
            self._store.note(error, what)
            return None
        self._store.note(None, "")
        return found


class Meanings:
    """What a PLC's tags mean, in short, in one registry; a profile's are looked at once, however many PLCs it has."""

    def __init__(self) -> None:
        self._of_polls: dict[int, tuple[Mapping[str, PollSpec], str]] = {}

    def of(self, plc: PLCSpec) -> str:
        """Of this machine, at this address."""
        known = self._of_polls.get(id(plc.polls))
        if known is None or known[0] is not plc.polls:
            known = self._of_polls[id(plc.polls)] = plc.polls, _digest(sorted(plc.polls.items()))
        return f"{_digest(plc.endpoint)} {known[1]}"


def _living(now_ms: int, beats: Beats) -> set[str]:
    return {poller for poller, at_ms in beats if now_ms - at_ms < GONE_AFTER_S * 1000}


def _digest(described: object) -> str:
    return hashlib.blake2b(repr(described).encode(), digest_size=8).hexdigest()


def round_of(interval_s: float) -> str:
    """The field that says when all tags of this interval were read."""
    return f"@{interval_s:g}"


def written(tag: TagValue, at_ms: int) -> str:
    """A tag as a field; `at_ms`: when it was read, by Redis's clock."""
    read_at, changed_at = moments.written(tag.read_at), moments.written(tag.changed_at)
    return json.dumps([tag.value, tag.reason, read_at, changed_at, at_ms])


def _read(poll: PollSpec, entry: list[Any], last_round: str | None, now_ms: int) -> TagValue:
    value, reason, read_at, changed_at, at_ms = entry
    if last_round is not None and (told := json.loads(last_round))[1] > at_ms:
        read_at, at_ms = told
    age_s = max(0.0, (now_ms - at_ms) / 1000)
    return TagValue(
        poll=poll,
        value=value,
        quality=quality_of(poll, reason, age_s),
        reason=reason,
        read_at=moments.read(read_at),
        age_s=age_s,
        changed_at=moments.read(changed_at),
    )


def _read_status(told: Mapping[str, Any]) -> PLCStatus:
    at = {name: moments.read(told[name]) for name in ("since", "next_try_at")}
    return PLCStatus(state=PLCState(told["state"]), reason=told["reason"], mark=told["mark"], **at)


def in_ms(time: tuple[Any, Any]) -> int:
    """What Redis's clock says."""
    seconds, micros = time
    return int(seconds) * 1000 + int(micros) // 1000


def newest(own: TagValue, mirrored: TagValue | None) -> TagValue:
    """The one that was read later."""
    if mirrored is None or mirrored.age_s is None:
        return own
    return mirrored if own.age_s is None or mirrored.age_s < own.age_s else own


def merged(own: PLCStatus, mirrored: PLCStatus | None) -> PLCStatus:
    """The poller looks at the PLC all the time, this process for its commands only."""
    if own.state is PLCState.DISABLED or mirrored is None or mirrored.state is PLCState.UNKNOWN:
        return own
    return replace(mirrored, mark=mirrored.mark or own.mark)
