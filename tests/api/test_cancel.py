"""A run that waits for its turn: withdrawn, or dropped when its time is over. The machine never hears of it."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from django.http import HttpResponse
from django.test import AsyncClient
from django.utils import timezone

from devices.models import PLC, Command, Run, State
from tests.api.callers import faults_of, post, problem_of, put, until
from tests.api.conftest import START
from tests.control.databases import WriteLock, write_lock
from tests.doubles.fault_server import FaultServer

__all__ = ["write_lock"]

pytestmark = pytest.mark.django_db(transaction=True)

PRESS = "/api/start/press-1"
Call = asyncio.Task[HttpResponse]


@pytest.fixture
async def running(mes: AsyncClient, machine: FaultServer, go: asyncio.Event) -> AsyncIterator[Call]:
    """A start that has its turn, and keeps it until `go`."""
    call = asyncio.create_task(put(mes, PRESS, {"batsize": 1}))
    await until(lambda: bool(machine.writes_to(START)))
    yield call
    go.set()
    await call


@pytest.fixture
async def waiting(mes: AsyncClient, running: Call) -> Call:
    """A start that waits behind it."""
    return asyncio.create_task(put(mes, PRESS, {"batsize": 2}))


async def queued() -> Run:
    """The run that waits."""
    async with asyncio.timeout(5):
        while (run := await Run.objects.filter(state=State.QUEUED).afirst()) is None:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)
    return run


async def cancel(mes: AsyncClient, run_id: int) -> HttpResponse:
    return await post(mes, f"/api/runs/{run_id}/cancel")


async def expires_after(limit_s: float) -> None:
    """Say in the registry when a start that waits is dropped."""
    command = await Command.objects.aget(name="start_batch")
    command.expires_after_s = limit_s
    await command.asave()


class TestAQueuedRun:
    async def test_is_withdrawn_and_its_caller_told_at_once(
        self, mes: AsyncClient, machine: FaultServer, running: Call, waiting: Call, go: asyncio.Event
    ):
        run = await queued()
        told = (await cancel(mes, run.pk)).json()
        assert (told["id"], told["state"], told["effect"], told["retry"]) == (run.pk, "cancelled", "none", "safe")
        assert "key mes-line-1" in told["detail"]
        problem = problem_of(await waiting, 409, "run-cancelled")
        assert problem["run"] == told
        assert not running.done(), "it left the queue only with those before it"
        go.set()
        assert (await running).status_code == 200
        assert (await Run.objects.aget(pk=run.pk)).state == State.CANCELLED
        assert machine.writes_to(START) == [1, 0]
        assert machine.holding_registers[0] == 1

    async def test_is_withdrawn_whole_by_a_caller_who_hangs_up(
        self, mes: AsyncClient, running: Call, waiting: Call, write_lock: WriteLock
    ):
        """The row could be cancelled, and its caller wait on until the PLC's turn came."""
        run = await queued()
        await asyncio.to_thread(write_lock.take)
        call = asyncio.create_task(cancel(mes, run.pk))
        await asyncio.sleep(0.2)
        call.cancel()
        await asyncio.to_thread(write_lock.free)
        problem_of(await asyncio.wait_for(waiting, 5), 409, "run-cancelled")
        assert not running.done(), "it left the queue only with those before it"

    async def test_makes_room_for_the_next(self, mes: AsyncClient, machine: FaultServer, change, running, waiting, go):
        await change(max_waiting=1)
        run = await queued()
        problem_of(await put(mes, PRESS), 503, "queue-full")
        await cancel(mes, run.pk)
        await waiting
        third = asyncio.create_task(put(mes, PRESS, {"batsize": 3}))
        go.set()
        assert (await third).status_code == 200
        assert machine.writes_to(START) == [1, 0, 1, 0]

    async def test_of_another_process_is_withdrawn_in_its_row(self, mes: AsyncClient, press: PLC):
        run = await Run.objects.acreate(
            plc=press, plc_name="press-1", command="start_batch", caller="user anna", accepted_at=timezone.now()
        )
        assert (await cancel(mes, run.pk)).json()["state"] == "cancelled"
        await run.arefresh_from_db()
        assert (run.state, run.version, run.finished_at is None) == (State.CANCELLED, 2, False)

    async def test_that_another_process_withdrew_is_not_sent(
        self, mes: AsyncClient, machine: FaultServer, running: Call, waiting: Call, go: asyncio.Event
    ):
        run = await queued()
        gone = {"state": State.CANCELLED, "effect": "none", "retry": "safe", "detail": "withdrawn there", "version": 2}
        await Run.objects.filter(pk=run.pk).aupdate(**gone)
        go.set()
        problem = problem_of(await waiting, 409, "run-cancelled")
        assert problem["detail"] == "withdrawn there"
        assert (await Run.objects.aget(pk=run.pk)).detail == "withdrawn there"
        assert machine.writes_to(START) == [1, 0]

    async def test_is_either_withdrawn_or_told_to_the_machine(self, mes: AsyncClient, machine: FaultServer):
        """The withdrawal comes at any moment of the way to the machine; a run never gets both."""
        withdrawn = 0
        for n in range(1, 25):
            answer = await put(mes, PRESS, {"batsize": n}, headers={"Prefer": "respond-async"})
            ahead = await put(mes, PRESS, {"batsize": 100 + n}, headers={"Prefer": "respond-async"})
            await asyncio.sleep(n * 0.0005)
            number = ahead.json()["id"]
            cancelled = await cancel(mes, number)
            run = (await mes.get(f"/api/runs/{number}?wait=5")).json()
            if cancelled.status_code == 200:
                withdrawn += 1
                assert (run["state"], run["started_at"], run["trace"]) == ("cancelled", None, [])
            else:
                problem_of(cancelled, 409, "run-not-queued")
                assert run["state"] == "succeeded"
            assert (await mes.get(f"{answer['Location']}?wait=5")).json()["state"] == "succeeded"
        assert machine.writes_to(START).count(1) == 48 - withdrawn


