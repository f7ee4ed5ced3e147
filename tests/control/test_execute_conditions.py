"""The PLC's own no, parameters that are read back, conditions on sets and bits: what the machine saw, what is said."""

from typing import Any

import pytest
from channels.db import database_sync_to_async

from devices.control.gateway import Gateway
from devices.modbus.types import Table
from devices.models import PLC, Effect, Run, State, Tag
from tests.control import rows
from tests.control.rows import call, stored_as
from tests.doubles import faults
from tests.doubles.fault_server import FaultServer
from tests.doubles.wire import Exchange, Fault

ALARM = 20  # input register
ACK = 3  # discrete input
LABELS = {"0": "none", "3": "jam at infeed"}
JAM = {"phase": "fail_if", "tag": "alarm", "operator": "!=", "value": "0", "message": "the feeder stopped"}


def steps(*more: dict[str, Any], without: tuple[str, ...] = ()) -> list[dict[str, Any]]:
    """A handshake of start and acknowledge, with steps of one's own."""
    handshake = [
        {"phase": "trigger", "tag": "start", "value": "1"},
        {"phase": "wait", "tag": "ack", "operator": "==", "value": "1", "timeout_s": rows.WAIT_S},
        {"phase": "cleanup", "tag": "start", "value": "0"},
    ]
    return [*(step for step in handshake if step["phase"] not in without), *more]


async def add(press: PLC, *more: dict[str, Any], without: tuple[str, ...] = ()) -> None:
    """The command `feed` of these steps, and the word `alarm`."""

    def store() -> None:
        tag = Tag(profile=press.profile, name="alarm", table="input_register", address=ALARM, data_type="uint16")
        tag.labels = LABELS
        tag.full_clean()
        tag.save()
        rows.make_command(press.profile, "feed", steps(*more, without=without))

    await database_sync_to_async(store)()


def acknowledging_with_an_error(machine: FaultServer) -> Fault:
    """The alarm is told as it is; at once after that the machine acknowledges, and with an alarm."""

    async def fault(exchange: Exchange) -> None:
        await exchange.answer()
        machine.discrete_inputs[ACK], machine.input_registers[ALARM] = 1, 3

    return fault


class TestThePLCsOwnNo:
    @pytest.mark.parametrize(("is_applied", "effect"), [(False, Effect.NONE), (True, Effect.APPLIED)])
    async def test_ends_the_run_faulted_in_its_own_words_and_the_trigger_is_cleared(
        self, machine: FaultServer, press: PLC, gateway: Gateway, is_applied: bool, effect: Effect
    ) -> None:
        await add(press, JAM | {"is_applied": is_applied})
        machine.on_write("start", lambda value: machine.input_registers.__setitem__(ALARM, 3 if value else 0))
        record = await call("feed")
        assert (record.state, record.effect, record.retry) == (State.FAULTED, effect, "after_fix")
        assert "the feeder stopped (alarm is 3 (jam at infeed))" in record.detail
        assert machine.writes_to("start") == [1, 0]
        run = await stored_as(record)
        seen = [(entry["phase"], entry.get("read")) for entry in run.trace]
        assert seen == [("fail_if", 0), ("trigger", None), ("wait", True), ("fail_if", 3), ("cleanup", None)]

    async def test_counts_more_than_an_acknowledge_that_comes_with_it(
        self, machine: FaultServer, press: PLC, gateway: Gateway
    ) -> None:
        await add(press, JAM)
        machine.on_write("start", lambda value: machine.input_registers.__setitem__(ALARM, 3 * value))
        record = await call("feed")  # `machine` acknowledges at once
        assert record.state == State.FAULTED
        assert machine.discrete_inputs[3] == 0, "the acknowledge went with the cleared trigger"

    async def test_counts_where_it_was_looked_at_before_the_acknowledge_that_comes_with_it(
        self, machine: FaultServer, press: PLC, gateway: Gateway
    ) -> None:
        """A second error is joined with the acknowledge, so that the first one's word is read earlier than both."""
        await add(press, JAM, {"phase": "fail_if", "tag": "fault", "operator": "==", "value": "1"})
        machine.on_write("start", lambda value: value and machine.discrete_inputs.__setitem__(ACK, 0))
        machine.misbehave(acknowledging_with_an_error(machine), functions=(4,), skip=1)
        record = await call("feed")
        assert record.state == State.FAULTED
        assert "alarm is 3 (jam at infeed)" in record.detail
        run = await stored_as(record)
        errors = [entry for entry in run.trace if entry["phase"] == "fail_if"][-2:]
        assert [(entry["read"], entry.get("error", "")) for entry in errors] == [
            (3, "reported by the PLC"),
            (False, ""),
        ]

    async def test_is_no_answer_where_it_stood_before_and_then_nothing_is_written(
        self, machine: FaultServer, press: PLC, gateway: Gateway
    ) -> None:
        await add(press, JAM)
        machine.input_registers[ALARM] = 3
        record = await call("feed")
        assert (record.state, record.effect) == (State.REJECTED, Effect.NONE)
        assert "the PLC reports an error already, clear it first: the feeder stopped" in record.detail
        assert machine.writes == []

    async def test_that_cannot_be_read_lets_no_run_succeed(
        self, machine: FaultServer, press: PLC, gateway: Gateway
    ) -> None:
        await add(press, JAM)
        place = Table.INPUT_REGISTER, ALARM
        machine.misbehave(faults.exception(4), functions=(4,), at=place, skip=1, times=None)
        record = await call("feed")
        assert (record.state, record.effect) == (State.TIMED_OUT, Effect.UNKNOWN)
        assert machine.writes_to("start") == [1, 0]

    async def test_is_not_asked_for_where_the_plc_says_yes(
        self, machine: FaultServer, press: PLC, gateway: Gateway
    ) -> None:
        await add(press, JAM)
        assert (await call("feed")).state == State.SUCCEEDED


