"""The shapes of requests and answers, as the API docs show them."""

from collections.abc import Iterable
from typing import Annotated, Any

from ninja import Field, Schema
from pydantic import BaseModel, ConfigDict, WithJsonSchema

from devices.api.problems import MEDIA_TYPE, TYPE
from devices.control.status import PLCState
from devices.control.verdicts import EFFECTS, LONGEST, SHORTEST, STATES
from devices.models import Effect, Retry, State
from devices.plc.specs import ParameterType

PLC_STATES = list(PLCState)
LARGEST_ID = 2**63 - 1  # of a row in SQLite and PostgreSQL

Moment = Annotated[str, WithJsonSchema({"type": "string", "format": "date-time"})]


def one_of(*words: str) -> Any:
    """A word of a list that the docs show."""
    return WithJsonSchema({"type": "string", "enum": list(words)})


class StartIn(BaseModel):
    """What to start with. Types and limits are the machine's own, and checked where it is known."""

    model_config = ConfigDict(
        # An unknown field is told together with the wrong ones, see start.py.
        extra="allow",
        json_schema_extra={"additionalProperties": False, "examples": [{"batsize": 15, "noksize": 3}]},
    )

    batsize: Annotated[Any, WithJsonSchema({"type": "integer", "description": "batch size", "default": 15})] = 15
    noksize: Annotated[
        Any, WithJsonSchema({"type": "integer", "description": "maximum consecutive failures", "default": 3})
    ] = 3


class RunOut(Schema):
    """One execution of one command on one PLC."""

    id: int
    plc: str = Field(description="name of the PLC")
    command: str
    parameters: dict[str, Any] = Field(description="what the machine was, or was to be, told")
    caller: str = Field(description="who asked: a key or a user")
    source: str = Field(description="the caller's address")
    state: Annotated[str, one_of(*State.values)]
    effect: Annotated[str, one_of("", *Effect.values)] = Field(description="what the machine did; empty while open")
    retry: Annotated[str, one_of("", *Retry.values)] = Field(
        description="when to ask again; empty while open and after success"
    )
    detail: str = Field(description="the outcome in words")
    result: dict[str, Any] = Field(description="what was read from the PLC after it confirmed")
    sequence: int | None = Field(description="number of the run at its PLC, where the command sends one")
    version: int = Field(description="goes up with each change; of two copies the higher one is the truth")
    accepted_at: Moment
    started_at: Moment | None
    triggered_at: Moment | None = Field(description="just before the machine was told")
    finished_at: Moment | None


class EarlierOut(Schema):
    """What was said of a run before it was reconciled."""

    state: Annotated[str, one_of(*State.values)]
    effect: Annotated[str, one_of("", *Effect.values)]
    retry: Annotated[str, one_of("", *Retry.values)]
    detail: str
    result: dict[str, Any]
    finished_at: Moment | None
    at: Moment = Field(description="when it was reconciled")
    by: str = Field(description="by whom: a user, a key, or `gateway` at its start")


class RunWithTraceOut(RunOut):
    """A run with all that was read and written, in order, and the command as it stood."""

    trace: list[dict[str, Any]] = Field(
        description="one line for each step: `at_ms` from the run's start, `phase`, `tag`, `operator`, the value "
        "`sent`, or `read` and what was `wanted`, and `error` where it failed; or a `note`"
    )
    frames: list[dict[str, Any]] = Field(
        description="what went over the wire, kept for some days: `at_ms` as in the trace, `step` (the index of the "
        "trace's line that it led to), `direction` (`sent` or `received`), `length` in bytes, and `hex`, cut after 300 "
        "bytes; or a `note` that tells how many are left out"
    )
    definition: dict[str, Any] | None = Field(
        description="what it ran with, whatever was edited since: the `command` with its parameters, steps and tags, "
        "and the `plc` that it was sent to"
    )
    history: list[EarlierOut] = Field(description="earlier outcomes, oldest first; empty unless it was reconciled")


class RunListOut(Schema):
    """Runs, newest first."""

    runs: list[RunOut]
    next: int | None = Field(description="give it as `before` for the runs that follow; null: there are no more")


class RunFilter(Schema):
    """Which runs to list."""

    plc: str | None = Field(None, max_length=50, description="name or number of a PLC")
    state: State | None = Field(None, description="only runs in this state")
    limit: int = Field(50, ge=1, le=200)
    before: int | None = Field(None, ge=1, le=LARGEST_ID, description="only runs older than this one")


class LockOutOut(Schema):
    """Somebody works at the machine, and no command is taken."""

    by: str = Field(description="who locked it: a user or a key")
    reason: str
    since: Moment
    until: Moment | None = Field(description="when it ends by itself; null: when somebody unlocks it")


class PLCOut(Schema):
    """A registered PLC and whether it can be worked with."""

    id: int
    name: str
    title: str
    area: str
    profile: str = Field(description="machine type")
    state: Annotated[str, one_of(*PLC_STATES)] = Field(
        description="what was found last; degraded: it answers, but tags cannot be read or its heartbeat stands still"
    )
    reason: str = Field(description="why it is offline or degraded; else what the last attempt failed with, if it did")
    since: Moment | None = Field(description="since when it is in this state; null if nothing is known")
    next_try_at: Moment | None = Field(description="of an offline PLC: when it is looked for again")
    mark: str = Field(
        description="the last answer that did not belong to what was asked; empty if none since the start"
    )
    lock_out: LockOutOut | None = Field(description="who has locked it for maintenance; null: commands are taken")


class PLCListOut(Schema):
    """All registered PLCs, by name."""

    plcs: list[PLCOut]


