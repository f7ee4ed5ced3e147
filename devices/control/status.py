"""The state of a PLC as people see it: what the pool and the poller found, in one word with its reason. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from devices.control import moments
from devices.plc.health import Health, HealthState
from devices.plc.specs import PLCSpec


class PLCState(StrEnum):
    """Whether a PLC can be worked with."""

    ONLINE = "online"
    DEGRADED = "degraded"
    """It answers, but some of its tags cannot be read, or its heartbeat stands still."""
    OFFLINE = "offline"
    DISABLED = "disabled"
    UNKNOWN = "unknown"
    """Nobody has talked to it since the gateway started."""

    @property
    def is_silent(self) -> bool:
        """Nobody reads it: whatever was read last may have changed since, however lately that was."""
        return self in (PLCState.OFFLINE, PLCState.DISABLED)


@dataclass(frozen=True, kw_only=True, slots=True)
class PLCStatus:
    """A PLC's state at one moment."""

    state: PLCState
    reason: str = ""
    """Why it is offline or degraded; else what the last attempt failed with, if it did."""
    since: datetime | None = None
    next_try_at: datetime | None = None
    """While offline: when it is looked for again."""
    mark: str = ""
    """An answer that did not belong to what was asked: somebody has to look at it."""

    def as_news(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "state": self.state.value,
            "reason": self.reason,
            "since": moments.written(self.since),
            "next_try_at": moments.written(self.next_try_at),
            "mark": self.mark,
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Findings:
    """What polling found beyond the connection."""

    bad: Mapping[str, str]
    """Tags that cannot be read, with the reason."""
    still: str = ""
    """That the PLC's heartbeat stands still, or that it does not take ours, in words; empty while all is well."""
    since: datetime | None = None
    """Since when something of this is so."""


NONE = Findings(bad={})


def status_of(plc: PLCSpec, health: Health, findings: Findings = NONE, *, now: datetime, clock_s: float) -> PLCStatus:
    """`clock_s` is the event loop's clock at `now`, as the health's times are."""
    if not plc.is_enabled:
        return PLCStatus(state=PLCState.DISABLED)
    since = _moment(health.since, now, clock_s)
    if health.state is HealthState.ONLINE and not health.reason and (reason := _degraded(plc, findings)):
        return PLCStatus(state=PLCState.DEGRADED, reason=reason, since=findings.since, mark=health.mark)
    return PLCStatus(
        state=PLCState(health.state.value),
        reason=health.reason,
        since=since,
        next_try_at=_moment(health.next_try_s, now, clock_s),
        mark=health.mark,
    )


class Predecessors:
    """What the processes that polled PLCs before this one said of them; it stands until this one knows better."""

    def __init__(self) -> None:
        self._said: dict[int, tuple[PLCSpec, PLCStatus]] = {}

    def note(self, plc: PLCSpec, said: PLCStatus) -> None:
        """This process goes on with a PLC."""
        self._said[plc.id] = plc, said

    def keep_only(self, plc_ids: set[int]) -> None:
        """Of all others nothing is known any more."""
        self._said = {plc_id: said for plc_id, said in self._said.items() if plc_id in plc_ids}

    def carried_on(self, plc: PLCSpec, own: PLCStatus, *, is_unsure: bool) -> PLCStatus:
        """The status as it is told: who reads the PLC is no news, and what was so before is so since then.

        `is_unsure`: whether something is wrong with a PLC that answers cannot be told yet.
        """
        if plc.id not in self._said:
            return own
        was, said = self._said[plc.id]
        if own.state is PLCState.DISABLED or was.endpoint != plc.endpoint:
            del self._said[plc.id]
            return own
        is_unsure = is_unsure and (said.state, own.state) == (PLCState.DEGRADED, PLCState.ONLINE)
        if is_unsure or own.state is PLCState.UNKNOWN:
            return replace(said, mark=own.mark or said.mark)
        if own.state is not said.state:
            said = replace(said, state=PLCState.UNKNOWN, since=None)
            self._said[plc.id] = plc, said
        return replace(own, since=said.since or own.since, mark=own.mark or said.mark)


def _degraded(plc: PLCSpec, findings: Findings) -> str:
    if findings.still:
        return findings.still
    if not findings.bad:
        return ""
    name, reason = next(iter(sorted(findings.bad.items())))
    polled = sum(poll.interval_s > 0 for poll in plc.polls.values())
    return f"{len(findings.bad)} of {polled} tags cannot be read: {name} ({reason})"


def _moment(clock_s: float | None, now: datetime, now_s: float) -> datetime | None:
    """In whole seconds: worked out from two clocks, it would come out a little different each time."""
    return None if clock_s is None else (now - timedelta(seconds=now_s - clock_s)).replace(microsecond=0)
