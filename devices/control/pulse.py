"""The heartbeat that PLCs show of themselves: one that stands still is of a program that has stopped. No I/O."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from devices.control.values import Round, Stamp, Values
from devices.modbus.types import Value
from devices.plc.specs import HeartbeatSpec, PLCSpec


class Pulse:
    """The heartbeat of one PLC, as one reading after the other shows it."""

    def __init__(self, limit_s: float) -> None:
        self.is_still = False
        self.since: datetime | None = None
        """Since when it holds what it holds, as far as was seen."""
        self._limit_s = limit_s
        self._value: Value | None = None
        self._moved: Stamp | None = None
        self._seen_s = 0.0
        self._has_moved = False

    @property
    def is_unsure(self) -> bool:
        """It was not looked at for long enough to tell."""
        return not (self._has_moved or self.is_still)

    def take(self, value: Value | None, stamp: Stamp) -> bool:
        """Note what the tag held when it was read, None where that is not known; whether standing still changed."""
        # After a time in which nobody looked, the same value proves nothing.
        is_gap = stamp.clock_s - self._seen_s > self._limit_s
        self._has_moved = self._has_moved or (self._moved is not None and value != self._value)
        if self._moved is None or value is None or value != self._value or is_gap:
            self._value, self._moved, self.since = value, stamp, stamp.at
        self._seen_s = stamp.clock_s
        before, self.is_still = self.is_still, stamp.clock_s - self._moved.clock_s > self._limit_s
        return before != self.is_still


@dataclass(frozen=True, slots=True)
class _Watched:
    heartbeat: HeartbeatSpec
    pulse: Pulse


class Pulses:
    """The heartbeats of all PLCs that show one."""

    def __init__(self, values: Values, *, on_change: Callable[[PLCSpec], None]) -> None:
        self._values = values
        self._on_change = on_change
        self._watched: dict[int, _Watched] = {}

    def take(self, told: Round) -> None:
        """Tags were read: look at the heartbeat, if it is one of them, and tell where it stopped or moves again."""
        plc, watched = told.plc, told.plc.heartbeat.watched
        if watched is None or watched.name not in plc.polls or plc.polls[watched.name].interval_s != told.interval_s:
            return
        known = self._values.of(plc).of(watched.name)
        # A round that was cut short may not have reached it.
        is_read = known.read_at is not None and known.read_at >= told.stamp.at
        if not is_read:
            return
        pulse = self._of(plc)
        before = pulse.is_unsure
        if pulse.take(known.value, told.stamp) or before != pulse.is_unsure:
            self._on_change(plc)

    def still(self, plc: PLCSpec) -> tuple[str, datetime | None]:
        """That the PLC's heartbeat stands still, in words, and since when; empty while it moves."""
        watched = plc.heartbeat.watched
        if watched is None or not self._of(plc).is_still:
            return "", None
        limit_s = plc.heartbeat.limit_s
        return f"its heartbeat (tag {watched.name}) has stood still for more than {limit_s:g} s", self._of(plc).since

    def is_unsure(self, plc: PLCSpec) -> bool:
        """It has a heartbeat that was not watched for long enough yet."""
        return plc.heartbeat.watched is not None and self._of(plc).is_unsure

    def keep_only(self, plc_ids: set[int]) -> None:
        """Forget deleted PLCs."""
        for plc_id in self._watched.keys() - plc_ids:
            del self._watched[plc_id]

    def _of(self, plc: PLCSpec) -> Pulse:
        """It begins anew where another tag, or another limit, is watched now."""
        known = self._watched.get(plc.id)
        if known is None or known.heartbeat != plc.heartbeat:
            known = self._watched[plc.id] = _Watched(plc.heartbeat, Pulse(plc.heartbeat.limit_s))
        return known.pulse
