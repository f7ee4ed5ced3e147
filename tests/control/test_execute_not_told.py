"""Commands that end before the trigger: the machine was told nothing, the record says so, and asking again is safe."""

import asyncio

import pytest
from channels.db import database_sync_to_async

from devices.control.gateway import Gateway
from devices.models import PLC, Effect, Run, State, Step
from tests.control.databases import WriteLock, eventually
from tests.control.rows import call, change_command, stored_as, the_run
from tests.doubles import faults
from tests.doubles.fault_server import FaultServer
from tests.doubles.listener import Full

PARAMETER_WRITES = 3  # requests: FC16 of two neighbours, FC6, FC16


async def was_not_told(record, machine: FaultServer) -> Run:
    """What is true of every such run."""
    assert (record.state, record.effect) == (State.FAILED, Effect.NONE)
    assert machine.writes_to("start") == []
    assert machine.writes_to("reset") == []
    return await stored_as(record)


class TestAConnection:
    @pytest.mark.parametrize("command", ["start_batch", "reset"])
    async def test_that_is_refused_is_told_as_such(self, machine: FaultServer, line: PLC, command: str) -> None:
        await machine.refuse_connects()
        record = await call(command)
        run = await was_not_told(record, machine)
        assert "refused" in record.detail
        assert record.retry == "safe"
        assert run.triggered_at is None, "also of a plain command, whose T3 was recorded with T2"
        assert run.started_at is not None

    async def test_that_is_reset_at_once_writes_nothing(self, machine: FaultServer, line: PLC) -> None:
        machine.serves, machine.when_full = 0, Full.RESET
        await was_not_told(await call(), machine)

    @pytest.mark.parametrize("command", ["start_batch", "reset"])
    @pytest.mark.mute
    async def test_that_is_never_served_writes_nothing(self, machine: FaultServer, line: PLC, command: str) -> None:
        machine.misbehave(faults.swallow, times=None)
        record = await call(command)
        await was_not_told(record, machine)
        assert machine.writes == []
        assert "not served" in record.detail

    async def test_that_fails_again_and_again_makes_the_plc_offline_and_the_next_command_fails_at_once(
        self, machine: FaultServer, line: PLC, gateway: Gateway
    ) -> None:
        await machine.refuse_connects()
        for _ in range(3):
            await call()
        record = await call()
        await was_not_told(record, machine)
        assert "offline" in record.detail
        assert record.started_at is None, "it got no turn"


class TestAParameterWrite:
    @pytest.mark.parametrize("k", range(PARAMETER_WRITES))
    @pytest.mark.parametrize(
        "fault", [faults.exception(2), faults.exception(4), faults.mute, faults.reset_after, faults.hang_up_before]
    )
    @pytest.mark.mute
    async def test_that_fails_keeps_the_trigger_back(self, machine: FaultServer, line: PLC, k: int, fault) -> None:
        machine.misbehave(fault, functions=(6, 16), skip=k)
        record = await call()
        run = await was_not_told(record, machine)
        assert len(machine.writes) == k + 1
        assert run.triggered_at is None
        assert [entry["phase"] for entry in run.trace] == ["check", *["write"] * 4]
        assert all("error" in entry or "sent" in entry for entry in run.trace if entry["phase"] == "write")

    @pytest.mark.parametrize("code", [1, 2, 3])
    async def test_that_is_refused_says_that_asking_again_does_not_help(
        self, machine: FaultServer, line: PLC, code: int
    ) -> None:
        machine.misbehave(faults.exception(code), functions=(6, 16), times=None)
        record = await call()
        await was_not_told(record, machine)
        assert record.retry == "after_fix"
        assert f"exception {code}" in record.detail
        assert len(machine.writes) == 1, "a no is a no"

    @pytest.mark.mute
    async def test_that_fails_does_not_trouble_the_next_command(self, machine: FaultServer, line: PLC) -> None:
        machine.misbehave(faults.mute, functions=(16,))
        await call()
        assert (await call()).state == State.SUCCEEDED


class TestTheTimeLimit:
    async def test_that_passes_amid_the_parameters_keeps_the_trigger_back(
        self, machine: FaultServer, line: PLC
    ) -> None:
        await change_command("start_batch", time_limit_s=0.25)
        machine.answer_delay_s = 0.1
        record = await call()
        run = await was_not_told(record, machine)
        assert "0.25 s were over before the machine was told" in record.detail
        assert run.triggered_at is None

    async def test_that_passes_while_the_trigger_is_recorded_keeps_the_trigger_back(
        self, machine: FaultServer, line: PLC, write_lock: WriteLock
    ) -> None:
        await change_command("start_batch", time_limit_s=0.3)
        machine.on_write("setpoint", lambda _: write_lock.take())
        task = asyncio.create_task(call())
        await eventually(lambda: machine.writes_to("setpoint"))
        await asyncio.sleep(0.4)
        write_lock.free()
        record = await task
        await was_not_told(record, machine)

    async def test_does_not_cut_a_command_whose_trigger_is_out(self, machine: FaultServer, line: PLC) -> None:
        await change_command("start_batch", time_limit_s=0.25)
        await set_wait(1.0)
        machine.misbehave(faults.late(0.1), times=None, functions=(2, 4, 5))
        assert (await call()).state == State.SUCCEEDED


class TestARecordThatCannotBeStored:
    async def test_keeps_the_trigger_back(
        self, machine: FaultServer, press: PLC, impatient: float, gateway: Gateway, write_lock: WriteLock
    ) -> None:
        machine.on_write("setpoint", lambda _: write_lock.take())
        task = asyncio.create_task(call())
        await eventually(lambda: machine.writes_to("setpoint"))
        await asyncio.sleep(2 * impatient)
        assert not task.done(), "the outcome has to be stored as well"
        write_lock.free()
        record = await task
        run = await was_not_told(record, machine)
        assert run.triggered_at is None
        assert "the record could not be stored" in record.detail


async def test_no_run_is_left_open(machine: FaultServer, line: PLC) -> None:
    machine.misbehave(faults.reset_before)
    await call()
    assert State((await the_run()).state).is_final


async def set_wait(limit_s: float) -> None:
    def change() -> None:
        for step in Step.objects.exclude(timeout_s=None):
            step.timeout_s = limit_s
            step.save()

    await database_sync_to_async(change)()
