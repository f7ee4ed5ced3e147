"""The trigger: what each kind of answer, and no answer, makes of the run. It is never sent twice."""

import pytest
from channels.db import database_sync_to_async

from devices.models import PLC, Effect, State, Step
from tests.control.rows import call, stored_as
from tests.doubles import faults
from tests.doubles.fault_server import FaultServer
from tests.doubles.listener import Full
from tests.doubles.pdu import WRITES

LOST = [
    faults.swallow,
    faults.mute,
    faults.reset_before,
    faults.reset_after,
    faults.hang_up_before,
    faults.hang_up_after,
    faults.hang_up_amid,
    faults.half_an_answer,
    faults.transaction(0),
    faults.unit(9),
    faults.neighbouring_function,
]
LOST_NAMES = [getattr(fault, "__qualname__", "").partition(".")[0] for fault in LOST]


def misbehave_at_the_trigger(machine: FaultServer, fault, command: str = "start_batch") -> None:
    machine.misbehave(fault, functions=WRITES, at="start" if command == "start_batch" else "reset")


class TestATriggerThatThePLCRefuses:
    @pytest.mark.parametrize(
        ("code", "state", "effect", "retry"),
        [
            (1, State.FAULTED, Effect.NONE, "after_fix"),
            (2, State.FAULTED, Effect.NONE, "after_fix"),
            (3, State.FAULTED, Effect.NONE, "after_fix"),
            (7, State.FAULTED, Effect.NONE, "after_fix"),
            (6, State.FAILED, Effect.NONE, "safe"),
            (10, State.FAILED, Effect.NONE, "safe"),
            (4, State.UNKNOWN, Effect.UNKNOWN, "after_reconcile"),
            (8, State.UNKNOWN, Effect.UNKNOWN, "after_reconcile"),
            (11, State.UNKNOWN, Effect.UNKNOWN, "after_reconcile"),
            (99, State.UNKNOWN, Effect.UNKNOWN, "after_reconcile"),
        ],
    )
    @pytest.mark.parametrize("command", ["start_batch", "reset"])
    async def test_ends_as_the_code_says(
        self, machine: FaultServer, line: PLC, command: str, code: int, state: State, effect: Effect, retry: str
    ) -> None:
        misbehave_at_the_trigger(machine, faults.exception(code), command)
        record = await call(command)
        assert (record.state, record.effect, record.retry) == (state, effect, retry)
        assert f"exception {code}" in record.detail
        assert (await stored_as(record)).triggered_at is not None
        assert machine.writes_to("start").count(1) + machine.writes_to("reset").count(1) == 1

    async def test_is_cleared_all_the_same(self, machine: FaultServer, line: PLC) -> None:
        misbehave_at_the_trigger(machine, faults.exception(4, carried_out=True))
        await call()
        assert machine.writes_to("start") == [1, 0]
        assert machine.coils[0] == 0

    async def test_as_in_progress_is_waited_for(self, machine: FaultServer, line: PLC) -> None:
        misbehave_at_the_trigger(machine, faults.exception(5, carried_out=True))
        record = await call()
        assert (record.state, record.effect) == (State.SUCCEEDED, Effect.APPLIED)
        assert machine.writes_to("start") == [1, 0]

    async def test_as_in_progress_and_never_acknowledges_is_timed_out(self, machine: FaultServer, line: PLC) -> None:
        misbehave_at_the_trigger(machine, faults.exception(5))
        record = await call()
        assert (record.state, record.effect) == (State.TIMED_OUT, Effect.UNKNOWN)

    async def test_as_in_progress_is_unknown_where_nothing_confirms(self, machine: FaultServer, line: PLC) -> None:
        misbehave_at_the_trigger(machine, faults.exception(5), "reset")
        assert (await call("reset")).state == State.UNKNOWN


