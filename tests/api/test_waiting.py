"""How long a caller waits: for the end, for some seconds, or not at all. The run does not care."""

import asyncio

import pytest
from channels.db import database_sync_to_async
from django.http import HttpResponse
from django.test import AsyncClient

from devices.control import stored, waiting
from devices.control.gateway import Gateway
from devices.models import Run, State
from tests.api.callers import faults_of, post, problem_of, put, until
from tests.api.conftest import FAULT_BIT, START
from tests.doubles.fault_server import FaultServer

pytestmark = pytest.mark.django_db(transaction=True)

PRESS = "/api/start/press-1"
COMMAND = "/api/plcs/press-1/commands/start_batch"
ASYNC = {"Prefer": "respond-async"}


def still_open(answer: HttpResponse) -> int:
    """The number of the run that the 202 tells of."""
    assert answer.status_code == 202, answer.content
    run = answer.json()
    assert State(run["state"]) in (State.QUEUED, State.RUNNING)
    assert (run["effect"], run["finished_at"]) == ("", None)
    assert answer["Location"] == f"/api/runs/{run['id']}"
    assert int(answer["Retry-After"]) >= 1
    return int(run["id"])


async def ended_well(mes: AsyncClient, machine: FaultServer, run_id: int) -> None:
    """The run goes on to its end, though nobody waited for it."""
    told = (await mes.get(f"/api/runs/{run_id}?wait=5")).json()
    assert (told["id"], told["state"]) == (run_id, "succeeded")
    assert machine.writes_to(START) == [1, 0]
    assert (await Run.objects.aget()).state == State.SUCCEEDED


class TestWhoWantsToWait:
    @pytest.mark.parametrize("query", ["", "?wait=30", "?wait=3600", "?wait=7.5"])
    async def test_is_answered_with_the_outcome(self, mes: AsyncClient, query: str):
        answer = await put(mes, PRESS + query)
        assert (answer.status_code, answer.json()["state"]) == (200, "succeeded")
        assert "Location" not in answer
        assert "Preference-Applied" not in answer

    async def test_is_answered_with_a_bad_outcome_too(self, mes: AsyncClient, machine: FaultServer):
        machine.discrete_inputs[FAULT_BIT] = 1
        problem_of(await post(mes, COMMAND + "?wait=30"), 409, "run-rejected")

    @pytest.mark.parametrize("wish", ["wait=30", "WAIT = 30", 'wait="30"', "foo, wait=30; x=1, wait=0", "wait=9999"])
    async def test_may_say_so_as_a_preference(self, mes: AsyncClient, wish: str):
        answer = await put(mes, PRESS, headers={"Prefer": wish})
        assert answer.status_code == 200
        assert answer["Preference-Applied"] == ("wait=3600" if "9999" in wish else "wait=30")


class TestWhoWaitsOnlySoLong:
    @pytest.mark.parametrize("address", [PRESS, COMMAND])
    async def test_is_told_where_the_run_is(self, mes: AsyncClient, machine: FaultServer, go, address: str):
        send = put if address == PRESS else post
        run_id = still_open(await send(mes, address + "?wait=0.1"))
        go.set()
        await ended_well(mes, machine, run_id)

    async def test_may_prefer_so(self, mes: AsyncClient, machine: FaultServer, go):
        answer = await put(mes, PRESS, headers={"Prefer": "respond-async, wait=0"})
        assert answer["Preference-Applied"] == "respond-async, wait=0"
        run_id = still_open(answer)
        go.set()
        await ended_well(mes, machine, run_id)

    async def test_is_told_in_the_address_before_the_header(self, mes: AsyncClient, machine: FaultServer, go):
        answer = await put(mes, PRESS + "?wait=0", headers={"Prefer": "wait=30"})
        assert "Preference-Applied" not in answer
        still_open(answer)

    async def test_joins_a_run_for_so_long(self, mes: AsyncClient, machine: FaultServer, go):
        keyed = {"Idempotency-Key": "k"}
        first = asyncio.create_task(put(mes, PRESS, headers=keyed))
        await until(lambda: bool(machine.writes_to(START)))
        joined = await put(mes, PRESS + "?wait=0.05", headers=keyed)
        assert joined["Idempotency-Replayed"] == "true"
        run_id = still_open(joined)
        go.set()
        assert (await first).json()["id"] == run_id
        await ended_well(mes, machine, run_id)


