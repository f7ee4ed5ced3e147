"""The states of a run: which moves are allowed, and which error at which stage means which outcome."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from devices.control.errors import PLCLockedOut, RecordUnavailable
from devices.control.records import RunRecord
from devices.modbus.errors import BUSY, REFUSALS, DeviceException, LinkUnavailable, ValueRefused
from devices.models import Effect, Retry, State
from devices.plc.errors import HandshakeIncomplete, InterlockOpen, NoAcknowledge, PLCSaidNo, ReadBackMismatch
from devices.plc.trace import Stage

STARTS = frozenset({State.QUEUED, State.RUNNING})
"""As what a run is stored first: it waits for its turn, or the PLC is free and it has its turn at once."""
MOVES: dict[State, frozenset[State]] = {
    State.QUEUED: frozenset({State.RUNNING, State.FAILED, State.EXPIRED, State.CANCELLED}),
    State.RUNNING: frozenset(
        {State.SUCCEEDED, State.REJECTED, State.FAILED, State.FAULTED, State.TIMED_OUT, State.UNKNOWN}
    ),
    # A reconciling read, or a person with the right and a reason.
    State.UNKNOWN: frozenset({State.SUCCEEDED, State.FAULTED}),
    State.TIMED_OUT: frozenset({State.SUCCEEDED, State.FAULTED}),
}
"""Every other state is the end."""

CONFIRMED = "The PLC confirmed the command."
TAKEN = "The PLC took the write; the command asks for no acknowledge."
READ_BACK = "The PLC took the write, and it reads back as written."
NOT_CLEARED = " The handshake could not be cleared: do that at the PLC."


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """How a run ended."""

    state: State
    effect: Effect
    retry: Retry | None
    detail: str
    result: dict[str, Any] = field(default_factory=dict)

    @property
    def fields(self) -> dict[str, Any]:
        """What it says in a run's row; the result only where something was read."""
        return {"state": self.state, "effect": self.effect, "retry": self.retry or "", "detail": self.detail}


def succeeded(result: dict[str, Any], *, is_acknowledged: bool, is_read_back: bool = False) -> Outcome:
    """The PLC confirmed: by the acknowledge that was waited for, by what it holds, or by its answer to the write."""
    unacknowledged = READ_BACK if is_read_back else TAKEN
    detail = CONFIRMED if is_acknowledged else unacknowledged
    return Outcome(state=State.SUCCEEDED, effect=Effect.APPLIED, retry=None, detail=detail, result=result)


def failed(detail: str, retry: Retry = Retry.SAFE) -> Outcome:
    """The machine was not told."""
    return Outcome(state=State.FAILED, effect=Effect.NONE, retry=retry, detail=detail)


def expired(detail: str) -> Outcome:
    """The run waited too long in the queue."""
    return Outcome(state=State.EXPIRED, effect=Effect.NONE, retry=Retry.SAFE, detail=detail)


def cancelled(detail: str) -> Outcome:
    """The run was withdrawn from the queue."""
    return Outcome(state=State.CANCELLED, effect=Effect.NONE, retry=Retry.SAFE, detail=detail)


def faulted(detail: str, effect: Effect) -> Outcome:
    """The machine was told, and the PLC said no or reported an error."""
    return Outcome(state=State.FAULTED, effect=effect, retry=Retry.AFTER_FIX, detail=detail)


def unknown(detail: str) -> Outcome:
    """The machine may have been told, and nobody can say what it did."""
    return Outcome(state=State.UNKNOWN, effect=Effect.UNKNOWN, retry=Retry.AFTER_RECONCILE, detail=detail)


def timed_out(detail: str) -> Outcome:
    """The machine was told and did not acknowledge; the trigger has been cleared."""
    return Outcome(state=State.TIMED_OUT, effect=Effect.UNKNOWN, retry=Retry.AFTER_RECONCILE, detail=detail)


def proven(clauses: Iterable[str]) -> Outcome:
    """Nobody knew, and a read showed afterwards that the machine did it."""
    detail = f"Proven afterwards by a read of the PLC: {'; '.join(clauses)}."
    return Outcome(state=State.SUCCEEDED, effect=Effect.APPLIED, retry=None, detail=detail)


