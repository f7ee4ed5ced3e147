"""Tags over HTTP: what they hold with its age and quality, one read now, one written with one definite answer."""

import asyncio

import pytest
from django.test import AsyncClient

from devices.api.schemas import RunOut
from devices.api.tag_schemas import TagListOut, TagOfPLCOut
from devices.control.gateway import Gateway
from devices.modbus.types import Table
from devices.models import PLC, Run, Tag
from tests.api.callers import faults_of, post, problem_of, put, until
from tests.doubles import faults
from tests.doubles.fault_server import FaultServer
from tests.doubles.pdu import WRITES

TAGS = "/api/plcs/press-1/tags"
SIZE = f"{TAGS}/batch_size"
START = "/api/plcs/press-1/commands/start_batch"
READ = (3,)


@pytest.fixture
def size(machine: FaultServer) -> tuple[Table, int]:
    """Where the batch size sits."""
    return machine.names["batch_size"]


def held(machine: FaultServer, size: tuple[Table, int]) -> int:
    return machine.holding_registers[size[1]]


class TestTheList:
    async def test_tells_every_tag_and_sends_nothing_to_the_plc(self, mes: AsyncClient, machine: FaultServer):
        answer = await mes.get(TAGS)
        assert answer.status_code == 200
        told = answer.json()
        TagListOut.model_validate(told, extra="forbid")
        assert (told["plc"], told["state"]) == ("press-1", "unknown")
        assert {tag["name"] for tag in told["tags"]} == {
            name async for name in Tag.objects.values_list("name", flat=True)
        }
        assert {tag["quality"] for tag in told["tags"]} == {"unread"}
        assert {tag["value"] for tag in told["tags"]} == {None}
        assert machine.connects == 0

    async def test_tells_what_may_be_written(self, mes: AsyncClient):
        told = {tag["name"]: tag for tag in (await mes.get(TAGS)).json()["tags"]}
        assert (told["batch_size"]["is_writable"], told["fault"]["is_writable"]) == (True, False)

    async def test_of_an_unknown_plc_is_not_there(self, mes: AsyncClient):
        problem_of(await mes.get(TAGS.replace("press-1", "press-9")), 404, "unknown-plc")

    async def test_of_a_disabled_plc_says_so(self, mes: AsyncClient, change):
        await change(is_enabled=False)
        assert (await mes.get(TAGS)).json()["state"] == "disabled"

    async def test_is_for_callers_who_are_known(self, press: PLC, gateway: Gateway, async_client: AsyncClient):
        problem_of(await async_client.get(TAGS), 401, "unauthorized")


class TestATag:
    async def test_tells_the_last_value_with_its_age(self, mes: AsyncClient, machine: FaultServer, size):
        machine.holding_registers[size[1]] = 12
        assert (await mes.get(f"{SIZE}?fresh=true")).json()["value"] == 12
        machine.holding_registers[size[1]] = 13
        told = (await mes.get(SIZE)).json()
        TagOfPLCOut.model_validate(told, extra="forbid")
        assert (told["plc"], told["state"], told["name"]) == ("press-1", "online", "batch_size")
        assert (told["value"], told["quality"], told["type"]) == (12, "good", "uint16")
        assert 0 <= told["age_s"] < 60
        assert told["read_at"] == told["changed_at"]

    async def test_of_a_plc_that_nobody_reads_is_old_however_rarely_it_is_read(
        self, mes: AsyncClient, machine: FaultServer, change
    ):
        await Tag.objects.filter(name="batch_size").aupdate(poll_interval_ms=3_600_000)
        await change(is_enabled=True)
        assert (await mes.get(f"{SIZE}?fresh=true")).json()["quality"] == "good"
        await change(is_enabled=False)
        told = (await mes.get(SIZE)).json()
        assert (told["state"], told["quality"]) == ("disabled", "old")
        listed = {tag["name"]: tag["quality"] for tag in (await mes.get(TAGS)).json()["tags"]}
        assert listed["batch_size"] == "old"

    async def test_that_was_never_read_says_so(self, mes: AsyncClient, machine: FaultServer):
        told = (await mes.get(f"{SIZE}?fresh=false")).json()
        assert (told["value"], told["quality"], told["read_at"], told["age_s"]) == (None, "unread", None, None)
        assert machine.connects == 0

    async def test_that_is_unknown_is_told_with_those_there_are(self, mes: AsyncClient):
        for query in ("", "?fresh=true"):
            told = problem_of(await mes.get(f"{TAGS}/pressure{query}"), 404, "unknown-tag")
            assert "batch_size" in told["detail"]

    async def test_is_not_asked_for_in_unclear_words(self, mes: AsyncClient):
        assert faults_of(await mes.get(f"{SIZE}?fresh=maybe")) == {"fresh": "must be true or false"}
        assert faults_of(await mes.get(f"{SIZE}?frsh=true")).keys() == {"frsh"}


