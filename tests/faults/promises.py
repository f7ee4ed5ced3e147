"""The promises, held against three witnesses: the record, the machines, and what the callers were told."""

from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Any

from devices.control.records import RunRecord
from devices.models import Effect, Run, State
from tests.faults.mes import Mes
from tests.serving.records import stored_runs

ARRIVALS: dict[tuple[State, Effect], set[int]] = {
    (State.SUCCEEDED, Effect.APPLIED): {1},
    (State.REJECTED, Effect.NONE): {0},
    (State.FAILED, Effect.NONE): {0},
    (State.EXPIRED, Effect.NONE): {0},
    (State.CANCELLED, Effect.NONE): {0},
    (State.FAULTED, Effect.NONE): {0},
    (State.FAULTED, Effect.APPLIED): {1},
    (State.TIMED_OUT, Effect.UNKNOWN): {0, 1},
    (State.UNKNOWN, Effect.UNKNOWN): {0, 1},
}
"""How often the trigger of a run that ended so was carried out."""


NOT_TOLD = frozenset(state for state, effect in ARRIVALS if effect is Effect.NONE) - {State.FAULTED}
"""Ends at which no trigger was carried out; one that was sent and refused for now has its moment all the same."""


def number_of(run: Run) -> int:
    """The job that it was for."""
    return int(run.parameters["number"])


def nothing_open(runs: Iterable[Run]) -> None:
    """Every run is settled."""
    assert [run.pk for run in runs if not State(run.state).is_final] == [], "runs left unsettled"


def never_twice(started: Sequence[int]) -> None:
    """No job was triggered more than once, whatever was repeated and whatever died."""
    assert [number for number, times in Counter(started).items() if times > 1] == [], "triggered twice"


def never_lost(runs: Sequence[Run], started: Iterable[int]) -> None:
    """What a machine was told stands in the record, told as such; and each job stands there once."""
    rows = {number_of(run): run for run in runs}
    assert len(rows) == len(runs), "a job has two runs"
    assert set(started) - rows.keys() == set(), "a machine was told of a job that no run stands for"
    assert [number for number in set(started) if rows[number].triggered_at is None] == [], "told without a record"


def never_false(runs: Iterable[Run], started: Iterable[int]) -> None:
    """What each settled run says agrees with what the machines saw."""
    times = Counter(started)
    settled = [run for run in runs if State(run.state).is_final]
    false = {
        number_of(run): (run.state, run.effect, run.detail, times[number_of(run)])
        for run in settled
        if times[number_of(run)] not in ARRIVALS.get((State(run.state), Effect(run.effect)), ())
    }
    assert false == {}, "a run says what its machine did not see"


def never_told_untold(runs: Iterable[Run], reached: Container[int]) -> None:
    """A run that ended before anything reached its machine names no moment at which it was told."""
    untold = [run for run in runs if run.state in NOT_TOLD and number_of(run) not in reached]
    assert [number_of(run) for run in untold if run.triggered_at is not None] == [], "untold, and recorded as told"


def as_told(runs: Iterable[Run], told: Mapping[int, Mapping[str, Any] | None]) -> None:
    """Each caller's answer is what is stored; None is an answer that made no run."""
    stored = {number_of(run): RunRecord.from_row(run).as_json() for run in runs}
    assert {number: stored.get(number) for number in told} == told, "a caller was told something else"


async def are_kept(mes: Mes) -> list[Run]:
    """All of them, at any moment, also while runs are under way; returns the runs."""
    # What was told and started by now is in the record that is read after it; and what a record says that is read now
    # can be seen at the machines afterwards.
    told, started = dict(mes.told), mes.started
    runs = await stored_runs()
    never_twice(mes.started)
    never_lost(runs, started)
    never_false(runs, mes.started)
    never_told_untold(runs, mes.reached)
    as_told(runs, told)
    return runs
