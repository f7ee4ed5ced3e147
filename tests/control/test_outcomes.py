"""What an error means, by the stage that the command had reached: design.md's and faults.md's tables."""

import pytest

from devices.control import outcomes
from devices.control.errors import RecordUnavailable
from devices.modbus.errors import DeviceException, LinkUnavailable, Unconfirmed, ValueRefused, WrongAnswer
from devices.models import Effect, Retry, State
from devices.plc.errors import (
    DeadlinePassed,
    HandshakeIncomplete,
    InterlockOpen,
    NoAcknowledge,
    PLCSaidNo,
    ReadBackMismatch,
)
from devices.plc.trace import Stage

REFUSED, BUSY, BROKEN = DeviceException(2, "write"), DeviceException(6, "write"), DeviceException(4, "write")

TABLE = [
    (Stage.BEFORE, LinkUnavailable("refused"), State.FAILED, Effect.NONE, Retry.SAFE),
    (Stage.BEFORE, Unconfirmed("silence"), State.FAILED, Effect.NONE, Retry.SAFE),
    (Stage.BEFORE, WrongAnswer("echo"), State.FAILED, Effect.NONE, Retry.SAFE),
    (Stage.BEFORE, REFUSED, State.FAILED, Effect.NONE, Retry.AFTER_FIX),
    (Stage.BEFORE, BUSY, State.FAILED, Effect.NONE, Retry.SAFE),
    (Stage.BEFORE, DeadlinePassed("late"), State.FAILED, Effect.NONE, Retry.SAFE),
    (Stage.BEFORE, RecordUnavailable("disk full"), State.FAILED, Effect.NONE, Retry.SAFE),
    (Stage.BEFORE, InterlockOpen("door"), State.REJECTED, Effect.NONE, Retry.AFTER_FIX),
    (Stage.BEFORE, ReadBackMismatch("15"), State.FAILED, Effect.NONE, Retry.AFTER_FIX),
    (Stage.BEFORE, ValueRefused("too large"), State.FAILED, Effect.NONE, Retry.AFTER_FIX),
    (Stage.TRIGGER, LinkUnavailable("gone"), State.FAILED, Effect.NONE, Retry.SAFE),
    (Stage.TRIGGER, REFUSED, State.FAULTED, Effect.NONE, Retry.AFTER_FIX),
    (Stage.TRIGGER, BUSY, State.FAILED, Effect.NONE, Retry.SAFE),
    (Stage.TRIGGER, BROKEN, State.UNKNOWN, Effect.UNKNOWN, Retry.AFTER_RECONCILE),
    (Stage.TRIGGER, DeviceException(5, "write"), State.UNKNOWN, Effect.UNKNOWN, Retry.AFTER_RECONCILE),
    (Stage.TRIGGER, DeviceException(99, "write"), State.UNKNOWN, Effect.UNKNOWN, Retry.AFTER_RECONCILE),
    (Stage.TRIGGER, Unconfirmed("silence"), State.UNKNOWN, Effect.UNKNOWN, Retry.AFTER_RECONCILE),
    (Stage.TRIGGER, WrongAnswer("echo"), State.UNKNOWN, Effect.UNKNOWN, Retry.AFTER_RECONCILE),
    (Stage.TOLD, LinkUnavailable("gone"), State.UNKNOWN, Effect.UNKNOWN, Retry.AFTER_RECONCILE),
    (Stage.TOLD, Unconfirmed("silence"), State.UNKNOWN, Effect.UNKNOWN, Retry.AFTER_RECONCILE),
    (Stage.TOLD, NoAcknowledge("ack"), State.TIMED_OUT, Effect.UNKNOWN, Retry.AFTER_RECONCILE),
    (Stage.TOLD, PLCSaidNo("jam", is_applied=False), State.FAULTED, Effect.NONE, Retry.AFTER_FIX),
    (Stage.TOLD, PLCSaidNo("jam", is_applied=True), State.FAULTED, Effect.APPLIED, Retry.AFTER_FIX),
    (Stage.CONFIRMED, HandshakeIncomplete("ack"), State.FAULTED, Effect.APPLIED, Retry.AFTER_FIX),
    (Stage.CONFIRMED, ReadBackMismatch("15"), State.FAULTED, Effect.APPLIED, Retry.AFTER_FIX),
    (Stage.CONFIRMED, REFUSED, State.FAULTED, Effect.APPLIED, Retry.AFTER_FIX),
    (Stage.CONFIRMED, Unconfirmed("silence"), State.UNKNOWN, Effect.UNKNOWN, Retry.AFTER_RECONCILE),
]


class TestOutcomeOfAnError:
    @pytest.mark.parametrize(("stage", "error", "state", "effect", "retry"), TABLE)
    def test_tells_what_is_true_at_the_machine(
        self, stage: Stage, error: Exception, state: State, effect: Effect, retry: Retry
    ) -> None:
        outcome = outcomes.of_error(error, stage, is_clean=True)
        assert (outcome.state, outcome.effect, outcome.retry) == (state, effect, retry)
        assert str(error) in outcome.detail

    def test_a_missing_acknowledge_whose_trigger_could_not_be_cleared_is_unknown(self) -> None:
        outcome = outcomes.of_error(NoAcknowledge("ack"), Stage.TOLD, is_clean=False)
        assert outcome.state is State.UNKNOWN
        assert outcome.detail == (
            "The machine was told but did not acknowledge: ack. The handshake could not be cleared: do that at the PLC."
        )

    @pytest.mark.parametrize("stage", list(Stage))
    @pytest.mark.parametrize("error", [RuntimeError("bug"), KeyError(), *(row[1] for row in TABLE)])
    def test_no_error_is_ever_a_success_and_each_end_is_one_that_a_running_run_may_take(
        self, stage: Stage, error: Exception
    ) -> None:
        outcome = outcomes.of_error(error, stage, is_clean=True)
        assert outcome.state in outcomes.MOVES[State.RUNNING] - {State.SUCCEEDED}

    @pytest.mark.parametrize("stage", [Stage.TOLD, Stage.CONFIRMED])
    def test_nothing_after_the_trigger_is_called_a_plain_failure(self, stage: Stage) -> None:
        for _, error, *_ in TABLE:
            assert outcomes.of_error(error, stage, is_clean=True).state is not State.FAILED


class TestMoves:
    def test_a_final_state_moves_only_by_reconciliation(self) -> None:
        final = {state for state in State if state.is_final}
        moving = {state for state in final if outcomes.MOVES.get(state)}
        assert moving == {State.UNKNOWN, State.TIMED_OUT}
        assert all(outcomes.MOVES[state] == {State.SUCCEEDED, State.FAULTED} for state in moving)

    def test_nothing_goes_back_to_waiting(self) -> None:
        assert all(State.QUEUED not in targets for targets in outcomes.MOVES.values())
