"""What the tags of all PLCs held when they were last read: in memory, one set a PLC. No I/O.

A value carries the moment of the round that read it. It is not touched when a round fails: it grows old by itself,
and whoever shows it says so.
"""

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from devices.modbus.types import Value
from devices.plc.specs import PLCSpec, PollSpec

Clock = Callable[[], float]


class Quality(StrEnum):
    """How far a shown value can be relied on."""

    GOOD = "good"
    OLD = "old"
    """Not read for longer than it should have been, or its PLC is not read at all now: it may have changed since."""
    BAD = "bad"
    """The PLC refuses this tag, or holds something that is no value of it."""
    UNREAD = "unread"
    """Not read since the gateway started."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """When tags were read: for people, and for ages (monotonic seconds)."""

    at: datetime
    clock_s: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Round:
    """All tags of one poll interval of one PLC were read, or refused one by one: news for who keeps or shows them."""

    plc: PLCSpec
    interval_s: float
    stamp: Stamp
    """When it began to read; what it read after it had let others go first has a later one."""
    changed: tuple[str, ...]
    """Tags that hold something else than was told before, or cannot be read any more; their values are in the store."""
    is_whole: bool = True
    """False where the connection was lost amid it: the tags that were not reached keep their earlier stamp."""
    late_s: float = 0.0
    """How long after it was due it began to read: it waited for a command, or for this process."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TagValue:
    """One tag as it is known at one moment."""

    poll: PollSpec
    value: Value | None
    """As read last; None where it was never read, or is bad."""
    quality: Quality
    reason: str = ""
    """Why it is bad."""
    read_at: datetime | None = None
    age_s: float | None = None
    """Since it was read."""
    changed_at: datetime | None = None
    """Since when it holds this value, as far as polling sees."""

    @property
    def label(self) -> str:
        """The engineer's word for the number, empty where there is none."""
        is_whole = isinstance(self.value, int | float) and not isinstance(self.value, bool)
        if not is_whole or not self.poll.tag.labels:
            return ""
        raw = (self.value - float(self.poll.tag.offset)) / float(self.poll.tag.scale)  # type: ignore[operator]
        return self.poll.tag.labels.get(round(raw), "")


class Sight:
    """When tags were read last that come in one answer: most answers change nothing but that.

    A tag that somebody else reads, or that is refused, leaves it. What the others hold stands for as long as it is
    whole, and their stamp moves for all of them at once.
    """

    __slots__ = ("_is_settled", "_left", "_values", "stamp")

    def __init__(self, values: "PLCValues", count: int, stamp: Stamp) -> None:
        self.stamp = stamp
        self._values = values
        self._left = count
        """So many of its tags are not in it."""
        self._is_settled = False

    def is_whole(self, values: "PLCValues") -> bool:
        """These values of its tags are of the last answer, all of them."""
        return self._is_settled and not self._left and values is self._values

    def open(self) -> None:
        """An answer is gone through: until it is settled, nothing is known of the tags that were not reached."""
        self._is_settled = False

    def settle(self, stamp: Stamp) -> None:
        """All that changed was taken."""
        self.stamp, self._is_settled = stamp, True

    def join(self) -> None:
        self._left -= 1

    def leave(self) -> None:
        self._left += 1


class _Entry:
    """One tag; mutable, since most readings change nothing but the stamp of their round."""

    __slots__ = ("_sight", "changed_at", "reason", "told", "value")

    def __init__(self) -> None:
        self.value: Value | None = None
        self.told: Value | None = None
        """The value that was last told as a change: the dead band lies around it."""
        self.reason = ""
        self.changed_at: datetime | None = None
        self._sight: Sight | None = None

    @property
    def stamp(self) -> Stamp | None:
        return None if self._sight is None else self._sight.stamp

    def see(self, sight: Sight) -> None:
        """From now on its stamp is the one of this sight."""
        if self._sight is sight:
            return
        if self._sight is not None:
            self._sight.leave()
        self._sight = sight
        sight.join()

    def is_newer_than(self, stamp: Stamp) -> bool:
        return self._sight is not None and self._sight.stamp.clock_s > stamp.clock_s


