"""What a caller was granted: the rest of the plant is not there for him, and what he lacks is said."""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import Group, Permission, User
from django.http import HttpResponse
from django.test import AsyncClient
from django.utils import timezone

from devices.models import PLC, APIKey, Grant, Profile, Right, Run, State
from tests.access import agrant, anew_key
from tests.api.callers import faults_of, post, problem_of, put, until
from tests.api.conftest import START
from tests.doubles.fault_server import FaultServer

pytestmark = pytest.mark.django_db(transaction=True)

Ask = Callable[[AsyncClient, str], Awaitable[HttpResponse]]

GETS = ("", "/commands", "/tags", "/tags/batch_size", "/tags/batch_size?fresh=true", "/openapi.json", "/docs")
HISTORY = ("/history?tag=batch_size", "/history.csv?tag=batch_size")
ASKS: dict[str, Ask] = {
    **{f"GET {path}": lambda mes, plc, path=path: mes.get(f"/api/plcs/{plc}{path}") for path in (*GETS, *HISTORY)},
    "start": lambda mes, plc: put(mes, f"/api/start/{plc}"),
    "start with wrong values": lambda mes, plc: put(mes, f"/api/start/{plc}", {"batsize": -1}),
    "run": lambda mes, plc: post(mes, f"/api/plcs/{plc}/commands/start_batch"),
    "run what it has not": lambda mes, plc: post(mes, f"/api/plcs/{plc}/commands/fly"),
    "check": lambda mes, plc: post(mes, f"/api/plcs/{plc}/commands/start_batch/check"),
    "write": lambda mes, plc: put(mes, f"/api/plcs/{plc}/tags/batch_size", {"value": 1}),
    "write what it has not": lambda mes, plc: put(mes, f"/api/plcs/{plc}/tags/wings", {"value": 1}),
    "runs": lambda mes, plc: mes.get(f"/api/runs?plc={plc}"),
}
"""All that names a PLC."""


async def key_with(name: str, *rights: Right, **narrowed: Any) -> AsyncClient:
    """A caller with these rights and no other."""
    return AsyncClient(X_API_KEY=await anew_key(name, *rights, **narrowed))


@pytest.fixture
async def neighbour(press: PLC) -> AsyncClient:
    """Sees, and may do everything with, another machine than `press-1`."""
    return await key_with("neighbour", plc=await PLC.objects.aget(name="press-2"))


@pytest.fixture
async def viewer(press: PLC) -> AsyncClient:
    """Sees `press-1`, and no more."""
    return await key_with("viewer", Right.VIEW, plc=press)


async def a_run(press: PLC, **fields: Any) -> Run:
    usual = {"plc": press, "plc_name": press.name, "command": "start_batch", "caller": "key x"}
    return await Run.objects.acreate(**usual | {"accepted_at": timezone.now(), "state": State.SUCCEEDED, **fields})


def without(text: bytes, name: str) -> str:
    """The words of an answer, whatever name or number was asked for."""
    return re.sub(rf"\b{name}\b", "*", text.decode())


class TestAMachineThatIsNotSeen:
    @pytest.mark.parametrize("ask", ASKS)
    async def test_is_told_like_one_that_does_not_exist(
        self, mes: AsyncClient, neighbour: AsyncClient, press: PLC, machine: FaultServer, ask: str
    ):
        hidden, nothing = await ASKS[ask](neighbour, "press-1"), await ASKS[ask](neighbour, "press-0")
        problem_of(hidden, 404, "unknown-plc")
        assert without(hidden.content, "press-1") == without(nothing.content, "press-0")
        assert hidden.headers == nothing.headers
        by_number, no_number = [await ASKS[ask](neighbour, number) for number in (str(press.pk), "99999")]
        assert without(by_number.content, str(press.pk)) == without(no_number.content, "99999")
        assert "press-1" not in by_number.content.decode()
        assert machine.requests == []
        assert not await Run.objects.aexists()

    async def test_is_in_no_list(self, mes: AsyncClient, neighbour: AsyncClient):
        assert [plc["name"] for plc in (await neighbour.get("/api/plcs")).json()["plcs"]] == ["press-2"]
        assert len((await mes.get("/api/plcs")).json()["plcs"]) == 5

    async def test_is_seen_by_its_area_as_long_as_it_stands_there(self, mes: AsyncClient, press: PLC, change):
        await change(area="hall 7")
        caller = await key_with("hall", Right.VIEW, area="hall 7")
        assert [plc["name"] for plc in (await caller.get("/api/plcs")).json()["plcs"]] == ["press-1"]
        await change(area="hall 8")
        assert (await caller.get("/api/plcs")).json() == {"plcs": []}
        problem_of(await caller.get("/api/plcs/press-1"), 404, "unknown-plc")


