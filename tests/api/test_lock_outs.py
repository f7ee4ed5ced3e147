"""A PLC locked out for maintenance over the API: 423 for every command, and who may say so."""

import json
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import AsyncClient
from django.utils import timezone

from devices.models import PLC, LockOut, Right, Run
from tests.access import agrant, anew_key
from tests.api.callers import faults_of, post, problem_of, put
from tests.doubles.fault_server import FaultServer

pytestmark = pytest.mark.django_db(transaction=True)

PRESS = "/api/plcs/press-1"
LOCK = f"{PRESS}/lock-out"
REASON = {"reason": "I replace the belt"}
BODY = {"put": {"data": json.dumps(REASON), "content_type": "application/json"}}


async def logged_in(name: str, *rights: Right) -> AsyncClient:
    """Somebody with these rights on all PLCs, and nothing else."""
    user = await User.objects.acreate_user(name)
    await agrant(user, *rights)
    client = AsyncClient()
    await client.aforce_login(user)
    return client


@pytest.fixture
async def eva(mes: AsyncClient) -> AsyncClient:
    """An engineer, at a running gateway that knows `press-1`."""
    return await logged_in("eva", Right.ADMINISTER)


class TestAPLCThatOneMustNotSee:
    @pytest.mark.parametrize("method", ["get", "put", "delete"])
    async def test_tells_nothing_by_its_number_not_even_its_name(self, mes: AsyncClient, method: str):
        """Whoever counts numbers up would read all names."""
        press = await PLC.objects.aget(name="press-1")
        stranger = AsyncClient(X_API_KEY=await anew_key("other", Right.ADMINISTER, area="Hall Z"))
        asked = [
            getattr(stranger, method)(f"/api/plcs/{number}/lock-out", **BODY.get(method, {}))
            for number in (press.pk, 999_999)
        ]
        there, nowhere = [problem_of(await answer, 404, "unknown-plc") for answer in asked]
        assert there["detail"] == nowhere["detail"].replace("999999", str(press.pk))


@pytest.fixture
async def anna(mes: AsyncClient) -> AsyncClient:
    """An operator."""
    return await logged_in("anna", Right.EXECUTE, Right.WRITE)


class TestALockedPLC:
    async def test_answers_every_way_to_tell_it_something_423_with_who_why_and_until_when(
        self, eva: AsyncClient, anna: AsyncClient, machine: FaultServer
    ):
        until = timezone.now() + timedelta(hours=1)
        assert (await put(eva, LOCK, {**REASON, "until": until.isoformat()})).status_code == 200
        answers = [
            await put(anna, "/api/start/press-1"),
            await post(anna, f"{PRESS}/commands/start_batch", {}),
            await post(anna, f"{PRESS}/commands/start_batch/check", {}),
            await put(anna, f"{PRESS}/tags/batch_size", {"value": 3}),
        ]
        for answer in answers:
            detail = problem_of(answer, 423, "plc-locked-out")["detail"]
            assert "by user eva" in detail
            assert f"until {until:%Y-%m-%d %H:%M} UTC: I replace the belt" in detail
        group = await post(anna, "/api/runs", {"commands": [{"plc": "press-1", "command": "start_batch"}]})
        (result,) = group.json()["results"]
        assert (group.status_code, result["status"]) == (207, 423)
        assert machine.requests == []
        assert await Run.objects.acount() == 0

    async def test_shows_it(self, eva: AsyncClient, anna: AsyncClient):
        assert (await anna.get(LOCK)).json() == {"lock_out": None}
        told = (await put(eva, LOCK, REASON)).json()["lock_out"]
        assert (told["by"], told["reason"], told["until"]) == ("user eva", "I replace the belt", None)
        assert (await anna.get(LOCK)).json() == {"lock_out": told}
        assert (await anna.get(PRESS)).json()["lock_out"] == told
        listed = {plc["name"]: plc["lock_out"] for plc in (await anna.get("/api/plcs")).json()["plcs"]}
        assert (listed["press-1"], listed["press-2"]) == (told, None)

    async def test_takes_commands_once_it_is_unlocked(self, eva: AsyncClient, anna: AsyncClient):
        await put(eva, LOCK, REASON)
        for _ in range(2):
            assert (await eva.delete(LOCK)).json() == {"lock_out": None}
        assert (await put(anna, "/api/start/press-1")).status_code == 200

    async def test_is_unlocked_by_none_but_those_who_administer_it(self, eva: AsyncClient, anna: AsyncClient):
        await put(eva, LOCK, REASON)
        problem_of(await anna.delete(LOCK), 403, "not-permitted")
        problem_of(await put(anna, LOCK, REASON), 403, "not-permitted")
        nemo = AsyncClient()
        await nemo.aforce_login(await User.objects.acreate_user("nemo"))
        problem_of(await nemo.delete(LOCK), 404, "unknown-plc")
        problem_of(await nemo.get(LOCK), 404, "unknown-plc")
        assert await LockOut.objects.filter(lifted_at=None).acount() == 1


class TestABody:
    async def test_that_is_wrong_is_refused_with_each_field_named(self, eva: AsyncClient):
        assert faults_of(await put(eva, LOCK, {})).keys() == {"reason"}
        assert faults_of(await put(eva, LOCK)).keys() == {"reason"}
        assert faults_of(await put(eva, LOCK, {"reason": "", "until": "soon"})).keys() == {"reason", "until"}
        assert faults_of(await put(eva, LOCK, {**REASON, "untill": None})).keys() == {"untill"}
        assert await LockOut.objects.acount() == 0

    async def test_may_say_null_for_no_end(self, eva: AsyncClient):
        assert (await put(eva, LOCK, {**REASON, "until": None})).status_code == 200
