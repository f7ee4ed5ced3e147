"""A run that nobody knows the end of: what a MES may have read, and what a person may say."""

from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import Permission, User
from django.test import AsyncClient

from devices.api.schemas import ClauseOut, ProblemOut, RunWithTraceOut
from devices.models import PLC, Command, Run, Step, Tag
from tests.api.callers import faults_of, post, problem_of, put
from tests.control import doubtful
from tests.doubles import faults
from tests.doubles.fault_server import FaultServer

RUNNING_BIT = 8  # discrete input
SEEN = "parts lie in the tray"
DONE = {"state": "succeeded", "reason": SEEN}


@sync_to_async
def _add_proof(press: PLC) -> None:
    start = Command.objects.get(profile=press.profile_id, name="start_batch")
    tag, _ = Tag.objects.get_or_create(
        profile=start.profile,
        table="discrete_input",
        address=RUNNING_BIT,
        defaults={"name": "active", "data_type": "bool"},
    )
    Step.objects.create(command=start, phase="proof", tag=tag, operator="==", value="1")


@pytest.fixture
async def lost(mes: AsyncClient, press: PLC, machine: FaultServer) -> dict[str, Any]:
    """A start whose answer was lost: what the MES was told."""
    await _add_proof(press)
    machine.swallow_answer_to("start")
    run = problem_of(await put(mes, "/api/start/press-1"), 504, "run-unknown")["run"]
    await doubtful.define(run["id"], (await doubtful.registered()).commands["start_batch"])
    machine.requests.clear()
    return run


@pytest.fixture
async def anna_s(anna: User, mes: AsyncClient) -> AsyncClient:
    """Anna is logged in, may say what a machine did, and sends her token."""
    await anna.user_permissions.aadd(await Permission.objects.aget(codename="change_run"))
    client = AsyncClient(enforce_csrf_checks=True, X_CSRFTOKEN="a" * 32)
    await client.aforce_login(anna)
    client.cookies["csrftoken"] = "a" * 32
    return client


def address(run: dict[str, Any]) -> str:
    return f"/api/runs/{run['id']}/reconcile"


async def shown(mes: AsyncClient, run: dict[str, Any]) -> dict[str, Any]:
    """The run as it is now, without what only the long form has."""
    told = (await mes.get(f"/api/runs/{run['id']}")).json()
    return {name: told[name] for name in run}


class TestARead:
    async def test_that_proves_it_answers_the_settled_run(
        self, mes: AsyncClient, machine: FaultServer, lost: dict[str, Any]
    ):
        machine.discrete_inputs[RUNNING_BIT] = 1
        answer = await post(mes, address(lost))
        assert answer.status_code == 200
        told = answer.json()
        assert (told["state"], told["effect"], told["retry"]) == ("succeeded", "applied", "")
        (earlier,) = told["history"]
        assert (earlier["state"], earlier["detail"], earlier["by"]) == ("unknown", lost["detail"], "key mes-line-1")
        assert told == (await mes.get(f"/api/runs/{lost['id']}")).json()
        RunWithTraceOut.model_validate(told)
        assert machine.writes == []

    async def test_that_does_not_prove_it_leaves_the_run_and_shows_each_clause(
        self, mes: AsyncClient, machine: FaultServer, lost: dict[str, Any]
    ):
        told = problem_of(await post(mes, address(lost)), 409, "not-proven")
        assert told["run"] == lost == await shown(mes, lost)
        (clause,) = told["clauses"]
        assert clause.keys() == ClauseOut.model_fields.keys()
        assert not clause["is_met"]
        assert clause["detail"] in told["detail"]
        ProblemOut.model_validate(told)
        assert machine.writes == []

    async def test_that_could_not_tell_says_why(self, mes: AsyncClient, machine: FaultServer, lost: dict[str, Any]):
        await put(mes, "/api/start/press-1")
        machine.discrete_inputs[RUNNING_BIT] = 1
        machine.requests.clear()
        told = problem_of(await post(mes, address(lost)), 409, "not-provable")
        assert "a later run told the machine too" in told["detail"]
        assert told["run"] == lost
        assert machine.requests == []

    async def test_that_the_plc_does_not_answer_may_be_asked_for_again(
        self, mes: AsyncClient, machine: FaultServer, lost: dict[str, Any]
    ):
        machine.misbehave(faults.mute, times=None)
        problem_of(await post(mes, address(lost)), 503, "plc-not-read")
        assert await shown(mes, lost) == lost
        machine.behave()

    async def test_of_what_is_known_or_not_recorded_is_refused(self, mes: AsyncClient, press: PLC):
        done = (await put(mes, "/api/start/press-1")).json()
        assert problem_of(await post(mes, address(done)), 409, "run-settled")["run"] == done
        problem_of(await post(mes, "/api/runs/999/reconcile"), 404, "unknown-run")
        assert faults_of(await post(mes, "/api/runs/x/reconcile")).keys() == {"run"}