class TestAParameterThatIsReadBack:
    RECIPE: dict[str, Any] = {"phase": "write", "tag": "recipe", "value": "40"}
    WARM: dict[str, Any] = {"phase": "write", "tag": "setpoint", "value": "21.7"}

    async def test_lets_the_machine_be_told_where_it_stands_as_wanted(
        self, machine: FaultServer, press: PLC, gateway: Gateway
    ) -> None:
        await add(press, self.RECIPE | {"tolerance": 0.0}, self.WARM | {"tolerance": 0.0})
        assert (await call("feed")).state == State.SUCCEEDED
        assert machine.writes_to("start") == [1, 0]

    @pytest.mark.parametrize(("tolerance", "state"), [(0.0, State.FAILED), (1.0, State.FAILED), (2.0, State.SUCCEEDED)])
    async def test_is_accepted_within_its_tolerance_and_else_the_machine_is_not_told(
        self, machine: FaultServer, press: PLC, gateway: Gateway, tolerance: float, state: State
    ) -> None:
        await add(press, self.RECIPE | {"tolerance": tolerance})
        machine.on_write("recipe", lambda value: machine.holding_registers.__setitem__(5, value - 2))
        record = await call("feed")
        assert record.state == state
        assert machine.writes_to("start") == ([1, 0] if state is State.SUCCEEDED else [])
        if state is State.FAILED:
            assert (record.effect, record.retry) == (Effect.NONE, "after_fix")
            assert "recipe was written as 40 and reads back as 38" in record.detail


class TestAConditionOnASetOrABit:
    @pytest.mark.parametrize(
        ("operator", "value", "holding", "open_ones"),
        [
            ("in", "3 | 5", (3, 5), (0, 4)),
            ("in", "jam at infeed", (3,), (0,)),
            ("bit set", "2", (4, 7), (0, 3)),
            ("bit clear", "15", (0, 0x7FFF), (0x8000,)),
        ],
    )
    async def test_lets_through_what_holds_and_rejects_the_rest(
        self, machine: FaultServer, press: PLC, gateway: Gateway, operator, value, holding, open_ones
    ) -> None:
        await add(press, {"phase": "check", "tag": "alarm", "operator": operator, "value": value})
        for word in holding + open_ones:
            machine.input_registers[ALARM] = word
            record = await call("feed")
            assert record.state == (State.SUCCEEDED if word in holding else State.REJECTED), record.detail
        assert machine.writes_to("start") == [1, 0] * len(holding)
        last = await database_sync_to_async(Run.objects.first)()
        assert f"wanted {operator} " in last.detail