def judged(state: State, effect: Effect, *, by: str, reason: str) -> Outcome:
    """Nobody knew, and a person has seen what the machine did."""
    says = "that it succeeded" if state is State.SUCCEEDED else f"that it faulted, effect {effect}"
    retry = None if state is State.SUCCEEDED else Retry.AFTER_FIX
    return Outcome(state=state, effect=effect, retry=retry, detail=f"Looked at by {by}, who says {says}: {reason}")


def earlier(run: RunRecord, *, at: datetime, by: str) -> dict[str, Any]:
    """The outcome that a run had until it was reconciled, for its history: who replaced it, and when."""
    return {
        "state": run.state.value,
        "effect": run.effect,
        "retry": run.retry,
        "detail": run.detail,
        "result": run.result,
        "finished_at": run.finished_at.isoformat() if run.finished_at else None,
        "at": at.isoformat(),
        "by": by,
    }


def of_error(error: BaseException, stage: Stage, *, is_clean: bool) -> Outcome:
    """Tell from the error and from how far the command came what is now true at the machine."""
    if stage is Stage.BEFORE:
        return _before_trigger(error)
    if stage is Stage.TRIGGER:
        return _on_trigger(error)
    return _after_trigger(error, stage, is_clean=is_clean)


def _before_trigger(error: BaseException) -> Outcome:
    if isinstance(error, InterlockOpen):
        return Outcome(
            state=State.REJECTED,
            effect=Effect.NONE,
            retry=Retry.AFTER_FIX,
            detail=f"An interlock is open, nothing was written: {error}.",
        )
    is_refused = isinstance(error, DeviceException) and error.code not in BUSY
    if is_refused or isinstance(error, (ReadBackMismatch, ValueRefused, PLCLockedOut)):
        return failed(f"The machine was not told: {error}.", Retry.AFTER_FIX)
    if isinstance(error, RecordUnavailable):
        return failed(f"The machine was not told, because the record could not be stored: {error}.")
    return failed(f"The machine was not told: {_say(error)}.")


def _on_trigger(error: BaseException) -> Outcome:
    if isinstance(error, LinkUnavailable):
        return failed(f"The machine was not told: {error}.")
    if isinstance(error, ValueRefused):
        return failed(f"The machine was not told: {error}.", Retry.AFTER_FIX)
    if isinstance(error, DeviceException) and error.code in REFUSALS:
        return faulted(f"The PLC refused the trigger: {error}.", Effect.NONE)
    if isinstance(error, DeviceException) and error.code in BUSY:
        return failed(f"The PLC refused the trigger for now: {error}.")
    return unknown(f"The trigger was sent, but its fate is not known: {_say(error)}. Look at the machine.")


def _after_trigger(error: BaseException, stage: Stage, *, is_clean: bool) -> Outcome:
    if isinstance(error, HandshakeIncomplete):
        return faulted(
            f"The PLC acknowledged, but the handshake did not end: {error}. Clear it at the PLC.", Effect.APPLIED
        )
    if isinstance(error, PLCSaidNo):
        effect = Effect.APPLIED if error.is_applied else Effect.NONE
        left = "" if is_clean else NOT_CLEARED
        return faulted(f"The PLC reports an error: {error}.{left}", effect)
    if isinstance(error, ReadBackMismatch):
        return faulted(f"The PLC took the write, and holds something else now: {error}.", Effect.APPLIED)
    if stage is Stage.CONFIRMED and isinstance(error, DeviceException):
        return faulted(f"The PLC confirmed, but what it holds then could not be read: {error}.", Effect.APPLIED)
    if isinstance(error, NoAcknowledge):
        silent = f"The machine was told but did not acknowledge: {error}."
        return timed_out(f"{silent} Look at the machine.") if is_clean else unknown(f"{silent}{NOT_CLEARED}")
    heard = "PLC confirmed" if stage is Stage.CONFIRMED else "machine was told"
    return unknown(f"The {heard}, then contact was lost: {_say(error)}. Look at the machine.")


def _say(error: BaseException) -> str:
    if isinstance(error, asyncio.CancelledError):
        return "the gateway was told to end at once"
    return str(error) or type(error).__name__