class TestAVerdict:
    async def test_of_a_person_settles_the_run(
        self, mes: AsyncClient, machine: FaultServer, anna_s: AsyncClient, lost: dict[str, Any]
    ):
        answer = await post(anna_s, address(lost), {"state": "faulted", "effect": "none", "reason": SEEN})
        assert answer.status_code == 200
        told = answer.json()
        assert (told["state"], told["effect"]) == ("faulted", "none")
        assert "user anna" in told["detail"]
        assert SEEN in told["detail"]
        assert told["history"][0]["by"] == "user anna"
        assert machine.requests == []
        assert problem_of(await post(anna_s, address(lost), DONE), 409, "run-settled")["run"]["state"] == "faulted"

    async def test_of_a_key_is_refused(self, mes: AsyncClient, machine: FaultServer, lost: dict[str, Any]):
        told = problem_of(await post(mes, address(lost), DONE), 403, "person-needed")
        assert "only a person" in told["detail"]
        assert await shown(mes, lost) == lost

    async def test_of_a_user_without_the_right_is_refused_until_he_is_given_it(
        self, mes: AsyncClient, anna: User, anna_s: AsyncClient, lost: dict[str, Any]
    ):
        await anna.user_permissions.aclear()
        told = problem_of(await post(anna_s, address(lost), DONE), 403, "right-missing")
        assert "devices.change_run (Can change run)" in told["detail"]
        assert await shown(mes, lost) == lost
        await anna.user_permissions.aadd(await Permission.objects.aget(codename="change_run"))
        assert (await post(anna_s, address(lost), DONE)).status_code == 200

    async def test_of_a_superuser_needs_no_more(self, anna: User, anna_s: AsyncClient, lost: dict[str, Any]):
        await anna.user_permissions.aclear()
        await User.objects.aupdate(is_superuser=True)
        assert (await post(anna_s, address(lost), DONE)).status_code == 200

    async def test_of_a_user_without_the_right_may_be_a_read(
        self, mes: AsyncClient, machine: FaultServer, anna: User, anna_s: AsyncClient, lost: dict[str, Any]
    ):
        await anna.user_permissions.aclear()
        machine.discrete_inputs[RUNNING_BIT] = 1
        assert (await post(anna_s, address(lost))).status_code == 200

    async def test_without_the_session_s_token_is_refused(self, mes: AsyncClient, anna: User, lost: dict[str, Any]):
        client = AsyncClient(enforce_csrf_checks=True)
        await client.aforce_login(anna)
        problem_of(await post(client, address(lost), DONE), 403, "forbidden")
        assert await shown(mes, lost) == lost

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({"state": "succeeded"}, "reason"),
            ({"reason": SEEN}, "state"),
            ({"state": "unknown", "reason": SEEN}, "state"),
            ({"state": "faulted", "reason": SEEN}, "effect"),
            (DONE | {"why": "x"}, "why"),
            (DONE | {"reason": "x" * 501}, "reason"),
            (DONE | {"reason": ["x"] * 20}, "reason"),
        ],
    )
    async def test_that_is_incomplete_names_the_field(
        self, mes: AsyncClient, anna_s: AsyncClient, lost: dict[str, Any], body: dict[str, Any], field: str
    ):
        assert faults_of(await post(anna_s, address(lost), body)).keys() == {field}
        assert await shown(mes, lost) == lost
        assert (await Run.objects.aget()).version == lost["version"]
