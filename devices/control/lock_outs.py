"""Which PLCs are locked out for maintenance, as the hot path sees it: in memory, and never long out of date.

Kept apart from the registry: that somebody locks a PLC cuts no connection to it and no poll plan. What this process
has stored is known to it before anybody is told that it is stored; what another one has stored, BELIEVED_S later at
most.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from django.utils import timezone

from devices.control import moments
from devices.control.errors import PLCLockedOut
from devices.control.kept import Kept
from devices.control.stamps import Stamps
from devices.models import LockOut
from devices.models.stamps import Kind
from devices.plc.specs import PLCSpec

BELIEVED_S = 1.0  # after another process has locked a PLC, a command that comes here may still be taken for so long


@dataclass(frozen=True, kw_only=True, slots=True)
class LockOutSpec:
    """Somebody works at the machine."""

    plc_id: int
    by: str
    reason: str
    since: datetime
    until: datetime | None

    @classmethod
    def of(cls, row: LockOut) -> Self:
        """Copy a row."""
        return cls(plc_id=row.plc_id, by=row.by, reason=row.reason, since=row.since, until=row.until)

    def holds(self, now: datetime) -> bool:
        """Whether its time is not over."""
        return self.until is None or now < self.until

    def as_json(self) -> dict[str, Any]:
        """JSON-ready, as API and pages tell it."""
        since, until = moments.written(self.since), moments.written(self.until)
        return {"by": self.by, "reason": self.reason, "since": since, "until": until}

    def said(self, plc: str) -> str:
        """Who, why and until when, in words."""
        end = f"until {_said(self.until)}" if self.until else "until somebody unlocks it"
        return f"{plc} is locked out for maintenance by {self.by} since {_said(self.since)}, {end}: {self.reason}"


def _said(moment: datetime) -> str:
    return timezone.localtime(moment).strftime("%Y-%m-%d %H:%M %Z")


OnChange = Callable[[], None]


class LockOuts:
    """The lock-outs of all PLCs, looked up again where they may have changed."""

    def __init__(self, *, stamps: Stamps, on_change: OnChange) -> None:
        """`on_change` is called when PLCs were locked, unlocked or locked otherwise; not when time is over."""
        self._on_change = on_change
        self._known: Mapping[int, LockOutSpec] = {}
        lack = "whether a PLC is locked out cannot be looked up"
        self._kept = Kept(open_ones, kind=Kind.LOCK_OUTS, lack=lack, stamps=stamps, on_read=self._take)

    async def start(self) -> None:
        """Look, and notice what is changed from now on."""
        await self._kept.start()

    async def stop(self) -> None:
        """Notice nothing more."""
        await self._kept.stop()

    async def refresh(self) -> None:
        """To be awaited before it is asked who is locked out; RecordUnavailable where that cannot be looked up."""
        await self._kept.as_of(time.monotonic() - BELIEVED_S)

    def of(self, plc_id: int) -> LockOutSpec | None:
        """The lock-out of a PLC, None where there is none or its time is over."""
        known = self._known.get(plc_id)
        return known if known is not None and known.holds(timezone.now()) else None

    def as_json(self, plc_id: int) -> dict[str, Any] | None:
        """The same, JSON-ready."""
        known = self.of(plc_id)
        return None if known is None else known.as_json()

    def refusal(self, plc: PLCSpec) -> PLCLockedOut | None:
        """What a command for this PLC is answered, None where it may go."""
        known = self.of(plc.id)
        return None if known is None else PLCLockedOut(known.said(plc.name))

    def require_none(self, plc: PLCSpec) -> None:
        """PLCLockedOut where somebody may be at the machine."""
        if refusal := self.refusal(plc):
            raise refusal

    def _take(self, known: Mapping[int, LockOutSpec]) -> None:
        before, self._known = self._known, known
        if before != known:
            self._on_change()


def open_ones(plc_ids: Iterable[int] | None = None) -> dict[int, LockOutSpec]:
    """Those that nobody has lifted, by PLC, as they are stored; to be called in a thread."""
    rows = LockOut.objects.filter(lifted_at=None)
    if plc_ids is not None:
        rows = rows.filter(plc__in=plc_ids)
    return {row.plc_id: LockOutSpec.of(row) for row in rows}
