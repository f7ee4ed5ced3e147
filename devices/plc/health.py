"""Whether a PLC can be reached, and since when; after repeated failures it is offline and is probed. Pure."""

from dataclasses import dataclass, replace
from enum import StrEnum

OFFLINE_AFTER = 3  # failures in a row
PROBE_FIRST_S = 10.0  # a dead PLC is probed at most every 10 s; faults.md, "Connecting"
PROBE_LONGEST_S = 60.0


class HealthState(StrEnum):
    """What the last attempts to talk to a PLC say of it."""

    UNKNOWN = "unknown"
    ONLINE = "online"
    OFFLINE = "offline"


@dataclass(frozen=True, kw_only=True, slots=True)
class Health:
    """The reachability of one PLC. Times are the event loop's clock, in seconds."""

    state: HealthState = HealthState.UNKNOWN
    since: float | None = None
    reason: str = ""
    failures: int = 0
    """In a row, up to now."""
    next_try_s: float | None = None
    """While offline: when the next probe goes out."""
    mark: str = ""
    """The last answer that did not belong to what was asked: a person has to look at the PLC, or what is before it.

    It stays when right answers follow, until the gateway or the PLC's settings change.
    """

    def after_success(self, now: float) -> "Health":
        """The PLC answered."""
        is_online = self.state is HealthState.ONLINE
        if is_online and not self.failures and self.next_try_s is None:
            return self  # as it is after nearly every conversation
        since = self.since if is_online else now
        return Health(state=HealthState.ONLINE, since=since, mark=self.mark)

    def after_wrong_answer(self, mark: str) -> "Health":
        """The PLC answered something else than it was asked."""
        return replace(self, mark=mark)

    def after_failure(self, reason: str, now: float) -> "Health":
        """The PLC could not be reached or did not serve us."""
        failures = self.failures + 1
        if failures < OFFLINE_AFTER:
            return replace(self, reason=reason, failures=failures)
        since = self.since if self.state is HealthState.OFFLINE else now
        return replace(self, state=HealthState.OFFLINE, since=since, reason=reason, failures=failures)


def probe_delay_s(tries: int, *, first_s: float = PROBE_FIRST_S, longest_s: float = PROBE_LONGEST_S) -> float:
    """Pause before the probe after this many fruitless ones: doubling, with an end."""
    return min(first_s * 2.0 ** min(tries, 30), max(first_s, longest_s))
