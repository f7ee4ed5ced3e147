"""Which readings become samples: on change beyond the dead band, and now and then without one. No I/O, never blocks.

A tag that can be read no more leaves one sample that says so, so that a trend shows a gap and not the last value.
"""

import math
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.utils import timezone

from devices.control.samples import NewSample, SampleWriter
from devices.control.values import Round, TagValue, Values, is_change
from devices.modbus.types import Value
from devices.plc.specs import PLCSpec, PollSpec


@dataclass(frozen=True, slots=True)
class _Recorded:
    """The newest sample of a tag."""

    value: Value | None
    clock_s: float


class _Watched:
    """One PLC: its recorded tags by poll interval, and what was recorded of them in this process."""

    def __init__(self) -> None:
        self.plc: PLCSpec | None = None
        self.polls: dict[float, list[PollSpec]] = {}
        self.newest: dict[str, _Recorded] = {}

    def note_spec(self, plc: PLCSpec) -> list[str]:
        """The PLC as it is described now; names the tags that are recorded no more."""
        self.plc, self.polls = plc, {}
        for poll in plc.polls.values():
            if poll.is_recorded and poll.interval_s > 0:
                self.polls.setdefault(poll.interval_s, []).append(poll)
        recorded = {poll.tag.name for polls in self.polls.values() for poll in polls}
        return [name for name in self.newest if name not in recorded]


class Recorder:
    """Told what polling finds; keeps what is to be kept."""

    def __init__(
        self, *, values: Values, writer: SampleWriter | None = None, now: Callable[[], datetime] = timezone.now
    ) -> None:
        self._values = values
        self._now = now
        self._writer = writer or SampleWriter()
        self._plcs: dict[int, _Watched] = {}
        self._is_on = settings.HISTORY_DAYS > 0

    def start(self) -> None:
        """Begin to store."""
        self._writer.start()

    async def stop(self) -> None:
        """From here on nothing is read: say so in each series, store all that waits and end."""
        self.keep_only(())
        await self._writer.stop()

    def take(self, news: Round) -> None:
        """A round was read, its values are in the store."""
        if self._is_on and (samples := list(self._samples(news))):
            self._writer.put(samples)

    def keep_only(self, plc_ids: Collection[int]) -> None:
        """Of all others, deleted or disabled, nothing is read from here on."""
        for plc_id in self._plcs.keys() - plc_ids:
            self.lose(plc_id)

    def let_go(self, plc_ids: Collection[int]) -> None:
        """Another process goes on with these: their series have no end here."""
        for plc_id in plc_ids:
            self._plcs.pop(plc_id, None)

    def lose(self, plc_id: int) -> None:
        """None of a PLC's tags can be read from here on, since it is offline. Said again, it is no news."""
        watched = self._plcs.pop(plc_id, None)
        if watched is not None:
            self._writer.put(list(_ends(plc_id, watched.newest, self._now())))

    def _samples(self, news: Round) -> Iterator[NewSample]:
        plc, stamp = news.plc, news.stamp
        watched = self._plcs.get(plc.id) or self._plcs.setdefault(plc.id, _Watched())
        if watched.plc is not plc:
            dropped = {name: watched.newest.pop(name) for name in watched.note_spec(plc)}
            yield from _ends(plc.id, dropped, stamp.at)
        values = self._values.of(plc)
        for poll in watched.polls.get(news.interval_s, ()):
            name = poll.tag.name
            known = values.of(name)
            value = _recordable(known)
            # A round that was cut did not reach all of its tags.
            if known.read_at is None or known.read_at < stamp.at:
                continue
            if _is_due(poll, watched.newest.get(name), value, stamp.clock_s):
                watched.newest[name] = _Recorded(value, stamp.clock_s)
                yield _sample(plc.id, name, known.read_at, value)


def _recordable(known: TagValue) -> Value | None:
    """What of it can be stored: neither JSON nor the database holds NaN and infinity."""
    is_finite = not isinstance(known.value, float) or math.isfinite(known.value)
    return known.value if is_finite else None


def _is_due(poll: PollSpec, newest: _Recorded | None, value: Value | None, clock_s: float) -> bool:
    if newest is None or newest.value is None:
        return value is not None
    if value is None or is_change(poll, newest.value, value):
        return True
    # The next round would be too late.
    return clock_s - newest.clock_s + poll.interval_s > poll.record_every_s


def _ends(plc_id: int, newest: Mapping[str, _Recorded], at: datetime) -> Iterator[NewSample]:
    return (_sample(plc_id, name, at, None) for name, last in newest.items() if last.value is not None)


def _sample(plc_id: int, tag: str, at: datetime, value: Value | None) -> NewSample:
    at_ms = round(at.timestamp() * 1000)
    if isinstance(value, str):
        return NewSample(plc_id, tag, at_ms, text=value)
    return NewSample(plc_id, tag, at_ms, number=None if value is None else float(value))