class TestARunThatIsNotSeen:
    @pytest.mark.parametrize("path", ["", "?wait=1", "/cancel", "/reconcile"])
    async def test_is_told_like_one_that_was_never_made(
        self, mes: AsyncClient, neighbour: AsyncClient, press: PLC, path: str
    ):
        run = await a_run(press, state=State.QUEUED if path == "/cancel" else State.UNKNOWN)
        ask = post if path.startswith("/") else AsyncClient.get
        hidden, nothing = [await ask(neighbour, f"/api/runs/{number}{path}") for number in (run.pk, 987_654)]
        problem_of(hidden, 404, "unknown-run")
        assert without(hidden.content, str(run.pk)) == without(nothing.content, "987654")
        after = await Run.objects.aget()
        assert (after.state, after.version) == (run.state, run.version)

    async def test_is_in_no_list(self, mes: AsyncClient, neighbour: AsyncClient, viewer: AsyncClient, press: PLC):
        other = await PLC.objects.aget(name="press-2")
        mine, theirs = await a_run(other), await a_run(press)
        listed = [
            [run["id"] for run in (await who.get("/api/runs?limit=200")).json()["runs"]]
            for who in (neighbour, viewer, mes)
        ]
        assert listed == [[mine.pk], [theirs.pk], [theirs.pk, mine.pk]]

    async def test_does_not_count_as_a_page_of_the_list(self, mes: AsyncClient, neighbour: AsyncClient, press: PLC):
        mine = await a_run(await PLC.objects.aget(name="press-2"))
        for _ in range(3):
            await a_run(press)
        assert (await neighbour.get("/api/runs?limit=1")).json()["next"] is None
        assert [run["id"] for run in (await neighbour.get("/api/runs?limit=1")).json()["runs"]] == [mine.pk]

    async def test_may_be_of_a_machine_whose_settings_cannot_be_used(self, mes: AsyncClient, viewer, press: PLC):
        """It is not in the registry any more; its record still says what became of it."""
        run = await a_run(press)
        await Profile.objects.aupdate(write_functions="none")
        await press.asave()
        problem_of(await viewer.get("/api/plcs/press-1"), 404, "unknown-plc")
        assert (await viewer.get(f"/api/runs/{run.pk}")).json()["id"] == run.pk


class TestWhoOnlyLooks:
    async def test_sees_all_of_the_machine(self, mes: AsyncClient, viewer: AsyncClient, press: PLC):
        run = await a_run(press)
        for path in GETS:
            assert (await viewer.get(f"/api/plcs/press-1{path}")).status_code == 200
        assert (await viewer.get(f"/api/runs/{run.pk}")).status_code == 200

    @pytest.mark.parametrize("ask", ["start", "start with wrong values", "run", "check", "write"])
    async def test_tells_it_nothing(self, mes: AsyncClient, viewer: AsyncClient, machine: FaultServer, ask: str):
        told = problem_of(await ASKS[ask](viewer, "press-1"), 403, "not-permitted")
        assert "press-1" in told["detail"]
        assert machine.requests == []
        assert not await Run.objects.aexists()

    async def test_is_told_so_whether_it_is_disabled_or_not(self, mes: AsyncClient, viewer: AsyncClient, change):
        await change(is_enabled=False)
        problem_of(await put(viewer, "/api/start/press-1"), 403, "not-permitted")

    @pytest.mark.parametrize("path", ["cancel", "reconcile"])
    async def test_changes_no_run(self, mes: AsyncClient, viewer: AsyncClient, press: PLC, machine, path: str):
        run = await a_run(press, state=State.QUEUED if path == "cancel" else State.UNKNOWN)
        problem_of(await post(viewer, f"/api/runs/{run.pk}/{path}"), 403, "not-permitted")
        assert (await Run.objects.aget()).state == run.state
        assert machine.requests == []

    async def test_says_of_no_run_how_it_ended_though_he_may_judge(self, mes: AsyncClient, press: PLC, anna: User):
        await Grant.objects.filter(user=anna).exclude(right=Right.VIEW).adelete()
        await anna.user_permissions.aadd(await Permission.objects.aget(codename="change_run"))
        browser = AsyncClient()
        await browser.aforce_login(anna)
        run = await a_run(press, state=State.UNKNOWN)
        seen = {"state": "succeeded", "reason": "the parts lie in the tray"}
        problem_of(await post(browser, f"/api/runs/{run.pk}/reconcile", seen), 403, "not-permitted")
        assert (await Run.objects.aget()).state == State.UNKNOWN

    async def test_sees_what_he_may_run(self, mes: AsyncClient, viewer: AsyncClient, press: PLC):
        starter = await key_with("starter", Right.EXECUTE, plc=press, commands="start_batch")
        for who, expected in ((viewer, set()), (starter, {"start_batch"})):
            listed = (await who.get("/api/plcs/press-1/commands")).json()["commands"]
            assert {command["name"] for command in listed} == {"start_batch", "reset_fault"}
            assert {command["name"] for command in listed if command["may_run"]} == expected


