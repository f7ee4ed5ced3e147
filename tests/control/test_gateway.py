"""The long-lived parts: room for so many, an orderly end, and an end at once that still tells the truth."""

import asyncio
import time

import pytest

from devices.control.errors import Draining, NotRunning, QueueFull
from devices.control.gateway import Gateway, current
from devices.models import PLC, Effect, State
from tests.control.databases import WriteLock, eventually
from tests.control.rows import call, runs, stored_as
from tests.doubles.fault_server import FaultServer
from tests.doubles.leaks import settle


async def begun(number: int, machine: FaultServer, command: str = "start_batch") -> list[asyncio.Task]:
    """So many commands are asked for; the first one talks to the machine, the others wait."""
    tasks = [asyncio.create_task(call(command)) for _ in range(number)]
    await eventually(lambda: machine.requests)
    return tasks


@pytest.fixture
def slow(machine: FaultServer) -> FaultServer:
    machine.answer_delay_s = 0.03
    return machine


class TestTheQueue:
    @pytest.mark.parametrize("connections", [1, 5])
    async def test_that_is_full_refuses_and_leaves_no_record(
        self, slow: FaultServer, line: PLC, connections: int
    ) -> None:
        line.max_waiting, line.max_connections = 2, connections
        await line.asave()
        tasks = await begun(3, slow)
        with pytest.raises(QueueFull, match="2 commands already wait for press-1") as refusal:
            await call()
        assert refusal.value.retry_after_s > 0
        assert [record.state for record in await asyncio.gather(*tasks)] == [State.SUCCEEDED] * 3
        assert len(await runs()) == 3

    async def test_has_room_again_when_a_run_has_ended(self, slow: FaultServer, line: PLC) -> None:
        line.max_waiting = 1
        await line.asave()
        for _ in range(3):
            tasks = await begun(2, slow)
            await asyncio.gather(*tasks)

    async def test_of_another_plc_is_another(self, slow: FaultServer, line: PLC) -> None:
        line.max_waiting = 1
        await line.asave()
        await PLC.objects.acreate(name="press-2", profile_id=line.profile_id, host="127.0.0.1", port=slow.port)
        tasks = await begun(2, slow)
        assert (await call("reset", plc="press-2")).state == State.SUCCEEDED
        await asyncio.gather(*tasks)


class TestADrain:
    async def test_lets_the_running_one_finish_and_sends_home_those_who_wait(
        self, slow: FaultServer, line: PLC, gateway: Gateway
    ) -> None:
        tasks = await begun(4, slow)
        await gateway.drain(5)
        first, *others = await asyncio.gather(*tasks)
        assert (first.state, first.effect) == (State.SUCCEEDED, Effect.APPLIED)
        assert {(record.state, record.effect, record.retry) for record in others} == {("failed", "none", "safe")}
        assert all("shutting down" in record.detail for record in others)
        assert slow.writes_to("start") == [1, 0]
        for record in (first, *others):
            await stored_as(record)

    async def test_takes_no_new_commands(self, slow: FaultServer, line: PLC, gateway: Gateway) -> None:
        tasks = await begun(1, slow)
        draining = asyncio.create_task(gateway.drain(5))
        await asyncio.sleep(0)
        assert (gateway.is_ready, gateway.is_draining) == (False, True)
        with pytest.raises(Draining):
            await call()
        await draining
        with pytest.raises(NotRunning):
            await call()
        await asyncio.gather(*tasks)
        assert len(await runs()) == 1

    async def test_closes_what_was_kept_open(self, machine: FaultServer, line: PLC, gateway: Gateway) -> None:
        line.keep_open_s = 60
        await line.asave()
        await call()
        assert machine.open_connections == 1
        await gateway.drain(5)
        assert await settle(lambda: machine.open_connections == 0)

    async def test_leaves_no_task_and_no_thread(self, machine: FaultServer, line: PLC, gateway: Gateway) -> None:
        await call()
        await gateway.drain(5)
        # A layer over Redis keeps one reader a loop, for the pages as well as for us.
        ours = lambda: [task for task in asyncio.all_tasks() - machine.tasks if "_do_receiving" not in repr(task)]  # noqa: E731
        assert await settle(lambda: len(ours()) <= 1)
        assert gateway.journal._thread is None

    @pytest.mark.mute
    async def test_clears_the_trigger_of_a_run_whose_link_it_has_to_replace(
        self, slow: FaultServer, line: PLC, gateway: Gateway
    ) -> None:
        slow.swallow_answer_to("start")
        tasks = await begun(1, slow)
        await eventually(lambda: slow.writes_to("start"))
        await gateway.drain(5)
        (record,) = await asyncio.gather(*tasks)
        assert record.state == State.UNKNOWN
        assert slow.writes_to("start") == [1, 0]

    async def test_may_be_told_twice(self, machine: FaultServer, line: PLC, gateway: Gateway) -> None:
        await gateway.drain(1)
        await gateway.drain(1)

    async def test_that_takes_too_long_cuts_what_still_runs(
        self, machine: FaultServer, line: PLC, gateway: Gateway
    ) -> None:
        machine.answer_delay_s = 0.1
        tasks = await begun(1, machine)
        await gateway.drain(0.15)
        (record,) = await asyncio.gather(*tasks)
        assert (record.state, record.effect) == (State.FAILED, Effect.NONE)
        assert machine.writes_to("start") == []
        await stored_as(record)


