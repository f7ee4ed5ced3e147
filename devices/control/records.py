"""A run as it crosses floors: frozen, JSON-ready, free of the ORM."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from devices.models import Run, State

LONG = ("trace", "frames", "history")
"""Columns of a run that a list does not show and need not load: `Run.objects.defer(*LONG)`."""


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

    def as_json(self, *, with_trace: bool = False) -> dict[str, Any]:
        """JSON-ready: moments in ISO 8601, trace and history only where they are asked for."""
        left_out = {"plc_id"} if with_trace else {"plc_id", "trace", "history"}
        return {name: _json(getattr(self, name)) for name in self.__dataclass_fields__ if name not in left_out}

    def as_news(self) -> dict[str, Any]:
        """What every page may see: not from where it was asked for."""
        news = self.as_json()
        del news["source"]
        return news


def _json(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


@dataclass(frozen=True, kw_only=True, slots=True)
class KeyedRun:
    """A run that stands under a caller's Idempotency-Key, and of what."""

    run: RunRecord
    fingerprint: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Caller:
    """Who asks for something, and from where."""

    name: str
    """`key mes-line-1` or `user anna`."""
    source: str
    """The client's address."""
    needs_key: bool = False
    """Its commands are refused without an Idempotency-Key."""
    may_judge: bool = False
    """A person who may say what a machine did: looked up where he says it."""

    @property
    def is_person(self) -> bool:
        """Somebody who is logged in, not a machine with its key."""
        return self.name.startswith("user ")