class TestANarrowGrant:
    async def test_opens_its_commands_and_no_other(self, mes: AsyncClient, machine: FaultServer, press: PLC):
        starter = await key_with("starter", Right.EXECUTE, plc=press, commands="start_batch")
        assert (await put(starter, "/api/start/press-1")).status_code == 200
        told = machine.requests[:]
        problem_of(await post(starter, "/api/plcs/press-1/commands/reset_fault"), 403, "not-permitted")
        problem_of(await put(starter, "/api/plcs/press-1/tags/batch_size", {"value": 1}), 403, "not-permitted")
        assert machine.requests == told

    async def test_to_write_tags_runs_no_command(self, mes: AsyncClient, machine: FaultServer, press: PLC):
        writer = await key_with("writer", Right.WRITE, plc=press)
        assert (await put(writer, "/api/plcs/press-1/tags/batch_size", {"value": 1})).status_code == 200
        problem_of(await put(writer, "/api/start/press-1"), 403, "not-permitted")

    async def test_is_asked_for_at_the_next_call(self, mes: AsyncClient, press: PLC, key: str):
        await Grant.objects.filter(right=Right.EXECUTE).adelete()
        problem_of(await put(mes, "/api/start/press-1"), 403, "not-permitted")
        await agrant(await APIKey.objects.aget(), Right.EXECUTE)
        assert (await put(mes, "/api/start/press-1")).status_code == 200


class TestACeiling:
    @pytest.fixture
    async def small(self, press: PLC) -> AsyncClient:
        """May start batches of up to 500."""
        return await key_with("small", Right.EXECUTE, plc=press, ceilings={"batch_size": 500, "nok_num": 5})

    def names(self, answer: HttpResponse | dict[str, Any]) -> dict[str, str]:
        told = answer if isinstance(answer, dict) else problem_of(answer, 403, "above-ceiling")
        return {fault["field"]: fault["message"] for fault in told["errors"]}

    async def test_is_kept_by_the_caller_s_own_names(self, mes: AsyncClient, small: AsyncClient, machine: FaultServer):
        assert (await put(small, "/api/start/press-1", {"batsize": 500})).status_code == 200
        told = machine.requests[:]
        answer = await put(small, "/api/start/press-1", {"batsize": 501, "noksize": 6})
        assert self.names(answer).keys() == {"batsize", "noksize"}
        assert self.names(answer)["batsize"] == "501 is above your ceiling of 500"
        assert "batsize: 501 is above" in answer.json()["detail"]
        answer = await post(small, "/api/plcs/press-1/commands/start_batch", {"batch_size": 501})
        assert self.names(answer).keys() == {"batch_size"}
        assert machine.requests == told

    async def test_holds_for_a_dry_run_too(self, mes: AsyncClient, small: AsyncClient, machine: FaultServer):
        answer = await post(small, "/api/plcs/press-1/commands/start_batch/check", {"batch_size": 501})
        assert self.names(answer).keys() == {"batch_size"}
        assert machine.requests == []

    async def test_is_looked_at_after_what_is_wrong(self, mes: AsyncClient, small: AsyncClient):
        answer = await put(small, "/api/start/press-1", {"batsize": 501, "noksize": "x"})
        assert faults_of(answer).keys() == {"noksize"}

    async def test_holds_for_a_default(self, mes: AsyncClient, press: PLC, machine: FaultServer):
        tiny = await key_with("tiny", Right.EXECUTE, plc=press, ceilings={"batch_size": 1})
        assert self.names(await put(tiny, "/api/start/press-1")).keys() == {"batsize"}
        assert machine.requests == []

    async def test_leaves_the_key_of_the_request_free(self, mes: AsyncClient, small: AsyncClient):
        named = {"Idempotency-Key": "order-1"}
        problem_of(await put(small, "/api/start/press-1", {"batsize": 501}, headers=named), 403, "above-ceiling")
        assert (await put(small, "/api/start/press-1", {"batsize": 500}, headers=named)).status_code == 200