class TestAnEndAtOnce:
    @pytest.mark.parametrize("after", range(14))
    async def test_stores_what_is_true_wherever_it_comes(
        self, slow: FaultServer, line: PLC, gateway: Gateway, after: int
    ) -> None:
        """At any moment of a handshake: who cuts it finds a final record, which says what the machine saw."""
        tasks = await begun(2, slow)
        await asyncio.sleep(after * 0.02)
        gateway.hurry()
        records = await asyncio.gather(*tasks)
        for record in records:
            assert record.state.is_final
            await stored_as(record)
        first, second = records
        was_told = 1 in slow.writes_to("start")
        assert (first.effect != Effect.NONE) == was_told
        assert (second.state, second.effect) == (State.FAILED, Effect.NONE)
        # Cut while it is cleared, it is cleared once more: nobody knows whether the first time counted.
        assert slow.writes_to("start") in ([], [1, 0], [1, 0, 0]), "the machine is left clean"
        if first.state == State.UNKNOWN:
            assert "told to end at once" in first.detail

    @pytest.mark.parametrize("stage", ["accepting", "its turn", "the trigger", "the outcome"])
    async def test_waits_for_the_change_that_the_journal_has(
        self, machine: FaultServer, line: PLC, gateway: Gateway, write_lock: WriteLock, stage: str
    ) -> None:
        """Or the row would overtake the record, and stay open."""
        at = {"the trigger": "setpoint", "the outcome": "start"}.get(stage)
        if stage == "accepting":
            write_lock.take()
        elif at is None:
            gateway.journal._on_commit = _then(gateway.journal._on_commit, write_lock)
        else:
            machine.on_write(at, lambda value: None if at == "start" and value else write_lock.take())
        task = asyncio.create_task(call())
        await asyncio.sleep(0.25)
        gateway.hurry()
        await asyncio.sleep(0.05)
        write_lock.free()
        record = await task
        assert record.state == (State.SUCCEEDED if stage == "the outcome" else State.FAILED)
        assert machine.writes_to("start") == ([1, 0] if stage == "the outcome" else [])
        await stored_as(record)


class TestNoGateway:
    async def test_carries_out_no_commands(self, press: PLC) -> None:
        with pytest.raises(NotRunning, match=r"manage\.py serve"):
            current()
        with pytest.raises(NotRunning):
            await call()
        assert await runs() == []


class TestTheStart:
    async def test_is_over_only_when_the_registry_is_known(self, press: PLC) -> None:
        gateway = Gateway(polls=False)
        assert not gateway.is_ready
        await gateway.start()
        assert gateway.is_ready
        assert current() is gateway
        assert set(await gateway.registry.plcs()) == {"press-1"}
        await gateway.drain(1)

    async def test_and_the_end_of_an_idle_one_take_no_time(self, press: PLC) -> None:
        started = time.monotonic()
        gateway = Gateway(polls=False)
        await gateway.start()
        await gateway.drain(5)
        assert time.monotonic() - started < 3


def _then(on_commit, write_lock: WriteLock):
    """Lock the database after the first commit, T1."""
    taken = []

    def committed(record) -> None:
        on_commit(record)
        if not taken:
            taken.append(record)
            write_lock.take()

    return committed