class PLCValues:
    """The tags of one PLC."""

    def __init__(self, polls: Mapping[str, PollSpec], *, clock: Clock = time.monotonic) -> None:
        self._polls = polls
        self._clock = clock
        self._entries: dict[str, _Entry] = {}

    def take(self, name: str, value: Value, stamp: Stamp, sight: Sight | None = None) -> bool:
        """Note what a tag holds; whether that is a change to be told. What was read later already stands.

        `sight`: of the answer that it came in, where it is one that comes again and again.
        """
        entry = self._entry(name)
        if entry.is_newer_than(stamp):
            return False
        was_unknown = entry.stamp is None or bool(entry.reason)
        is_news = was_unknown or is_change(self._polls[name], entry.told, value)
        if was_unknown or entry.value != value:
            entry.changed_at = stamp.at
        entry.value, entry.reason = value, ""
        entry.see(sight or Sight(self, 1, stamp))
        if is_news:
            entry.told = value
        return is_news

    def refuse(self, name: str, reason: str, stamp: Stamp) -> bool:
        """Note that a tag cannot be read, and why; whether that is news. What was read later stands."""
        entry = self._entry(name)
        if entry.is_newer_than(stamp):
            return False
        is_news = entry.reason != reason
        entry.value, entry.told, entry.reason = None, None, reason
        entry.see(Sight(self, 1, stamp))
        if is_news:
            entry.changed_at = stamp.at
        return is_news

    def recall(self, known: TagValue) -> None:
        """Take over what another process read of a tag; what was read here stands.

        The next reading is told, whatever it is: who died may not have told all that he read.
        """
        entry = self._entry(known.poll.tag.name)
        if entry.stamp is None and known.read_at is not None and known.age_s is not None:
            entry.value = known.value
            entry.reason, entry.changed_at = known.reason, known.changed_at
            entry.see(Sight(self, 1, Stamp(at=known.read_at, clock_s=self._clock() - known.age_s)))

    def bad(self) -> tuple[dict[str, str], datetime | None]:
        """The tags that could not be read when that was last tried, with the reason, and since when there is one."""
        bad = {name: entry for name, entry in self._entries.items() if entry.reason}
        since = min((entry.changed_at for entry in bad.values() if entry.changed_at), default=None)
        return {name: entry.reason for name, entry in bad.items()}, since

    def of(self, name: str) -> TagValue:
        """One tag as it is known now; KeyError for one that the PLC does not have."""
        poll, entry = self._polls[name], self._entries.get(name)
        if entry is None or entry.stamp is None:
            return TagValue(poll=poll, value=None, quality=Quality.UNREAD)
        age_s = max(0.0, self._clock() - entry.stamp.clock_s)
        return TagValue(
            poll=poll,
            value=entry.value,
            quality=quality_of(poll, entry.reason, age_s),
            reason=entry.reason,
            read_at=entry.stamp.at,
            age_s=age_s,
            changed_at=entry.changed_at,
        )

    def all(self) -> Iterator[TagValue]:
        """Every tag, in the registry's order."""
        return (self.of(name) for name in self._polls)

    def _entry(self, name: str) -> _Entry:
        entry = self._entries.get(name)
        if entry is None:
            entry = self._entries[name] = _Entry()
        return entry


def quality_of(poll: PollSpec, reason: str, age_s: float) -> Quality:
    """Of what was read so long ago; `reason`: why it is no value, if it is none."""
    if age_s > poll.old_after_s:
        return Quality.OLD
    return Quality.BAD if reason else Quality.GOOD


def is_change(poll: PollSpec, told: Value | None, value: Value) -> bool:
    """Whether a tag that held `told` holds something else now, beyond its dead band."""
    if told == value or (_is_nan(told) and _is_nan(value)):
        return False
    if not poll.dead_band or isinstance(value, str | bool) or isinstance(told, str | bool | None):
        return True
    return not abs(value - told) <= poll.dead_band  # NaN and infinity are nowhere near anything


def _is_nan(value: Value | None) -> bool:
    return isinstance(value, float) and math.isnan(value)


class Values:
    """The tags of all PLCs of this process."""

    def __init__(self, *, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._plcs: dict[int, tuple[PLCSpec, PLCValues]] = {}

    def of(self, plc: PLCSpec) -> PLCValues:
        """The values of a PLC; they begin anew where its machine, or what its tags mean, is another now."""
        known = self._plcs.get(plc.id)
        if known and (known[0] is plc or _is_same(known[0], plc)):
            self._plcs[plc.id] = (plc, known[1])  # the next look at it compares nothing
            return known[1]
        fresh = PLCValues(plc.polls, clock=self._clock)
        self._plcs[plc.id] = (plc, fresh)
        return fresh

    def keep_only(self, plc_ids: set[int]) -> None:
        """Forget deleted PLCs."""
        for plc_id in self._plcs.keys() - plc_ids:
            del self._plcs[plc_id]


def _is_same(one: PLCSpec, other: PLCSpec) -> bool:
    return one.endpoint == other.endpoint and one.polls == other.polls