class TestAGroupOfCommands:
    async def test_tells_each_its_own_refusal_in_its_place(self, mes: AsyncClient, press: PLC, machine: FaultServer):
        caller = await key_with("line", Right.EXECUTE, plc=press, commands="start_batch", ceilings={"batch_size": 5})
        commands = [
            {"plc": "press-2", "command": "start_batch"},
            {"plc": "press-1", "command": "reset_fault"},
            {"plc": "press-1", "command": "start_batch", "parameters": {"batch_size": 6}},
            {"plc": "press-1", "command": "start_batch", "parameters": {"batch_size": 5}},
        ]
        results = (await post(caller, "/api/runs", {"commands": commands})).json()["results"]
        codes = [result["problem"]["type"].rpartition(":")[2] for result in results[:3]]
        assert codes == ["unknown-plc", "not-permitted", "above-ceiling"]
        assert [result["status"] for result in results] == [404, 403, 403, 200]
        (fault,) = results[2]["problem"]["errors"]
        assert fault["field"] == "commands.2.parameters.batch_size"
        assert len(machine.writes_to(START)) == 2  # set and cleared, once


class TestARequestSentAgain:
    async def test_is_not_known_to_who_sees_its_machine_no_more(self, mes: AsyncClient, press: PLC, key: str):
        named = {"Idempotency-Key": "order-1"}
        assert (await put(mes, "/api/start/press-1", headers=named)).status_code == 200
        await Grant.objects.all().adelete()
        await agrant(await APIKey.objects.aget(), plc=await PLC.objects.aget(name="press-2"))
        hidden = await put(mes, "/api/start/press-1", headers=named)
        nothing = await put(mes, "/api/start/press-0", headers={"Idempotency-Key": "order-2"})
        problem_of(hidden, 404, "unknown-plc")
        assert without(hidden.content, "press-1") == without(nothing.content, "press-0")

    async def test_is_not_joined_by_who_sees_its_machine_no_more(self, mes: AsyncClient, machine: FaultServer, go):
        named = {"Idempotency-Key": "order-1"}
        first = asyncio.create_task(put(mes, "/api/start/press-1", headers=named))
        await until(lambda: bool(machine.writes_to(START)))
        await Grant.objects.all().adelete()
        problem_of(await put(mes, "/api/start/press-1", headers=named), 404, "unknown-plc")
        go.set()
        assert (await first).status_code == 200

    async def test_is_answered_to_who_may_only_look_by_now(self, mes: AsyncClient, machine: FaultServer):
        named = {"Idempotency-Key": "order-1"}
        first = await put(mes, "/api/start/press-1", headers=named)
        await Grant.objects.exclude(right=Right.VIEW).adelete()
        again = await put(mes, "/api/start/press-1", headers=named)
        assert (again["Idempotency-Replayed"], again.json()) == ("true", first.json())
        assert len(machine.writes_to(START)) == 2  # set and cleared, once


