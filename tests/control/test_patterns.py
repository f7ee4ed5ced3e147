"""A command that was written from a pattern, run on a machine: what it saw, in which order, and what came of it."""

import pytest
from channels.db import database_sync_to_async

from devices.admin.pattern_forms import PatternForm
from devices.control.gateway import Gateway
from devices.control.loading import Loader
from devices.modbus.types import Table
from devices.models import PLC, Command, Effect, Run, State, Tag
from devices.models.patterns import PATTERNS
from devices.plc.sequence import SEQUENCE, sequence_limit
from devices.plc.specs import Phase
from tests.control import rows
from tests.control.rows import call, stored_as
from tests.doubles.fault_server import FaultServer
from tests.doubles.pdu import Request

STATUS = 30  # input register
ORDER, NUMBER, REQUEST_NUMBER = "recipe", "nok_num", "batch_size"
LABELS = {"0": "ready", "3": "done", "8": "jam at infeed"}
IDLE, EXECUTE, ABORTED = 4, 6, 9

Seen = list[tuple[str, tuple[int, ...]]]
"""What reached the machine: the tag by name, with the values of a write."""


async def write(press: PLC, pattern: str, **given: str) -> None:
    """The command `go` from a pattern; tags by name, values as they are typed."""

    def store() -> None:
        Tag(
            profile=press.profile,
            name="status",
            table="input_register",
            address=STATUS,
            data_type="uint16",
            labels=LABELS if pattern == "status-word" else {},
        ).save()
        tags = {tag.name: tag.pk for tag in press.profile.tags.all()}
        command = Command(profile=press.profile, poll_interval_ms=10)
        typed = {name: tags.get(value, value) for name, value in given.items()}
        fields = {"name": "go", "limit_s": str(rows.WAIT_S), **typed}
        form = PatternForm(fields, instance=command, pattern=PATTERNS[pattern])
        assert form.is_valid(), form.errors
        form.write()

    await database_sync_to_async(store)()


def seen_by(machine: FaultServer) -> Seen:
    """All that came, in order."""
    names = {place: name for name, place in [*rows.PLACES.items(), ("status", (Table.INPUT_REGISTER, STATUS))]}
    return [(names[_place(request)], request.values) for request in machine.requests]


def _place(request: Request) -> tuple[Table, int]:
    tables = {1: Table.COIL, 2: Table.DISCRETE_INPUT, 4: Table.INPUT_REGISTER, 5: Table.COIL}
    return tables.get(request.function, Table.HOLDING_REGISTER), request.address


class TestAFourPhaseHandshake:
    @pytest.fixture(autouse=True)
    async def _written(self, press: PLC, gateway: Gateway) -> None:
        await write(press, "handshake", request="start", ack="ack", fault="fault")

    async def test_goes_through_its_four_phases(self, machine: FaultServer) -> None:
        record = await call("go")
        assert (record.state, record.effect) == (State.SUCCEEDED, Effect.APPLIED)
        assert seen_by(machine) == [
            ("fault", ()),  # and its neighbour, ack
            ("start", (1,)),
            ("fault", ()),  # and ack
            ("start", (0,)),
            ("ack", ()),
        ]
        await stored_as(record)

    @pytest.mark.parametrize(("bit", "words"), [(2, "has a fault"), (3, "still acknowledges an earlier request")])
    async def test_tells_the_machine_nothing_where_it_cannot_start(
        self, machine: FaultServer, bit: int, words: str
    ) -> None:
        machine.discrete_inputs[bit] = 1
        record = await call("go")
        assert record.state == State.REJECTED
        assert words in record.detail
        assert machine.writes == []

    async def test_ends_faulted_at_once_by_a_fault_that_comes_after_the_request(self, machine: FaultServer) -> None:
        machine.on_write("start", lambda is_asked: is_asked and machine.discrete_inputs.__setitem__(2, 1))
        record = await call("go")
        assert (record.state, record.effect) == (State.FAULTED, Effect.NONE)
        assert "the machine reports a fault" in record.detail
        assert machine.writes_to("start") == [1, 0]
        await stored_as(record)

    async def test_clears_the_request_of_a_machine_that_does_not_acknowledge(self, machine: FaultServer) -> None:
        machine.on_write("start", lambda _: machine.discrete_inputs.__setitem__(3, 0))
        record = await call("go")
        assert (record.state, record.effect) == (State.TIMED_OUT, Effect.UNKNOWN)
        assert machine.writes_to("start") == [1, 0]