class TestATagReadNow:
    async def test_that_the_plc_refuses_is_told_in_the_plcs_words(self, mes: AsyncClient, machine: FaultServer, size):
        machine.misbehave(faults.exception(2), functions=READ, at=size, times=None)
        told = problem_of(await mes.get(f"{SIZE}?fresh=true"), 502, "tag-not-readable")
        assert "exception 2, the address or length is not mapped in the PLC" in told["detail"]
        last = (await mes.get(SIZE)).json()
        assert (last["value"], last["quality"]) == (None, "bad")
        assert "exception 2" in last["reason"]

    async def test_that_does_not_come_is_told(self, mes: AsyncClient, machine: FaultServer):
        machine.misbehave(faults.mute, times=None)
        problem_of(await mes.get(f"{SIZE}?fresh=true"), 503, "plc-not-read")
        await until(lambda: machine.open_connections == 0)

    async def test_of_a_disabled_plc_is_refused(self, mes: AsyncClient, machine: FaultServer, change):
        await change(is_enabled=False)
        problem_of(await mes.get(f"{SIZE}?fresh=true"), 503, "plc-disabled")
        assert machine.connects == 0


class TestAWrite:
    async def test_answers_the_run_and_what_reads_back(self, mes: AsyncClient, machine: FaultServer, size):
        answer = await put(mes, SIZE, {"value": 15})
        assert answer.status_code == 200
        told = answer.json()
        RunOut.model_validate(told)
        assert (told["state"], told["command"], told["plc"]) == ("succeeded", "write batch_size", "press-1")
        assert (told["parameters"], told["result"]) == ({"value": 15}, {"batch_size": 15})
        assert machine.writes_to(size) == [15]
        assert (await mes.get(f"/api/runs/{told['id']}")).json()["definition"]["command"]["name"] == "write batch_size"
        assert (await mes.get(SIZE)).json()["value"] == 15
        await until(lambda: machine.open_connections == 0)

    async def test_that_the_plc_refuses_is_faulted_and_did_nothing(self, mes: AsyncClient, machine: FaultServer, size):
        machine.misbehave(faults.exception(3), functions=WRITES)
        run = problem_of(await put(mes, SIZE, {"value": 15}), 502, "run-faulted")["run"]
        assert (run["effect"], run["retry"]) == ("none", "after_fix")
        assert held(machine, size) == 0

    async def test_that_the_machine_limits_is_faulted_and_applied(self, mes: AsyncClient, machine: FaultServer, size):
        machine.on_write(size, lambda _: machine.holding_registers.__setitem__(size[1], 100))
        told = problem_of(await put(mes, SIZE, {"value": 5000}), 502, "run-faulted")
        assert told["run"]["effect"] == "applied"
        assert "written as 5000" in told["detail"]
        assert "reads back as 100" in told["detail"]

    async def test_that_is_not_answered_may_have_happened(self, mes: AsyncClient, machine: FaultServer, size):
        machine.misbehave(faults.mute, functions=WRITES)
        run = problem_of(await put(mes, SIZE, {"value": 15}), 504, "run-unknown")["run"]
        assert (run["effect"], run["retry"]) == ("unknown", "after_reconcile")
        assert machine.writes_to(size) == [15]

    async def test_to_a_plc_that_is_mute_was_not_told(self, mes: AsyncClient, machine: FaultServer):
        machine.misbehave(faults.swallow, times=None)
        run = problem_of(await put(mes, SIZE, {"value": 15}), 503, "run-failed")["run"]
        assert (run["effect"], run["retry"], machine.writes) == ("none", "safe", [])

    async def test_to_an_offline_plc_was_not_told(self, mes: AsyncClient, machine: FaultServer):
        await machine.refuse_connects()
        answers = [await put(mes, SIZE, {"value": 15}) for _ in range(4)]
        assert "offline" in problem_of(answers[-1], 503, "run-failed")["detail"]
        assert int(answers[-1]["Retry-After"]) > 5

    async def test_asked_again_under_its_key_is_written_once(self, mes: AsyncClient, machine: FaultServer, size):
        key = {"Idempotency-Key": "order-1"}
        first, again = [await put(mes, SIZE, {"value": 15}, headers=key) for _ in range(2)]
        assert (first.status_code, first.content) == (again.status_code, again.content)
        assert ("Idempotency-Replayed" in first, again["Idempotency-Replayed"]) == (False, "true")
        assert machine.writes_to(size) == [15]
        problem_of(await put(mes, SIZE, {"value": 16}, headers=key), 422, "idempotency-key-reused")

    async def test_that_nobody_waits_for_goes_on(self, mes: AsyncClient, machine: FaultServer, size):
        machine.answer_delay_s = 0.02
        answer = await put(mes, SIZE, {"value": 15}, headers={"Prefer": "respond-async"})
        assert (answer.status_code, answer["Preference-Applied"]) == (202, "respond-async")
        ended = (await mes.get(f"{answer['Location']}?wait=10")).json()
        assert (ended["state"], machine.writes_to(size)) == ("succeeded", [15])

    async def test_waits_its_turn_behind_a_command(self, mes: AsyncClient, machine: FaultServer, size):
        machine.answer_delay_s = 0.01
        command = asyncio.create_task(post(mes, START, {"batch_size": 7}))
        await until(lambda: bool(machine.writes_to(size)))
        answer = await put(mes, SIZE, {"value": 15})
        assert (answer.status_code, (await command).status_code) == (200, 200)
        assert machine.writes_to(size) == [7, 15]
        assert machine.peak_connections == 1

    async def test_is_listed_among_the_runs(self, mes: AsyncClient, machine: FaultServer):
        await put(mes, SIZE, {"value": 15})
        (run,) = (await mes.get("/api/runs?plc=press-1")).json()["runs"]
        assert run["command"] == "write batch_size"


