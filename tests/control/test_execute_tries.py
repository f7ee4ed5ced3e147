"""What is tried again before the machine is told, and only then: each try in the trace, within the deadline."""

import asyncio

import pytest

from devices.models import PLC, State
from tests.control.rows import call, change_command, stored_as
from tests.doubles import faults
from tests.doubles.fault_server import FaultServer
from tests.doubles.pdu import WRITES

BUSY = pytest.mark.parametrize("code", [6, 10])


class TestABusyPLC:
    @BUSY
    async def test_is_asked_again_for_an_interlock(self, machine: FaultServer, line: PLC, code: int) -> None:
        machine.misbehave(faults.exception(code), at="fault", times=3)
        record = await call()
        assert record.state == State.SUCCEEDED
        assert f"exception {code}" in record.trace[0]["error"]
        assert record.trace[1]["note"].endswith("tried again")
        assert machine.writes_to("start") == [1, 0]

    @BUSY
    async def test_is_sent_a_parameter_again(self, machine: FaultServer, line: PLC, code: int) -> None:
        machine.misbehave(faults.exception(code), functions=(16,))
        record = await call(given={"batch_size": 40})
        assert record.state == State.SUCCEEDED
        assert machine.holding_registers[0] == 40
        assert [entry["note"] for entry in record.trace if "tried again" in entry.get("note", "")]
        await stored_as(record)

    @BUSY
    async def test_that_stays_so_is_not_told_when_the_time_is_up(
        self, machine: FaultServer, line: PLC, code: int
    ) -> None:
        await change_command("start_batch", time_limit_s=0.3)
        machine.misbehave(faults.exception(code), functions=(6, 16), times=None)
        record = await call()
        assert (record.state, record.effect, record.retry) == (State.FAILED, "none", "safe")
        assert f"exception {code}" in record.detail
        assert len(machine.writes) == 2, "tried again once within the time limit"
        assert machine.writes_to("start") == []

    @BUSY
    async def test_is_never_sent_the_trigger_again(self, machine: FaultServer, line: PLC, code: int) -> None:
        machine.misbehave(faults.exception(code), functions=WRITES, at="start")
        record = await call()
        assert (record.state, record.effect) == (State.FAILED, "none")
        assert machine.writes_to("start") == [1, 0]


class TestAPLCThatCannotBeReached:
    async def test_is_tried_once_where_the_command_says_nothing_else(self, machine: FaultServer, line: PLC) -> None:
        await machine.refuse_connects()
        record = await call()
        assert record.state == State.FAILED
        assert record.trace == []
        machine.behave()

    async def test_is_tried_as_often_as_the_command_says(self, machine: FaultServer, line: PLC) -> None:
        await change_command("start_batch", connect_tries=2, time_limit_s=5.0)
        await machine.refuse_connects()
        record = await call()
        assert (record.state, record.effect, record.retry) == (State.FAILED, "none", "safe")
        assert "refused" in record.detail
        (tried,) = record.trace
        assert "tried again" in tried["note"]
        machine.behave()

    async def test_that_comes_back_is_told(self, machine: FaultServer, line: PLC) -> None:
        await change_command("start_batch", connect_tries=10)
        await machine.refuse_connects()
        asyncio.get_running_loop().call_later(0.2, machine.behave)
        assert (await call()).state == State.SUCCEEDED
        assert machine.writes_to("start") == [1, 0]

    async def test_is_not_tried_beyond_the_time_limit(self, machine: FaultServer, line: PLC) -> None:
        await change_command("start_batch", connect_tries=10, time_limit_s=0.5)
        await machine.refuse_connects()
        record = await call()
        assert "refused" in record.detail, "the reason, not only that the time is up"
        machine.behave()
