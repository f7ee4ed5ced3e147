"""The state table is data: docs/states.md is drawn from it, and the journal lets nothing else pass."""

import contextlib
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest
from channels.db import database_sync_to_async
from django.utils import timezone

from devices.api.problems import OUTCOMES
from devices.control import outcomes
from devices.control.errors import IllegalMove, RecordUnavailable
from devices.control.journal import Journal
from devices.control.outcomes import MOVES, STARTS, Outcome
from devices.control.records import RunRecord
from devices.models import PLC, Run, State
from devices.plc.trace import Stage
from tests.control import rows
from tests.control.test_outcomes import TABLE

PAGE = (Path(__file__).parents[2] / "docs" / "states.md").read_text()

PAIRS = [(before, after) for before, after in product(State, State) if before is not after]
LEGAL = [(before, after) for before, after in PAIRS if after in MOVES.get(before, ())]
ILLEGAL = [pair for pair in PAIRS if pair not in LEGAL]


def diagram() -> str:
    """STARTS and MOVES as mermaid draws them, in the order in which the states are declared."""
    starts = [f"    [*] --> {state}" for state in State if state in STARTS]
    moves = [f"    {before} --> {after}" for before, after in LEGAL]
    ends = [f"    {state} --> [*]" for state in State if state not in MOVES]
    return "\n".join(["```mermaid", "stateDiagram-v2", *starts, *moves, *ends, "```"])


def table() -> str:
    """Each final state: its problem's title and status, and the effects and retries that outcomes.py gives it."""
    lines = ["| state | what it says | effect | retry | HTTP |", "|---|---|---|---|---|"]
    return "\n".join([*lines, *(row(state) for state in State if state.is_final)])


def row(state: State) -> str:
    problem = OUTCOMES.get(state)
    says = problem.title if problem else outcomes.succeeded({}, is_acknowledged=True).detail.rstrip(".")
    status = str(problem.status if problem else 200)
    if problem and problem.retry_s is not None:
        status += " + `Retry-After`"
    ends = [outcome for outcome in all_outcomes() if outcome.state is state]
    effects = in_words(outcome.effect for outcome in ends)
    retries = in_words(outcome.retry or "-" for outcome in ends)
    return f"| `{state}` | {says} | {effects} | {retries} | {status} |"


def all_outcomes() -> list[Outcome]:
    """What outcomes.py makes of success and of every error of its own test, at every stage."""
    errors = [line[1] for line in TABLE]
    ends = product(errors, Stage, (True, False))
    unsent = [outcomes.expired("late"), outcomes.cancelled("withdrawn")]
    return [
        outcomes.succeeded({}, is_acknowledged=True),
        *unsent,
        *(outcomes.of_error(error, stage, is_clean=clean) for error, stage, clean in ends),
    ]


def in_words(values: Iterator[str]) -> str:
    return " or ".join(f"`{value}`" if value != "-" else value for value in sorted(set(values))) or "not given yet"


class TestThePage:
    @pytest.mark.parametrize("block", [diagram(), table()], ids=["diagram", "final states"])
    def test_shows_what_the_code_says(self, block: str) -> None:
        assert f"\n{block}\n" in PAGE, f"docs/states.md is out of step with the code; it must show:\n\n{block}\n"


class TestTheTableOfMoves:
    def test_reaches_every_state_from_queued(self) -> None:
        reached, new = set(), {State.QUEUED}
        while new:
            reached |= new
            new = {after for before in new for after in MOVES.get(before, ())} - reached
        assert reached == set(State)

    def test_has_a_way_on_from_every_state_that_is_not_final(self) -> None:
        assert {state for state in State if not state.is_final} <= MOVES.keys()

    def test_has_a_status_for_every_end_but_success(self) -> None:
        assert OUTCOMES.keys() == {state for state in State if state.is_final} - {State.SUCCEEDED}


class TestTheJournal:
    """A journal that does not run: what it would hand in, it refuses as RecordUnavailable."""

    @pytest.mark.parametrize(("before", "after"), ILLEGAL)
    async def test_refuses_each_illegal_move(self, before: State, after: State) -> None:
        with pytest.raises(IllegalMove, match=f"is {before}: it cannot become {after}"):
            await Journal(on_commit=no_news).change(a_record(before), state=after)

    @pytest.mark.parametrize(("before", "after"), LEGAL)
    async def test_hands_in_each_legal_move(self, before: State, after: State) -> None:
        with pytest.raises(RecordUnavailable, match="not running"):
            await Journal(on_commit=no_news).change(a_record(before), state=after)

    @pytest.mark.parametrize("state", State)
    async def test_takes_in_what_a_run_begins_as_and_nothing_else(self, state: State) -> None:
        error = RecordUnavailable if state in STARTS else IllegalMove
        with pytest.raises(error, match="not running" if state in STARTS else f"no run begins as {state}"):
            await Journal(on_commit=no_news).accept(state=state)

    @pytest.mark.parametrize("before", State)
    async def test_changes_the_row_by_legal_moves_only(self, before: State, transactional_db: None) -> None:
        press = await database_sync_to_async(lambda: rows.make_plc(rows.make_profile()))()
        journal = Journal(on_commit=no_news)
        journal.start()
        try:
            ends = {after: await moved(journal, press, before, after) for after in State if after is not before}
        finally:
            await journal.stop()
        assert {after for after, row in ends.items() if row == (after, 2)} == MOVES.get(before, frozenset())
        assert {row for after, row in ends.items() if after not in MOVES.get(before, ())} <= {(before, 1)}


async def moved(journal: Journal, press: PLC, before: State, after: State) -> tuple[State, int]:
    """State and version of a run's row after somebody tried to move it; the row is gone afterwards."""
    row = await Run.objects.acreate(plc=press, state=before, accepted_at=timezone.now())
    record = RunRecord.from_row(row)
    with contextlib.suppress(IllegalMove):
        await journal.change(record, state=after)
    run = await Run.objects.aget()
    await run.adelete()  # a PLC has one running run at most
    return State(run.state), run.version


def a_record(state: State) -> RunRecord:
    run = Run(id=1, plc_name="press-1", command="start_batch", state=state, accepted_at=timezone.now())
    return RunRecord.from_row(run)


def no_news(record: RunRecord) -> None:
    """Nobody listens."""