class TestAWrongWrite:
    @pytest.mark.parametrize(
        ("body", "fields"),
        [
            ({}, {"value"}),
            (None, {"value"}),
            ({"value": None}, {"value"}),
            ({"value": 70_000}, {"value"}),
            ({"value": 15.0}, {"value"}),
            ({"value": "15"}, {"value"}),
            ({"value": True}, {"value"}),
            ({"value": [15]}, {"value"}),
            ({"value": {"raw": 15}}, {"value"}),
            (b'{"value": NaN}', {"value"}),
            (b'{"value": 1e999}', {"value"}),
            (b'{"value": 1, "value": 2}', {"value"}),
            ({"value": "many", "unit": "pcs"}, {"value", "unit"}),
            ([15], {"body"}),
        ],
    )
    async def test_is_named_and_makes_no_run(self, mes: AsyncClient, machine: FaultServer, body, fields):
        assert faults_of(await put(mes, SIZE, body)).keys() == fields
        assert await Run.objects.acount() == 0
        assert machine.connects == 0

    async def test_of_no_json_is_a_bad_request(self, mes: AsyncClient):
        problem_of(await put(mes, SIZE, b"15;"), 400, "bad-request")

    async def test_to_a_tag_that_can_only_be_read_says_so(self, mes: AsyncClient, machine: FaultServer):
        told = problem_of(await put(mes, f"{TAGS}/fault", {"value": False}), 409, "tag-not-writable")
        assert "fault is in the discrete inputs, which can only be read" in told["detail"]
        assert "run" not in told
        assert await Run.objects.acount() == 0

    async def test_to_an_unknown_tag_is_not_there(self, mes: AsyncClient):
        problem_of(await put(mes, f"{TAGS}/pressure", {"value": 1}), 404, "unknown-tag")

    async def test_to_a_disabled_plc_is_refused(self, mes: AsyncClient, change):
        await change(is_enabled=False)
        problem_of(await put(mes, SIZE, {"value": 15}), 503, "plc-disabled")

    async def test_by_a_session_needs_its_csrf_token(self, press: PLC, gateway: Gateway, anna):
        client = AsyncClient(enforce_csrf_checks=True)
        await client.aforce_login(anna)
        problem_of(await put(client, SIZE, {"value": 15}), 403, "forbidden")
        assert await Run.objects.acount() == 0
