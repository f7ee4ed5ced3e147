"""The record, as callers read it."""

import pytest
from django.test import AsyncClient
from django.utils import timezone

from devices.models import PLC, Run
from tests.api.callers import faults_of, problem_of, put, rename
from tests.api.conftest import FAULT_BIT
from tests.doubles.fault_server import FaultServer

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
async def five(mes: AsyncClient, press: PLC) -> list[int]:
    """The numbers of five runs, newest first: the second and the fourth failed, the fifth is on press-2."""
    other = await PLC.objects.aget(name="press-2")
    rows = [
        await Run.objects.acreate(
            plc=other if i == 5 else press,
            plc_name="press-2" if i == 5 else "press-1",
            command="start_batch",
            state="failed" if i in (2, 4) else "succeeded",
            accepted_at=timezone.now(),
        )
        for i in range(1, 6)
    ]
    return [row.pk for row in reversed(rows)]


async def numbers(mes: AsyncClient, query: str) -> list[int]:
    """Which runs are listed."""
    return [run["id"] for run in (await mes.get(f"/api/runs{query}")).json()["runs"]]


class TestTheRuns:
    async def test_come_newest_first_without_their_traces(self, mes: AsyncClient, five: list[int]):
        told = (await mes.get("/api/runs")).json()
        assert [run["id"] for run in told["runs"]] == five
        assert told["next"] is None
        assert "trace" not in told["runs"][0]

    async def test_are_narrowed_by_plc_and_state(self, mes: AsyncClient, five: list[int], press: PLC):
        assert await numbers(mes, "?plc=press-2") == five[:1]
        assert await numbers(mes, f"?plc={press.pk}") == five[1:]
        assert await numbers(mes, "?state=failed") == [five[1], five[3]]
        assert await numbers(mes, "?plc=press-2&state=failed") == []

    async def test_come_in_pages_that_miss_and_repeat_none(self, mes: AsyncClient, five: list[int]):
        seen, before = [], ""
        while before is not None:
            told = (await mes.get(f"/api/runs?limit=2{before}")).json()
            seen += [run["id"] for run in told["runs"]]
            before = told["next"] and f"&before={told['next']}"
        assert seen == five

    @pytest.mark.parametrize(
        ("query", "field"),
        [
            *((f"limit={wrong}", "limit") for wrong in ("1e9", "201", "0", "-1", "nan", "", "9" * 5000)),
            *((f"before={wrong}", "before") for wrong in ("0", "-5", "forged", "1.5", str(2**63), "null", "%00")),
            *((f"state={wrong}", "state") for wrong in ("done", "", "SUCCEEDED")),
            ("stat=failed", "stat"),
            ("limit=1&limit=200", "limit"),
            ("plc=" + "x" * 51, "plc"),
        ],
    )
    async def test_are_not_listed_for_a_wrong_question(self, mes: AsyncClient, query: str, field: str):
        assert faults_of(await mes.get(f"/api/runs?{query}")).keys() == {field}

    async def test_of_an_unknown_plc_are_not_found(self, mes: AsyncClient):
        problem_of(await mes.get("/api/runs?plc=press-9"), 404, "unknown-plc")
        problem_of(await mes.get("/api/runs?plc=%00"), 404, "unknown-plc")

    async def test_are_not_made_up_while_the_database_is_away(self, mes: AsyncClient):
        await mes.get("/api/runs")
        await rename("devices_run", "elsewhere")
        try:
            problem_of(await mes.get("/api/runs"), 503, "record-unavailable")
            problem_of(await mes.get("/api/runs/1"), 503, "record-unavailable")
        finally:
            await rename("elsewhere", "devices_run")


class TestARun:
    async def test_is_shown_with_its_trace(self, mes: AsyncClient):
        started = (await put(mes, "/api/start/press-1")).json()
        told = (await mes.get(f"/api/runs/{started['id']}")).json()
        trace, history = told.pop("trace"), told.pop("history")
        assert (told, history) == (started, [])
        assert [line["phase"] for line in trace if "phase" in line][:2] == ["check", "check"]
        assert {line.get("tag") for line in trace} >= {"batch_size", "start", "start_ack", "batch_number"}

    async def test_that_did_not_succeed_is_where_its_problem_points(self, mes: AsyncClient, machine: FaultServer):
        machine.discrete_inputs[FAULT_BIT] = 1
        told = (await put(mes, "/api/start/press-1")).json()
        shown = (await mes.get(told["instance"])).json()
        del shown["trace"], shown["history"]
        assert shown == told["run"]

    async def test_that_is_not_recorded_is_not_found(self, mes: AsyncClient):
        problem_of(await mes.get("/api/runs/999"), 404, "unknown-run")
        problem_of(await mes.get(f"/api/runs/{2**63 - 1}"), 404, "unknown-run")

    @pytest.mark.parametrize("number", ["0", "-1", "x", str(2**63), "9" * 5000])
    async def test_has_a_number(self, mes: AsyncClient, number: str):
        assert faults_of(await mes.get(f"/api/runs/{number}")).keys() == {"run"}