class TestAPulse:
    async def test_without_feedback_is_set_and_cleared(
        self, machine: FaultServer, press: PLC, gateway: Gateway
    ) -> None:
        await write(press, "pulse", pulse="reset")
        assert (await call("go")).state == State.SUCCEEDED
        assert seen_by(machine) == [("reset", ()), ("reset", (1,)), ("reset", (0,))]

    @pytest.mark.parametrize("feedback", [{}, {"feedback": "status", "seen": "7"}], ids=["alone", "with feedback"])
    async def test_is_not_given_where_the_bit_was_left_set(
        self, machine: FaultServer, press: PLC, gateway: Gateway, feedback: dict[str, str]
    ) -> None:
        await write(press, "pulse", pulse="reset", **feedback)
        machine.coils[1] = 1
        record = await call("go")
        assert (record.state, record.effect) == (State.REJECTED, Effect.NONE)
        assert "the bit still stands from an earlier pulse" in record.detail
        assert machine.writes == []

    async def test_stays_until_the_feedback_is_seen(self, machine: FaultServer, press: PLC, gateway: Gateway) -> None:
        await write(press, "pulse", pulse="reset", feedback="status", seen="7")
        machine.on_write("reset", lambda value: machine.input_registers.__setitem__(STATUS, 7 if value else 0))
        assert (await call("go")).state == State.SUCCEEDED
        assert seen_by(machine) == [
            ("reset", ()),  # not set yet
            ("status", ()),
            ("reset", (1,)),
            ("status", ()),
            ("reset", (0,)),
        ]

    async def test_does_not_take_a_feedback_of_before_for_its_own(
        self, machine: FaultServer, press: PLC, gateway: Gateway
    ) -> None:
        await write(press, "pulse", pulse="reset", feedback="status", seen="7")
        machine.input_registers[STATUS] = 7
        record = await call("go")
        assert record.state == State.REJECTED
        assert "shows the feedback already" in record.detail
        assert machine.writes == []


class TestAStatusWord:
    @pytest.fixture(autouse=True)
    async def _written(self, press: PLC, gateway: Gateway) -> None:
        await write(
            press, "status-word", order=ORDER, status="status", told="5", ready="ready", done="done", error="8|9"
        )

    @staticmethod
    def answer(machine: FaultServer, status: int) -> None:
        machine.on_write(ORDER, lambda order: machine.input_registers.__setitem__(STATUS, status if order else 0))

    async def test_gives_its_order_waits_for_done_and_clears_it(self, machine: FaultServer) -> None:
        self.answer(machine, 3)
        assert (await call("go")).state == State.SUCCEEDED
        assert seen_by(machine) == [
            (ORDER, ()),  # no order stands
            ("status", ()),  # ready, not in error
            (ORDER, (5,)),
            ("status", ()),  # done, not in error
            (ORDER, (0,)),
        ]

    async def test_is_not_given_while_an_earlier_order_stands_which_would_hide_it(self, machine: FaultServer) -> None:
        self.answer(machine, 3)
        table, address = rows.PLACES[ORDER]
        assert table is Table.HOLDING_REGISTER
        machine.holding_registers[address] = 5
        record = await call("go")
        assert (record.state, record.effect) == (State.REJECTED, Effect.NONE)
        assert "an earlier order still stands in the command word" in record.detail
        assert machine.writes == []

    async def test_ends_faulted_in_the_machine_s_own_word(self, machine: FaultServer) -> None:
        self.answer(machine, 8)
        record = await call("go")
        assert (record.state, record.effect) == (State.FAULTED, Effect.NONE)
        assert "the machine reports an error (status is 8 (jam at infeed))" in record.detail
        assert machine.writes_to(ORDER) == [5, 0]

    async def test_does_not_take_done_of_before_for_its_own(self, machine: FaultServer) -> None:
        machine.input_registers[STATUS] = 3
        record = await call("go")
        assert record.state == State.REJECTED
        assert "the machine is not ready (status is 3 (done), wanted == 0 (ready))" in record.detail
        assert machine.writes == []