class TestWhoDoesNotWait:
    async def test_is_answered_once_the_run_is_stored(self, mes: AsyncClient, machine: FaultServer, go):
        answer = await put(mes, PRESS, {"batsize": 20}, headers=ASYNC)
        run_id = still_open(answer)
        assert answer["Preference-Applied"] == "respond-async"
        assert (await Run.objects.aget()).pk == run_id
        assert answer.json()["parameters"] == {"batch_size": 20, "nok_num": 3}
        go.set()
        await ended_well(mes, machine, run_id)

    async def test_is_still_told_at_once_what_is_wrong(self, mes: AsyncClient, machine: FaultServer, change):
        assert faults_of(await put(mes, PRESS, {"batsize": 0}, headers=ASYNC)).keys() == {"batsize"}
        problem_of(await put(mes, "/api/start/press-9", headers=ASYNC), 404, "unknown-plc")
        await change(is_enabled=False)
        problem_of(await put(mes, PRESS, headers=ASYNC), 503, "plc-disabled")
        assert machine.requests == []

    async def test_is_not_told_of_a_run_that_could_not_be_stored(self, mes: AsyncClient, gateway: Gateway, machine):
        await gateway.journal.stop()
        problem_of(await put(mes, PRESS, headers=ASYNC), 503, "record-unavailable")
        assert machine.requests == []

    async def test_gets_the_outcome_of_a_repeated_request_that_has_one(self, mes: AsyncClient, machine: FaultServer):
        await put(mes, PRESS, headers={"Idempotency-Key": "k"})
        answer = await put(mes, PRESS, headers=ASYNC | {"Idempotency-Key": "k"})
        assert (answer.status_code, answer["Idempotency-Replayed"]) == (200, "true")
        assert machine.writes_to(START) == [1, 0]


class TestAWrongWait:
    @pytest.mark.parametrize(
        "wait", ["nan", "NaN", "inf", "-inf", "1e999", "-1", "-0.001", "3600.1", "", "x", "9" * 400]
    )
    @pytest.mark.parametrize("address", [PRESS, "/api/runs/1"])
    async def test_is_refused_by_its_name(self, mes: AsyncClient, machine: FaultServer, address: str, wait: str):
        send = mes.get if "runs" in address else mes.put
        assert faults_of(await send(f"{address}?wait={wait}")).keys() == {"wait"}
        assert machine.requests == []

    async def test_that_is_given_twice_is_refused(self, mes: AsyncClient, machine: FaultServer):
        assert faults_of(await put(mes, PRESS + "?wait=1&wait=2")).keys() == {"wait"}
        assert machine.requests == []

    @pytest.mark.parametrize("wish", ["wait=nan", "wait=-1", "wait", "wait=1e3", "wait=99999", "", ",,;=", "minimal"])
    async def test_among_the_preferences_is_no_reason_to_refuse(self, mes: AsyncClient, wish: str):
        """RFC 7240: what a server does not understand there it ignores."""
        answer = await put(mes, PRESS, headers={"Prefer": wish})
        assert (answer.status_code, "Preference-Applied" in answer) == (200, False)


class TestARun:
    async def test_is_looked_at_until_it_ends_or_the_wait_is_over(self, mes: AsyncClient, machine: FaultServer, go):
        run_id = still_open(await put(mes, PRESS, headers=ASYNC))
        for query in ("", "?wait=0", "?wait=0.2"):
            assert not State((await mes.get(f"/api/runs/{run_id}{query}")).json()["state"]).is_final
        looking = asyncio.create_task(mes.get(f"/api/runs/{run_id}?wait=10"))
        await until(lambda: bool(machine.writes_to(START)))
        go.set()
        told = (await looking).json()
        assert (told["state"], told["trace"][-1]["phase"]) == ("succeeded", "cleanup")

    async def test_is_not_asked_for_again_and_again_where_it_runs_here(
        self, mes: AsyncClient, machine: FaultServer, go, monkeypatch: pytest.MonkeyPatch
    ):
        run_id = still_open(await post(mes, COMMAND, {}, headers=ASYNC))
        looks: list[int] = []
        by_id = stored.by_id
        monkeypatch.setattr(waiting, "look", database_sync_to_async(lambda run: (looks.append(run), by_id(run))[1]))
        assert (await mes.get(f"/api/runs/{run_id}?wait=0.6")).json()["state"] == "running"
        assert looks == [], "its end is heard of, not looked for"
