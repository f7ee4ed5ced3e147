"""What is in the database at each moment at which the machine hears something; and callers that go away."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from devices.control.cancel import cancel
from devices.control.errors import PLCTaken
from devices.control.gateway import Gateway
from devices.control.journal import _refused
from devices.control.records import RunRecord
from devices.models import PLC, Effect, Run, State
from tests.control.databases import WriteLock, commits_of_the_journal, elsewhere, eventually
from tests.control.rows import MES, call, change_command, runs, stored_as, the_run
from tests.doubles import faults
from tests.doubles.fault_server import FaultServer


def look() -> Run:
    """The only row, as another connection sees it now."""
    return elsewhere(Run.objects.get)


class TestTheRecord:
    async def test_says_running_before_the_connection_is_taken_in(
        self, machine: FaultServer, line: PLC, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        seen: list[Run] = []
        take_in = machine._take_in
        monkeypatch.setattr(machine, "_take_in", lambda connection: (seen.append(look()), take_in(connection)))
        await call()
        (run,) = seen
        assert (run.state, run.version) == (State.RUNNING, 1)
        assert run.accepted_at <= run.started_at
        assert run.triggered_at is None

    async def test_does_not_say_triggered_while_parameters_are_written(self, machine: FaultServer, line: PLC) -> None:
        seen: list[Run] = []
        machine.on_write("setpoint", lambda _: seen.append(look()))
        await call()
        assert [run.triggered_at for run in seen] == [None]

    @pytest.mark.parametrize(("command", "trigger"), [("start_batch", "start"), ("reset", "reset")])
    async def test_says_triggered_before_the_machine_hears_the_trigger(
        self, machine: FaultServer, line: PLC, command: str, trigger: str
    ) -> None:
        seen: list[Run] = []
        machine.on_write(trigger, lambda value: value and seen.append(look()))
        await call(command)
        (run,) = seen
        assert run.state == State.RUNNING
        assert run.triggered_at is not None
        assert {entry["phase"] for entry in run.trace} <= {"check", "write"}

    async def test_is_finished_before_the_caller_is_answered(self, machine: FaultServer, line: PLC) -> None:
        record = await call()
        assert look().state == State.SUCCEEDED
        assert RunRecord.from_row(look()) == record

    async def test_waits_its_turn_in_the_database_too(self, machine: FaultServer, line: PLC) -> None:
        machine.answer_delay_s = 0.02
        first = asyncio.create_task(call())
        await eventually(lambda: machine.requests)
        second = asyncio.create_task(call())
        await asyncio.sleep(0.05)
        assert [run.state for run in await runs()] == [State.RUNNING, State.QUEUED]
        await asyncio.gather(first, second)

    @pytest.mark.parametrize(("command", "count"), [("start_batch", 3), ("reset", 2)])
    async def test_takes_a_transaction_less_where_the_plc_is_free_and_another_where_nothing_is_looked_at(
        self, machine: FaultServer, press: PLC, command: str, count: int
    ) -> None:
        with commits_of_the_journal() as commits:
            gateway = Gateway(polls=False)
            await gateway.start()
            await call(command)
            await gateway.drain(1)
        assert len(commits) == count

    async def test_takes_four_transactions_where_it_waits_for_its_turn(self, machine: FaultServer, line: PLC) -> None:
        machine.answer_delay_s = 0.02
        first, second = await asyncio.gather(call(), call())
        assert (first.version, second.version) == (3, 4)
        assert second.accepted_at < second.started_at


class TestALostCaller:
    @pytest.mark.parametrize("after_s", [0, 0.005, 0.03, 0.06, 0.1, 0.15])
    async def test_does_not_cut_the_run(
        self, machine: FaultServer, line: PLC, gateway: Gateway, after_s: float
    ) -> None:
        machine.answer_delay_s = 0.02
        caller = asyncio.create_task(call())
        await asyncio.sleep(after_s)
        has_begun = bool(gateway._runs)
        caller.cancel()
        with pytest.raises(asyncio.CancelledError):
            await caller
        await eventually(lambda: not gateway._runs)
        if has_begun:
            run = await the_run()
            assert (run.state, run.effect) == (State.SUCCEEDED, Effect.APPLIED)
            assert machine.writes_to("start") == [1, 0]
        else:
            assert await runs() == []

    async def test_of_a_command_that_waits_does_not_take_it_out_of_the_queue(
        self, machine: FaultServer, line: PLC, gateway: Gateway
    ) -> None:
        machine.answer_delay_s = 0.02
        first, second = asyncio.create_task(call()), asyncio.create_task(call())
        await eventually(lambda: machine.requests)
        second.cancel()
        await first
        await eventually(lambda: not gateway._runs)
        assert [run.state for run in await runs()] == [State.SUCCEEDED] * 2

    @pytest.mark.mute
    async def test_leaves_an_unknown_outcome_in_the_record(
        self, machine: FaultServer, line: PLC, gateway: Gateway
    ) -> None:
        machine.misbehave(faults.mute, functions=(5,))
        caller = asyncio.create_task(call())
        await eventually(lambda: machine.writes_to("start"))
        caller.cancel()
        await eventually(lambda: not gateway._runs)
        assert (await the_run()).state == State.UNKNOWN


class TestTwoCommandsAtOnce:
    @pytest.mark.parametrize("connections", [1, 5])
    async def test_never_overlap(self, machine: FaultServer, line: PLC, connections: int) -> None:
        """Each would take the other's acknowledge for its own, however many connections the PLC serves."""
        await _allow_connections(line, connections)
        records = await asyncio.gather(*(call(given={"batch_size": size}) for size in range(1, 9)))
        assert [record.state for record in records] == [State.SUCCEEDED] * 8
        assert machine.writes_to("start") == [1, 0] * 8
        assert sorted(record.result["batch_number"] for record in records) == list(range(1, 9))
        for record in records:
            await stored_as(record)

    @pytest.mark.mute
    async def test_never_overlap_even_when_the_first_goes_wrong(self, machine: FaultServer, line: PLC) -> None:
        await _allow_connections(line, 5)
        machine.misbehave(faults.mute, functions=(5,), at="start")
        records = await asyncio.gather(*(call() for _ in range(3)))
        assert [record.state for record in records] == [State.UNKNOWN, State.SUCCEEDED, State.SUCCEEDED]
        assert machine.writes_to("start") == [1, 0] * 3

    async def test_hold_one_connection_at_a_time(self, machine: FaultServer, line: PLC) -> None:
        await asyncio.gather(*(call() for _ in range(5)))
        assert machine.peak_connections == 1

    async def test_one_that_waited_too_long_fails_and_nothing_was_sent(self, machine: FaultServer, line: PLC) -> None:
        line.turn_timeout_s = 0.1
        await line.asave()
        machine.answer_delay_s = 0.05
        first, second = await asyncio.gather(call(), call())
        assert (first.state, second.state) == (State.SUCCEEDED, State.FAILED)
        assert second.started_at is None
        assert "busy" in second.detail
        assert machine.writes_to("start") == [1, 0]

    async def test_never_overlap_where_the_first_was_stored_too_late_to_be_told(
        self,
        machine: FaultServer,
        line: PLC,
        gateway: Gateway,
        write_lock: WriteLock,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        await change_command("start_batch", expires_after_s=0.1)
        plc = await gateway.registry.find("press-1")
        seen: list[tuple[State, bool]] = []
        told = gateway.journal._on_commit
        monkeypatch.setattr(
            gateway.journal,
            "_on_commit",
            lambda run: (seen.append((run.state, gateway.pool.is_free(plc))), told(run)),
        )
        await asyncio.to_thread(write_lock.take)
        late = asyncio.create_task(call())
        await asyncio.sleep(0.3)
        await asyncio.to_thread(write_lock.free)
        assert (await late).state == State.FAILED
        assert seen == [(State.RUNNING, False), (State.FAILED, False)], "its turn ends with its record"

    async def test_are_refused_by_the_database_where_another_process_runs_one_for_longer_than_a_turn_is_waited_for(
        self, machine: FaultServer, line: PLC
    ) -> None:
        line.turn_timeout_s = 0.3
        await line.asave()
        running = await left_running(line)
        record = await call()
        assert (record.state, record.effect, record.retry) == (State.FAILED, Effect.NONE, "safe")
        assert f"run {running.pk} stood as running there" in record.detail
        assert machine.connects == 0

    async def test_that_the_database_does_not_let_begin_though_none_runs_give_up_in_their_time_and_do_not_spin(
        self, machine: FaultServer, line: PLC, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        line.turn_timeout_s = 0.5
        await line.asave()
        tries: list[object] = []
        accept, change = gateway.journal.accept, gateway.journal.change

        def unless_it_begins(store: Callable[..., Any]) -> Callable[..., Any]:
            def refused(*record: RunRecord, **fields: Any) -> Any:
                if fields.get("state") is State.RUNNING:
                    tries.append(fields)
                    return _refused(PLCTaken("taken"))
                return store(*record, **fields)

            return refused

        monkeypatch.setattr(gateway.journal, "accept", unless_it_begins(accept))
        monkeypatch.setattr(gateway.journal, "change", unless_it_begins(change))
        async with asyncio.timeout(10):
            record = await call()
        assert (record.state, record.effect, record.retry) == (State.FAILED, Effect.NONE, "safe")
        assert len(tries) <= 6
        assert machine.connects == 0


class TestACommandAfterARunThatADeadProcessLeft:
    """The turn is free; the record says that a run of another process is running."""

    async def test_is_carried_out_once_that_run_is_settled(self, machine: FaultServer, line: PLC) -> None:
        await left_running(line)
        waiting = asyncio.create_task(call())
        await asyncio.sleep(0.5)
        assert [run.state for run in await runs()] == [State.RUNNING, State.QUEUED]
        assert machine.connects == 0
        await Run.objects.filter(state=State.RUNNING).aupdate(state=State.UNKNOWN, version=2)
        record = await waiting
        assert record.state == State.SUCCEEDED
        assert (await stored_as(record)).started_at > record.accepted_at + timedelta(seconds=0.4)

    async def test_expires_in_its_time(self, machine: FaultServer, line: PLC) -> None:
        await change_command("start_batch", expires_after_s=0.3)
        await left_running(line)
        assert (await call()).state == State.EXPIRED
        assert machine.connects == 0

    async def test_can_be_withdrawn(self, machine: FaultServer, line: PLC) -> None:
        await left_running(line)
        waiting = asyncio.create_task(call())
        await asyncio.sleep(0.3)
        (_, run) = await runs()
        await cancel(run.pk, MES)
        assert (await waiting).state == State.CANCELLED
        assert machine.connects == 0


async def left_running(plc: PLC) -> Run:
    """The record of another process, which nobody carries out."""
    row = {"plc": plc, "plc_name": plc.name, "command": "start_batch", "state": State.RUNNING}
    return await Run.objects.acreate(**row, accepted_at=timezone.now())


async def _allow_connections(plc: PLC, number: int) -> None:
    plc.max_connections = number
    await plc.asave()
