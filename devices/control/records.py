"""A run as it crosses floors: frozen, JSON-ready, free of the ORM."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter
from typing import Any, Self

from devices.control import moments
from devices.models import Run, State

LONG = ("trace", "frames", "history")
"""Columns of a run that a list does not show and need not load: `Run.objects.defer(*LONG)`."""
MOMENTS = ("accepted_at", "started_at", "triggered_at", "finished_at")


@dataclass(frozen=True, kw_only=True, slots=True)
class RunRecord:
    """One execution of one command on one PLC, as stored at one version."""

    id: int
    plc_id: int
    plc: str
    """The PLC's name then."""
    command: str
    parameters: dict[str, Any]
    caller: str
    source: str
    state: State
    effect: str
    retry: str
    detail: str
    result: dict[str, Any]
    sequence: int | None
    """Its number at its PLC, where the command sends one."""
    trace: list[dict[str, Any]]
    history: list[dict[str, Any]]
    """Earlier outcomes, oldest first: what was said of the run before it was reconciled."""
    version: int
    """Goes up by one at each change; of two copies the higher one is the truth."""
    accepted_at: datetime
    started_at: datetime | None
    triggered_at: datetime | None
    finished_at: datetime | None

    @classmethod
    def from_row(cls, run: Run) -> Self:
        """Copy a row; of one from a list without its long columns."""
        left_out = run.get_deferred_fields()
        names = cls.__dataclass_fields__.keys() - {"plc", "state"}
        columns = {name: [] if name in left_out else getattr(run, name) for name in names}
        return cls(plc=run.plc_name, state=State(run.state), **columns)

    @classmethod
    def of_new(cls, key: int, row: Mapping[str, Any]) -> Self:
        """Of all columns of a row that was just added."""
        columns = {name: row[name] for name in _CALLED_ALIKE}
        return cls(id=key, plc=row["plc_name"], state=State(row["state"]), **columns)

    def as_json(self, *, with_trace: bool = False) -> dict[str, Any]:
        """JSON-ready: moments in ISO 8601, trace and history only where they are asked for."""
        names, columns = _WITH_TRACE if with_trace else _SHOWN
        told = dict(zip(names, columns(self), strict=True))
        for name in MOMENTS:
            told[name] = moments.written(told[name])
        return told

    def as_news(self) -> dict[str, Any]:
        """What every page may see: not from where it was asked for."""
        news = self.as_json()
        del news["source"]
        return news


def _told(*left_out: str) -> tuple[tuple[str, ...], Callable[[RunRecord], tuple[Any, ...]]]:
    """Names, and what reads them at once: each run is told to its caller and, twice, to all pages."""
    names = tuple(name for name in RunRecord.__dataclass_fields__ if name not in left_out)
    return names, attrgetter(*names)


_CALLED_ALIKE = tuple(RunRecord.__dataclass_fields__.keys() - {"id", "plc", "state"})
"""In the record and in its row."""
_WITH_TRACE = _told("plc_id")
_SHOWN = _told("plc_id", "trace", "history")


@dataclass(frozen=True, kw_only=True, slots=True)
class KeyedRun:
    """A run that stands under a caller's Idempotency-Key, and of what."""

    run: RunRecord
    fingerprint: str
