"""The record, as callers read it."""

import pytest
from asgiref.sync import async_to_sync
from channels.db import database_sync_to_async
from django.conf import LazySettings
from django.db import connection
from django.test import AsyncClient
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from devices.models import PLC, Parameter, Run, Step
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


@database_sync_to_async
def queries_of(mes: AsyncClient, address: str) -> list[str]:
    """The SQL that a GET sends to the database."""
    with CaptureQueriesContext(connection) as caught:
        async_to_sync(mes.get)(address)
    return [query["sql"] for query in caught]


class TestTheRuns:
    async def test_come_newest_first_without_their_traces(self, mes: AsyncClient, five: list[int]):
        told = (await mes.get("/api/runs")).json()
        assert [run["id"] for run in told["runs"]] == five
        assert told["next"] is None
        assert not {"trace", "frames", "definition"} & told["runs"][0].keys()

    async def test_are_read_in_one_query_without_what_is_long(self, mes: AsyncClient, five: list[int]):
        await mes.get("/api/runs")
        asked = await queries_of(mes, "/api/runs")
        (query,) = [sql for sql in asked if "devices_run" in sql]
        assert "accepted_at" in query
        assert not [name for name in ("trace", "frames", "content") if f'"{name}"' in query]

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
        del told["frames"], told["definition"]
        assert (told, history) == (started, [])
        assert [line["phase"] for line in trace if "phase" in line][:2] == ["check", "check"]
        assert {line.get("tag") for line in trace} >= {"batch_size", "start", "start_ack", "batch_number"}

    async def test_shows_each_byte_that_went_over_the_wire_and_the_step_that_it_belongs_to(
        self, mes: AsyncClient, machine: FaultServer
    ):
        started = (await put(mes, "/api/start/press-1")).json()
        told = (await mes.get(f"/api/runs/{started['id']}")).json()
        frames = [(frame["direction"], bytes.fromhex(frame["hex"])) for frame in told["frames"]]
        ours = {"came": "sent", "went": "received"}
        assert frames == [(ours[direction], raw) for direction, raw in machine.wire]
        assert [frame["length"] for frame in told["frames"]] == [len(raw) for _, raw in machine.wire]
        moments = [frame["at_ms"] for frame in told["frames"]]
        assert moments == sorted(moments)
        (trigger,) = [at for at, line in enumerate(told["trace"]) if line.get("phase") == "trigger"]
        sent = [frame["hex"] for frame in told["frames"] if frame["step"] == trigger and frame["direction"] == "sent"]
        assert [raw[-14:] for raw in sent] == ["05 00 00 ff 00"]
        assert {frame["step"] for frame in told["frames"]} <= set(range(len(told["trace"])))
        assert all(frame["at_ms"] <= told["trace"][frame["step"]]["at_ms"] for frame in told["frames"])

    async def test_keeps_no_frames_where_the_setting_says_so(self, mes: AsyncClient, settings: LazySettings):
        settings.FRAMES_DAYS = 0
        started = (await put(mes, "/api/start/press-1")).json()
        told = (await mes.get(f"/api/runs/{started['id']}")).json()
        assert (told["state"], told["frames"]) == ("succeeded", [])
        assert told["trace"]

    async def test_shows_the_command_as_it_stood_when_it_ran(self, mes: AsyncClient, machine: FaultServer):
        started = (await put(mes, "/api/start/press-1", {"batsize": 900})).json()
        await Parameter.objects.filter(name="batch_size").aupdate(maximum=100)
        await Step.objects.filter(phase="check").adelete()
        told = (await mes.get(f"/api/runs/{started['id']}")).json()["definition"]
        assert told["plc"] | {"name": "press-1", "port": machine.port} == told["plc"]
        limits = {given["name"]: given["maximum"] for given in told["command"]["parameters"]}
        assert limits["batch_size"] >= 900
        assert told["command"]["steps"][0]["phase"] == "check"

    async def test_of_a_time_before_definitions_has_none(self, mes: AsyncClient, five: list[int]):
        told = (await mes.get(f"/api/runs/{five[0]}")).json()
        assert (told["definition"], told["frames"]) == (None, [])

    async def test_that_did_not_succeed_is_where_its_problem_points(self, mes: AsyncClient, machine: FaultServer):
        machine.discrete_inputs[FAULT_BIT] = 1
        told = (await put(mes, "/api/start/press-1")).json()
        shown = (await mes.get(told["instance"])).json()
        del shown["trace"], shown["frames"], shown["definition"], shown["history"]
        assert shown == told["run"]

    async def test_that_is_not_recorded_is_not_found(self, mes: AsyncClient):
        problem_of(await mes.get("/api/runs/999"), 404, "unknown-run")
        problem_of(await mes.get(f"/api/runs/{2**63 - 1}"), 404, "unknown-run")

    @pytest.mark.parametrize("number", ["0", "-1", "x", str(2**63), "9" * 5000])
    async def test_has_a_number(self, mes: AsyncClient, number: str):
        assert faults_of(await mes.get(f"/api/runs/{number}")).keys() == {"run"}