class PointOut(Schema):
    """What a tag holds from a moment on, until the next point."""

    at: Moment
    value: float | str | None = Field(
        description="a bool as 0 or 1; null: from then on it was not read, and nothing is to be drawn"
    )
    minimum: float | None = Field(description="the lowest of all samples that the point stands for; null of a text")
    maximum: float | None = Field(description="the highest of them")


class TrendOut(Schema):
    """A tag over time. What it held when the span began is its first point."""

    plc: str
    tag: str
    unit: str
    start: Moment = Field(alias="from")
    end: Moment = Field(alias="to", description="the last point holds until here, or until now")
    is_downsampled: bool = Field(
        description="points stand for more than one sample; of a text: its oldest changes are left out"
    )
    points: list[PointOut] = Field(description="in the order of time, at most two beyond each of the values asked for")


class ParameterOut(Schema):
    """A typed, limited input of a command."""

    name: str
    label: str
    type: Annotated[str, one_of(*ParameterType)]
    unit: str
    minimum: float | None
    maximum: float | None
    default: bool | int | float | str | None = Field(description="null: must be given")
    is_required: bool


class CommandOut(Schema):
    """A named function of a machine."""

    name: str
    title: str
    description: str
    time_limit_s: float = Field(description="for the whole command, before and again after the machine is told")
    may_run: bool = Field(description="you were granted to run it, with values up to your ceilings if you have any")
    parameters: list[ParameterOut]


class CommandListOut(Schema):
    """The commands of a PLC's profile."""

    commands: list[CommandOut]


class ClauseOut(Schema):
    """One condition that must hold before the command writes anything."""

    tag: str
    is_met: bool
    detail: str = Field(description="what was found and what was wanted, in words")
    phase: str = Field(description="of the step: check, fail_if, wait or proof")
    operator: str
    message: str = Field(description="the engineer's own, for when it is not met; may be empty")
    read: Any = Field(description="what was found; null if it could not be read")
    wanted: Any = Field(description="what it was compared with; a list where several would do")


class CheckOut(Schema):
    """What a command's interlocks say now."""

    is_free: bool = Field(description="nothing would stop the command now; it is looked at again when it is run")
    clauses: list[ClauseOut]


class ReconcileIn(BaseModel):
    """Nothing: the PLC is read. Or what a person has seen at the machine."""

    model_config = ConfigDict(extra="allow", json_schema_extra={"additionalProperties": False})

    state: Annotated[Any, one_of(*STATES)] = None
    effect: Annotated[Any, one_of(*EFFECTS)] = Field(None, description="what the machine did; with `faulted` only")
    reason: Annotated[Any, WithJsonSchema({"type": "string", "minLength": SHORTEST, "maxLength": LONGEST})] = Field(
        None, description="what was seen, for the record"
    )


class HealthOut(Schema):
    """Only the status; strangers see nothing else."""

    status: str


class FaultOut(Schema):
    """One wrong field."""

    field: str
    message: str


class ProblemOut(Schema):
    """Problem details, RFC 9457."""

    type: str = Field(description=f"`{TYPE}` and the code by which a program tells problems apart")
    title: str
    status: int
    detail: str = Field(description="what happened, in plain words")
    instance: str | None = Field(None, description="the address, or the run")
    errors: list[FaultOut] | None = Field(
        None, description="every wrong field, with 422; every value above your ceiling, with 403"
    )
    run: RunOut | None = Field(None, description="the run, where there is one")
    clauses: list[ClauseOut] | None = Field(None, description="each proof that was looked at, with `not-proven`")


class ResultOut(Schema):
    """What became of one command of a group."""

    status: int = Field(description="as a single call would have been answered")
    run: RunOut | None = Field(None, description="with 200 and 202")
    problem: ProblemOut | None = Field(None, description="with any other status")
    retry_after_s: int | None = Field(None, description="what Retry-After would have said")
    is_replayed: bool | None = Field(None, description="true: an earlier request under this key started it")


class GroupOut(Schema):
    """A result for each command, in the order asked."""

    results: list[ResultOut]


CHECKING = (400, 401, 403, 404, 413, 415, 422, 423, 429, 500, 503)
SETTLING = (400, 401, 403, 404, 409, 413, 415, 422, 429, 500, 503)
GROUPING = (400, 401, 403, 413, 415, 422, 429, 500, 503)
READING = (401, 403, 404, 422, 429, 500, 503)
READING_FRESH = (401, 403, 404, 422, 429, 500, 502, 503)
LOCKING = (400, 401, 403, 404, 413, 415, 422, 423, 429, 500, 503)
COMMANDING = (400, 401, 403, 404, 409, 413, 415, 422, 423, 429, 500, 502, 503, 504)


def answers(shape: Any, problems: Iterable[int] = READING) -> dict[int, Any]:
    """The `response` of an operation: its good answer, and the problems that it may meet."""
    return {200: shape} | dict.fromkeys(problems, ProblemOut)


def run_answers() -> dict[int, Any]:
    """The `response` of an operation that runs a command: its end, or where it stands when the wait is over."""
    return answers(RunOut, COMMANDING) | {202: RunOut}


def group_answers() -> dict[int, Any]:
    """The `response` of an operation that runs a group: a good answer has a status for each command."""
    return {207: GroupOut} | dict.fromkeys(GROUPING, ProblemOut)


def with_problem_type(openapi: dict[str, Any]) -> None:
    """ninja knows one media type for all answers; those of errors have their own."""
    for operations in openapi["paths"].values():
        for operation in operations.values():
            for status, response in operation["responses"].items():
                if status >= 400:
                    response["content"] = {MEDIA_TYPE: response["content"].pop("application/json")}