class TestAPackMLCommand:
    @pytest.fixture(autouse=True)
    async def _written(self, press: PLC, gateway: Gateway) -> None:
        states = {"order": "2", "from_state": "4", "to_state": "6", "failed": "2|7|8|9"}
        await write(press, "packml", number=NUMBER, change="reset", state="status", **states)

    @pytest.fixture
    def idle(self, machine: FaultServer) -> FaultServer:
        """Takes the command number 2 at the rising edge of the change request."""
        machine.input_registers[STATUS] = IDLE

        def change(is_asked: int) -> None:
            if is_asked:
                machine.input_registers[STATUS] = EXECUTE if machine.holding_registers[1] == 2 else ABORTED

        machine.on_write("reset", change)
        return machine

    async def test_gives_the_number_before_it_asks_for_the_change(self, idle: FaultServer) -> None:
        assert (await call("go")).state == State.SUCCEEDED
        assert [entry for entry in seen_by(idle) if entry[1]] == [(NUMBER, (2,)), ("reset", (1,)), ("reset", (0,))]
        assert [name for name, _ in seen_by(idle)[:2]] == ["reset", "status"]

    async def test_is_not_given_in_another_state(self, idle: FaultServer) -> None:
        idle.input_registers[STATUS] = EXECUTE
        record = await call("go")
        assert record.state == State.REJECTED
        assert idle.writes == []

    async def test_is_not_given_while_an_earlier_request_stands_which_would_take_the_number_at_once(
        self, idle: FaultServer
    ) -> None:
        idle.coils[1] = 1
        record = await call("go")
        assert (record.state, record.effect) == (State.REJECTED, Effect.NONE)
        assert "an earlier command request still stands" in record.detail
        assert idle.writes == []

    async def test_ends_faulted_where_the_machine_goes_to_a_state_of_failure(self, idle: FaultServer) -> None:
        idle.on_write("reset", lambda is_asked: is_asked and idle.input_registers.__setitem__(STATUS, ABORTED))
        record = await call("go")
        assert (record.state, record.effect) == (State.FAULTED, Effect.NONE)
        assert idle.writes_to("reset") == [1, 0]


class TestASequenceEcho:
    async def test_is_translated_with_the_number_in_four_places(self, press: PLC) -> None:
        await write(press, "sequence-echo", request=REQUEST_NUMBER, echo="status")
        command = (await database_sync_to_async(Loader().load)())["press-1"].commands["go"]
        numbered = [(step.phase, step.tag.name) for step in command.steps if step.parameter == SEQUENCE]
        assert numbered == [
            (Phase.CHECK, "status"),
            (Phase.TRIGGER, REQUEST_NUMBER),
            (Phase.WAIT, "status"),
            (Phase.PROOF, "status"),
        ]
        assert sequence_limit(command) == 65_535
        assert command.parameters == ()

    async def test_numbers_each_run_one_up_and_succeeds_when_the_number_comes_back(
        self, machine: FaultServer, press: PLC, gateway: Gateway
    ) -> None:
        await write(press, "sequence-echo", request=REQUEST_NUMBER, echo="status", result=ORDER)
        echo_to(machine)
        records = [await call("go") for _ in range(3)]
        assert [record.state for record in records] == [State.SUCCEEDED] * 3
        assert [record.sequence for record in records] == machine.writes_to(REQUEST_NUMBER) == [1, 2, 3]
        assert (await call("reset")).sequence is None, "only a command that sends a number has one"
        await stored_as(records[-1])

    async def test_goes_on_counting_after_a_restart(self, machine: FaultServer, press: PLC) -> None:
        await write(press, "sequence-echo", request=REQUEST_NUMBER, echo="status", result=ORDER)
        echo_to(machine)
        for _ in range(2):
            gateway = Gateway(polls=False)
            await gateway.start()
            assert (await call("go")).state == State.SUCCEEDED
            await gateway.drain(1)
        assert machine.writes_to(REQUEST_NUMBER) == [1, 2]

    async def test_begins_again_at_1_and_never_sends_0(
        self, machine: FaultServer, press: PLC, gateway: Gateway
    ) -> None:
        await write(press, "sequence-echo", request=REQUEST_NUMBER, echo="status", result=ORDER)
        echo_to(machine)
        await call("go")
        await Run.objects.aupdate(sequence=65_534)
        records = [await call("go") for _ in range(3)]
        assert [record.sequence for record in records] == [65_535, 65_536, 65_537]
        assert machine.writes_to(REQUEST_NUMBER) == [1, 65_535, 1, 2]
        assert [record.state for record in records] == [State.SUCCEEDED] * 3

    async def test_does_not_take_an_older_number_for_its_own(
        self, machine: FaultServer, press: PLC, gateway: Gateway
    ) -> None:
        await write(press, "sequence-echo", request=REQUEST_NUMBER, echo="status", result=ORDER)
        echo_to(machine)
        await call("go")
        machine.on_write(REQUEST_NUMBER, lambda _: machine.input_registers.__setitem__(STATUS, 1))  # stuck at the first
        record = await call("go")
        assert (record.state, record.effect) == (State.TIMED_OUT, Effect.UNKNOWN)
        assert "status is 1, wanted == 2" in record.detail
        assert machine.writes_to(REQUEST_NUMBER) == [1, 2]


def echo_to(machine: FaultServer) -> None:
    """The machine shows the number of the last request that it carried out."""
    machine.on_write(REQUEST_NUMBER, lambda number: machine.input_registers.__setitem__(STATUS, number))
