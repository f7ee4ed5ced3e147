"""What a person has found out about a run that nobody knew the end of: checked before anything is changed."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ValidationError

from devices.control.callers import Caller
from devices.control.errors import InvalidParameters, PersonNeeded, RightMissing
from devices.models import Effect, State
from devices.models.text_rules import printable

SHORTEST, LONGEST = 10, 500  # characters of a reason

RIGHT = "devices.change_run"
"""Django's own permission ("Can change run"), though the admin shows runs only: who has it may say how one ended."""

FIELDS = ("state", "reason", "effect")
STATES = (State.SUCCEEDED, State.FAULTED)
EFFECTS = (Effect.NONE, Effect.APPLIED)


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """How a run ended, as a person has seen it at the machine."""

    state: State
    effect: Effect
    reason: str


def require_right(caller: Caller) -> None:
    """PersonNeeded for a machine's key, RightMissing for a person who was not given the right."""
    if not caller.is_person:
        raise PersonNeeded("only a person who is logged in can say what the machine did; a key may have it read")
    if not caller.may_judge:
        raise RightMissing(
            f"{caller.name} lacks the permission {RIGHT} (Can change run), and so cannot say what the machine did; "
            "who keeps the users in the admin can give it"
        )


def verdict_of(given: Mapping[str, Any]) -> Verdict:
    """The verdict of these fields; InvalidParameters names every wrong one."""
    faults = tuple(_faults(given))
    if faults:
        raise InvalidParameters(faults)
    state = State(given["state"])
    effect = Effect.APPLIED if state is State.SUCCEEDED else Effect(given["effect"])
    return Verdict(state=state, effect=effect, reason=given["reason"].strip())


def _faults(given: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield from ((name, "is not a field of a verdict") for name in given if name not in FIELDS)
    state, effect = given.get("state"), given.get("effect")
    if state not in STATES:
        yield "state", "must be succeeded or faulted; leave the body empty to have the PLC read"
    elif state == State.FAULTED and effect not in EFFECTS:
        yield "effect", "must be none or applied: what the machine did"
    elif state == State.SUCCEEDED and effect is not None:
        yield "effect", "goes with faulted only: what succeeded is applied"
    yield from (("reason", fault) for fault in _reason_faults(given.get("reason")))


def _reason_faults(reason: Any) -> Iterator[str]:
    if not isinstance(reason, str) or not SHORTEST <= len(reason.strip()) <= LONGEST:
        yield f"is required: what you saw, in {SHORTEST} to {LONGEST} characters"
        return
    try:
        printable(reason)
    except ValidationError as error:
        yield " ".join(error.messages)