class TestATriggerWhoseAnswerIsLost:
    @pytest.mark.parametrize("fault", LOST, ids=LOST_NAMES)
    @pytest.mark.mute
    async def test_of_a_plain_command_is_unknown_and_was_sent_once(
        self, machine: FaultServer, line: PLC, fault
    ) -> None:
        misbehave_at_the_trigger(machine, fault, "reset")
        record = await call("reset")
        assert (record.state, record.effect, record.retry) == (State.UNKNOWN, Effect.UNKNOWN, "after_reconcile")
        assert machine.writes_to("reset") == [1]
        await stored_as(record)

    @pytest.mark.parametrize("fault", LOST, ids=LOST_NAMES)
    @pytest.mark.mute
    async def test_of_a_handshake_is_unknown_and_cleared_over_a_fresh_connection(
        self, machine: FaultServer, line: PLC, fault
    ) -> None:
        machine.serves, machine.when_full = 1, Full.QUEUE
        misbehave_at_the_trigger(machine, fault)
        record = await call()
        assert (record.state, record.effect) == (State.UNKNOWN, Effect.UNKNOWN)
        assert machine.writes_to("start") == [1, 0]
        assert machine.connects == 2
        run = await stored_as(record)
        assert [entry.get("phase") for entry in run.trace[-2:]] == ["cleanup", "cleanup"]

    @pytest.mark.mute
    async def test_is_cleared_after_the_lost_connection_was_closed(self, machine: FaultServer, line: PLC) -> None:
        """A PLC that serves one connection would reset the second."""
        machine.serves, machine.when_full = 1, Full.RESET
        misbehave_at_the_trigger(machine, faults.mute)
        await call()
        assert machine.turned_away == 0
        assert machine.writes_to("start") == [1, 0]

    async def test_says_so_where_it_could_not_be_cleared(self, machine: FaultServer, line: PLC) -> None:
        machine.on_write("start", lambda _: machine._listener.refuse())
        misbehave_at_the_trigger(machine, faults.reset_after)
        record = await call()
        assert record.state == State.UNKNOWN
        assert machine.writes_to("start") == [1]
        assert "cleanup not done" in (await stored_as(record)).trace[-1]["note"]

    @pytest.mark.mute
    async def test_does_not_trouble_the_next_command(self, machine: FaultServer, line: PLC) -> None:
        misbehave_at_the_trigger(machine, faults.mute)
        await call()
        assert (await call()).state == State.SUCCEEDED
        assert machine.writes_to("start") == [1, 0, 1, 0]

    @pytest.mark.parametrize("fault", [faults.twice, faults.stale_first, faults.trickle(0.005), faults.late(0.1)])
    async def test_is_not_lost_when_the_right_one_comes_in_time(self, machine: FaultServer, line: PLC, fault) -> None:
        misbehave_at_the_trigger(machine, fault)
        assert (await call()).state == State.SUCCEEDED