class TestARunThatWaitsNoMore:
    async def test_is_not_withdrawn_while_it_runs(self, mes: AsyncClient, running: Call, go: asyncio.Event):
        run = await Run.objects.aget()
        told = problem_of(await cancel(mes, run.pk), 409, "run-not-queued")
        assert "has its turn" in told["detail"]
        go.set()
        assert (await running).json()["state"] == "succeeded"

    async def test_is_not_withdrawn_after_its_end(self, mes: AsyncClient):
        run = (await put(mes, PRESS)).json()
        told = problem_of(await cancel(mes, run["id"]), 409, "run-not-queued")
        assert "ended already: succeeded" in told["detail"]
        assert (await Run.objects.aget()).state == State.SUCCEEDED

    async def test_is_not_withdrawn_twice(self, mes: AsyncClient, waiting: Call):
        run = await queued()
        answers = await asyncio.gather(*(cancel(mes, run.pk) for _ in range(3)))
        assert sorted(answer.status_code for answer in answers) == [200, 409, 409]
        await waiting

    async def test_that_is_not_recorded_is_not_found(self, mes: AsyncClient):
        problem_of(await cancel(mes, 999), 404, "unknown-run")
        assert faults_of(await post(mes, "/api/runs/0/cancel")).keys() == {"run"}

    async def test_is_no_matter_of_strangers(self, mes: AsyncClient, waiting: Call):
        run = await queued()
        problem_of(await cancel(AsyncClient(), run.pk), 401, "unauthorized")
        await run.arefresh_from_db()
        assert run.state == State.QUEUED
        waiting.cancel()


class TestARunThatExpires:
    async def test_is_dropped_while_it_waits(
        self, mes: AsyncClient, machine: FaultServer, go: asyncio.Event, running: Call
    ):
        await expires_after(0.2)
        problem = problem_of(await put(mes, PRESS, {"batsize": 2}), 503, "run-expired")
        assert (problem["run"]["effect"], problem["run"]["retry"]) == ("none", "safe")
        assert "within the 0.2 s" in problem["detail"]
        assert not running.done()
        go.set()
        assert (await running).status_code == 200, "its own time is over too, but it had its turn"
        run = await Run.objects.aget(pk=problem["run"]["id"])
        assert (run.state, run.started_at, run.trace) == (State.EXPIRED, None, [])
        assert machine.writes_to(START) == [1, 0]

    async def test_is_not_started_where_storing_it_took_too_long(
        self, mes: AsyncClient, machine: FaultServer, write_lock: WriteLock
    ):
        await expires_after(0.1)
        await mes.get("/api/plcs")
        await asyncio.to_thread(write_lock.take)
        call = asyncio.create_task(put(mes, PRESS))
        await asyncio.sleep(0.3)
        await asyncio.to_thread(write_lock.free)
        assert "after which it expires" in problem_of(await call, 503, "run-failed")["detail"]
        assert machine.requests == []

    async def test_leaves_the_turn_to_the_next(self, mes: AsyncClient, machine: FaultServer, go, running: Call):
        await expires_after(0.2)
        problem_of(await put(mes, PRESS, {"batsize": 2}), 503, "run-expired")
        await expires_after(60)
        third = asyncio.create_task(put(mes, PRESS, {"batsize": 3}))
        await queued()
        go.set()
        assert (await third).status_code == 200
        assert machine.holding_registers[0] == 3
        assert machine.writes_to(START) == [1, 0, 1, 0]

    async def test_may_have_all_the_time_by_default(self, mes: AsyncClient, machine: FaultServer, running, waiting, go):
        await queued()
        await asyncio.sleep(0.3)
        go.set()
        assert (await waiting).status_code == 200
        assert machine.writes_to(START) == [1, 0, 1, 0]