class TestCancelling:
    async def cancelled(self, who: AsyncClient, press: PLC, **fields: Any) -> int:
        run = await a_run(press, state=State.QUEUED, **fields)
        return (await post(who, f"/api/runs/{run.pk}/cancel")).status_code

    async def test_is_for_who_asked_though_he_may_not_ask_any_more(self, mes: AsyncClient, viewer, press: PLC):
        assert await self.cancelled(viewer, press, caller="key viewer") == 200

    async def test_is_for_who_may_ask_for_the_same(self, mes: AsyncClient, press: PLC):
        starter = await key_with("starter", Right.EXECUTE, plc=press, commands="start_batch")
        writer = await key_with("writer", Right.WRITE, plc=press)
        commands = ("start_batch", "reset_fault", "write batch_size")
        for who, expected in ((starter, [200, 403, 403]), (writer, [403, 403, 200])):
            assert [await self.cancelled(who, press, command=command) for command in commands] == expected


class TestAPerson:
    @pytest.fixture
    async def browser(self, mes: AsyncClient) -> AsyncClient:
        """Otto is logged in, a member of the shift, and was granted nothing."""
        otto = await User.objects.acreate_user("otto", password="pw")
        await otto.groups.aadd(await Group.objects.acreate(name="shift"))
        client = AsyncClient()
        await client.aforce_login(otto)
        return client

    async def test_sees_nothing_without_a_grant(self, browser: AsyncClient):
        assert (await browser.get("/api/plcs")).json() == {"plcs": []}
        assert (await browser.get("/api/runs")).json()["runs"] == []
        problem_of(await browser.get("/api/plcs/press-1"), 404, "unknown-plc")

    async def test_holds_what_his_group_was_given_until_it_is_taken_away(self, browser: AsyncClient, press: PLC):
        (given,) = await agrant(await Group.objects.aget(name="shift"), Right.EXECUTE, plc=press)
        assert (await put(browser, "/api/start/press-1")).status_code == 200
        await given.adelete()
        problem_of(await put(browser, "/api/start/press-1"), 404, "unknown-plc")

    async def test_holds_no_more_what_his_group_has_once_he_has_left_it(self, browser: AsyncClient, press: PLC):
        shift = await Group.objects.aget(name="shift")
        await agrant(shift, Right.EXECUTE, plc=press)
        assert (await browser.get("/api/plcs/press-1")).status_code == 200
        await sync_to_async(shift.user_set.clear)()
        problem_of(await browser.get("/api/plcs/press-1"), 404, "unknown-plc")


class TestAStranger:
    DOCS = ("/api/docs", "/api/openapi.json", "/api/plcs/press-1/docs", "/api/plcs/press-1/openapi.json")

    @pytest.mark.parametrize("address", DOCS)
    async def test_is_shown_no_docs(self, mes: AsyncClient, async_client: AsyncClient, address: str):
        problem_of(await async_client.get(address), 401, "unauthorized")
        problem_of(await async_client.get(address, headers={"X-API-Key": "x"}), 401, "unauthorized")
        assert (await mes.get(address)).status_code == 200

    @pytest.mark.parametrize("address", ["/api/docs", "/api/plcs/press-1/docs", "/api/plcs/press-0/docs"])
    async def test_is_sent_to_log_in_where_he_has_a_browser(self, mes, async_client: AsyncClient, address: str):
        answer = await async_client.get(address, headers={"accept": "text/html,application/xhtml+xml,*/*;q=0.8"})
        assert (answer.status_code, answer["Location"]) == (302, f"/admin/login/?next={address}")

    @pytest.mark.parametrize("address", DOCS)
    async def test_changes_no_docs(self, mes: AsyncClient, address: str):
        client = AsyncClient(enforce_csrf_checks=True)
        problem_of(await post(client, address), 405, "method-not-allowed")

    async def test_is_told_who_may_call_and_not_that_his_token_is_missing(self, mes, async_client: AsyncClient):
        client = AsyncClient(enforce_csrf_checks=True)
        client.cookies["sessionid"] = "forged" * 6
        problem_of(await put(client, "/api/start/press-1"), 401, "unauthorized")
        problem_of(await client.get("/api/runs"), 401, "unauthorized")

    async def test_is_told_whether_the_gateway_is_well_and_no_more(self, mes, async_client: AsyncClient):
        for address in ("/api/health/live", "/api/health/ready"):
            assert json.loads((await async_client.get(address)).content).keys() == {"status"}
