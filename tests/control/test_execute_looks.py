"""What the command looks at: related tags in one request, and no answer that was there before it asked."""

import asyncio

from channels.db import database_sync_to_async

from devices.control.gateway import Gateway
from devices.models import PLC, State, Step
from tests.control import rows
from tests.control.rows import call, stored_as
from tests.doubles import faults
from tests.doubles.fault_server import FaultServer

START = {"phase": "trigger", "tag": "start", "value": "1"}
ACK = {"phase": "wait", "tag": "ack", "operator": "==", "value": "1", "timeout_s": rows.WAIT_S}
IS_SOUND = {"phase": "wait", "tag": "fault", "operator": "==", "value": "0", "timeout_s": rows.WAIT_S}
READS = (1, 2, 3, 4)


async def add(press: PLC, *steps: dict, position: int | None = None) -> None:
    """The command `feed`; all steps at one position where one is given."""

    def store() -> None:
        command = rows.make_command(press.profile, "feed", list(steps))
        if position is not None:
            for step in Step.objects.filter(command=command):
                step.position = position
                step.save()

    await database_sync_to_async(store)()


def reads(machine: FaultServer) -> list[tuple[int, int, int]]:
    """Function, address and count of each read, in order."""
    return [
        (request.function, request.address, request.count) for request in machine.requests if request.function in READS
    ]


class TestAnAnswerThatIsThereBeforeTheStart:
    async def test_rejects_the_command_and_nothing_is_written(
        self, machine: FaultServer, press: PLC, gateway: Gateway
    ) -> None:
        await add(press, START, ACK)
        machine.discrete_inputs[3] = 1
        record = await call("feed")
        assert (record.state, record.effect, record.retry) == (State.REJECTED, "none", "after_fix")
        assert "what the command waits for is there already, clear it first: ack is true" in record.detail
        assert machine.writes == []
        await stored_as(record)

    async def test_does_no_harm_where_another_has_to_come(
        self, machine: FaultServer, press: PLC, gateway: Gateway
    ) -> None:
        await add(press, START, IS_SOUND, ACK)  # it is sound before and after
        assert (await call("feed")).state == State.SUCCEEDED

    async def test_that_cannot_be_looked_at_keeps_the_machine_from_being_told(
        self, machine: FaultServer, press: PLC, gateway: Gateway
    ) -> None:
        await add(press, START, ACK)
        machine.misbehave(faults.exception(2), at="ack", times=None)
        record = await call("feed")
        assert (record.state, record.effect) == (State.FAILED, "none")
        assert machine.writes == []


class TestAWaitOnWhatTheCommandItselfWrites:
    async def test_is_no_answer_and_the_machine_is_not_told(
        self, machine: FaultServer, press: PLC, gateway: Gateway
    ) -> None:
        await add(press, START, {**ACK, "tag": "start"})
        record = await call("feed")
        assert (record.state, record.effect) == (State.REJECTED, "none")
        assert "the command itself writes what it waits for, mend the command: start is true" in record.detail
        assert machine.writes == []

    async def test_is_an_answer_where_the_machine_clears_its_trigger(
        self, machine: FaultServer, press: PLC, gateway: Gateway
    ) -> None:
        await add(press, START, {**ACK, "tag": "start", "value": "0"})
        machine.on_write("start", lambda _: asyncio.get_running_loop().call_later(0.03, clear, machine))
        record = await call("feed")
        assert (record.state, record.effect) == (State.SUCCEEDED, "applied")
        assert machine.writes_to("start") == [1]

    async def test_is_none_yet_where_the_machine_leaves_its_trigger_set(
        self, machine: FaultServer, press: PLC, gateway: Gateway
    ) -> None:
        await add(press, START, {**ACK, "tag": "start", "value": "0"})
        assert (await call("feed")).state == State.TIMED_OUT


def clear(machine: FaultServer) -> None:
    machine.coils[0] = 0


class TestRelatedTags:
    async def test_are_read_in_one_request(self, machine: FaultServer, line: PLC) -> None:
        await call()
        first, *_ = reads(machine)
        assert first == (2, 2, 2), "the interlock on `fault` and the look at `ack`, its neighbour"

    async def test_are_read_one_by_one_where_the_plc_refuses_the_block(self, machine: FaultServer, line: PLC) -> None:
        machine.misbehave(faults.exception(2), at="fault")
        record = await call()
        assert record.state == State.SUCCEEDED
        assert reads(machine)[:3] == [(2, 2, 2), (2, 2, 1), (2, 3, 1)]


class TestWaitsOfOnePosition:
    async def test_must_hold_at_the_same_time(self, machine: FaultServer, press: PLC, gateway: Gateway) -> None:
        await add(press, START, IS_SOUND, ACK, position=1)
        machine.on_write("start", lambda _: machine.discrete_inputs.__setitem__(2, 1))  # acknowledged, with a fault
        record = await call("feed")
        assert (record.state, record.effect) == (State.TIMED_OUT, "unknown")
        assert "fault is true, wanted == false" in record.detail
        assert "ack is" not in record.detail, "only what is missing is told"
        assert [entry["tag"] for entry in record.trace if entry["phase"] == "wait"] == ["fault", "ack"]

    async def test_end_when_both_hold(self, machine: FaultServer, press: PLC, gateway: Gateway) -> None:
        await add(press, START, IS_SOUND, ACK, position=1)

        def fault_for_a_while(_: int) -> None:
            machine.discrete_inputs[2] = 1
            asyncio.get_running_loop().call_later(0.05, machine.discrete_inputs.__setitem__, 2, 0)

        machine.on_write("start", fault_for_a_while)
        assert (await call("feed")).state == State.SUCCEEDED
        assert machine.writes_to("start") == [1]