class TestAnAcknowledge:
    async def test_that_never_comes_is_timed_out_and_the_trigger_cleared(self, machine: FaultServer, line: PLC) -> None:
        machine.on_write("start", lambda _: machine.discrete_inputs.__setitem__(3, 0))
        record = await call()
        assert (record.state, record.effect, record.retry) == (State.TIMED_OUT, Effect.UNKNOWN, "after_reconcile")
        assert "no answer to start (ack is false, wanted == true)" in record.detail
        assert machine.writes_to("start") == [1, 0]
        run = await stored_as(record)
        assert run.trace[-3]["error"] == "not met in time"

    async def test_that_never_comes_and_a_trigger_that_cannot_be_cleared_is_unknown(
        self, machine: FaultServer, line: PLC
    ) -> None:
        machine.on_write("start", lambda _: machine.discrete_inputs.__setitem__(3, 0))
        machine.misbehave(faults.exception(4), functions=WRITES, at="start", skip=1)
        record = await call()
        assert record.state == State.UNKNOWN
        assert "cleanup not done" in record.trace[-1]["note"]

    async def test_that_never_goes_is_faulted_but_applied(self, machine: FaultServer, line: PLC) -> None:
        machine.on_write("start", lambda _: machine.discrete_inputs.__setitem__(3, 1))
        record = await call()
        assert (record.state, record.effect, record.retry) == (State.FAULTED, Effect.APPLIED, "after_fix")
        assert "it stays (ack is true, wanted == false)" in record.detail
        await stored_as(record)

    async def test_whose_trigger_cannot_be_cleared_is_faulted_but_applied(
        self, machine: FaultServer, line: PLC
    ) -> None:
        machine.misbehave(faults.exception(2), functions=WRITES, at="start", skip=1)
        record = await call()
        assert (record.state, record.effect) == (State.FAULTED, Effect.APPLIED)

    @pytest.mark.parametrize("fault", [faults.reset_before, faults.mute], ids=["reset", "mute"])
    @pytest.mark.mute
    async def test_during_which_the_link_is_lost_is_unknown(self, machine: FaultServer, line: PLC, fault) -> None:
        machine.misbehave(fault, at="ack", skip=1)  # the first look is before the start
        record = await call()
        assert (record.state, record.effect) == (State.UNKNOWN, Effect.UNKNOWN)
        assert machine.writes_to("start") == [1, 0], "cleared over a fresh connection"

    async def test_outlives_a_look_that_is_refused(self, machine: FaultServer, line: PLC) -> None:
        machine.misbehave(faults.exception(6), at="ack", skip=1, times=2)
        assert (await call()).state == State.SUCCEEDED

    async def test_that_came_is_no_success_where_the_result_cannot_be_read(
        self, machine: FaultServer, line: PLC
    ) -> None:
        machine.misbehave(faults.exception(2), functions=(4,))
        record = await call()
        assert (record.state, record.effect) == (State.FAULTED, Effect.APPLIED)
        assert machine.writes_to("start") == [1, 0]

    async def test_that_a_plc_lost_in_a_restart_is_unknown(self, machine: FaultServer, line: PLC) -> None:
        """Reset amid the handshake, refused for a while, everything zero."""
        machine.on_write("start", lambda value: value and machine._listener.refuse())
        machine.misbehave(faults.reset_before, at="ack", skip=1)
        record = await call()
        assert (record.state, record.effect) == (State.UNKNOWN, Effect.UNKNOWN)


class TestACleanup:
    """After an acknowledge: a trigger that stays set would keep the next command from being seen."""

    @pytest.mark.parametrize("fault", [faults.swallow, faults.reset_before, faults.mute, faults.reset_after])
    @pytest.mark.mute
    async def test_during_which_the_link_is_lost_is_done_over_a_fresh_connection(
        self, machine: FaultServer, line: PLC, fault
    ) -> None:
        machine.misbehave(fault, functions=WRITES, at="start", skip=1)
        record = await call()
        assert (record.state, record.effect) == (State.UNKNOWN, Effect.UNKNOWN)
        assert machine.writes_to("start") == [1, 0, 0]
        assert machine.connects == 2
        await stored_as(record)
        assert (await call()).state == State.SUCCEEDED

    async def test_that_ends_in_the_plcs_no_is_not_done_again(self, machine: FaultServer, line: PLC) -> None:
        machine.misbehave(faults.exception(2), functions=WRITES, at="start", skip=1)
        await call()
        assert machine.writes_to("start") == [1, 0]
        assert machine.connects == 1


class TestAPulse:
    """A trigger that is cleared with nothing to wait for."""

    async def test_is_set_and_cleared(self, machine: FaultServer, line: PLC) -> None:
        await forget_the_acknowledge()
        record = await call()
        assert record.state == State.SUCCEEDED
        assert machine.writes_to("start") == [1, 0]

    async def test_that_cannot_be_cleared_is_faulted_but_applied(self, machine: FaultServer, line: PLC) -> None:
        await forget_the_acknowledge()
        machine.misbehave(faults.exception(4), functions=WRITES, at="start", skip=1)
        record = await call()
        assert (record.state, record.effect) == (State.FAULTED, Effect.APPLIED)

    @pytest.mark.mute
    async def test_whose_clearing_is_not_answered_is_unknown(self, machine: FaultServer, line: PLC) -> None:
        await forget_the_acknowledge()
        machine.misbehave(faults.mute, functions=WRITES, at="start", skip=1)
        record = await call()
        assert (record.state, record.effect) == (State.UNKNOWN, Effect.UNKNOWN)


@database_sync_to_async
def forget_the_acknowledge() -> None:
    """Take the steps on the acknowledge out of the command, one by one as the admin does."""
    for step in Step.objects.filter(tag__name="ack"):
        step.delete()
