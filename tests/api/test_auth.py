"""Who may call: keys and sessions, and nobody else."""

import asyncio
import re
import zlib

import pytest
from django.contrib.auth.models import User
from django.http import HttpResponse
from django.test import AsyncClient
from django.utils import timezone

from devices.api import auth, keys
from devices.control import kept
from devices.control.gateway import Gateway
from devices.models import APIKey, Run, stamps
from devices.models.access import key_id_of
from devices.models.stamps import Kind
from tests.api.callers import post, problem_of, put, rename
from tests.doubles.fault_server import FaultServer

pytestmark = pytest.mark.django_db(transaction=True)

PRESS = "/api/start/press-1"


def refused(answer: HttpResponse) -> dict:
    """The 401 that it is."""
    assert answer["WWW-Authenticate"] == "ApiKey"
    return problem_of(answer, 401, "unauthorized")


@pytest.fixture
def stranger() -> AsyncClient:
    """Shows nothing."""
    return AsyncClient(enforce_csrf_checks=True)


@pytest.fixture
async def logged_in(anna: User, mes: AsyncClient) -> AsyncClient:
    """Anna is logged in."""
    client = AsyncClient(enforce_csrf_checks=True)
    await client.aforce_login(anna)
    return client


class TestAKey:
    async def test_opens_the_api(self, mes: AsyncClient):
        assert (await mes.get("/api/plcs")).status_code == 200

    async def test_is_asked_for_everywhere(self, stranger: AsyncClient, mes: AsyncClient, machine: FaultServer):
        refused(await put(stranger, PRESS))
        refused(await post(stranger, "/api/plcs/press-1/commands/reset_fault"))
        for address in ("/api/plcs", "/api/plcs/press-1", "/api/plcs/press-1/commands", "/api/runs", "/api/runs/1"):
            refused(await stranger.get(address))
        assert machine.requests == []

    async def test_that_is_wrong_is_refused_alike_in_every_way(self, mes: AsyncClient, key: str):
        row = APIKey(name="stranger")
        unknown = row.issue()  # well-formed, never stored
        revoked = APIKey(name="old", revoked_at=timezone.now())
        was_valid = revoked.issue()
        await revoked.asave()
        wrong_secret = key[:30] + ("0" if key[30] != "0" else "1") + key[31:]
        wrong = [None, "", "x", "pgw_live_1_2_00000000", "ü" * 100, "x" * 5000, key[:-1], key + " x"]
        texts = set()
        for shown in (*wrong, unknown, was_valid, wrong_secret):
            client = AsyncClient(**({} if shown is None else {"X_API_KEY": shown}))
            texts.add((await put(client, PRESS)).content)
            refused(await put(client, PRESS))
        assert len(texts) == 1
        assert not await Run.objects.aexists()

    async def test_with_a_right_id_and_a_made_up_secret_is_refused(self, mes: AsyncClient, key: str):
        text = "_".join([*key.split("_")[:3], "0" * 64])
        forged = f"{text}_{zlib.crc32(text.encode()):08x}"
        assert key_id_of(forged) == key_id_of(key)
        refused(await put(AsyncClient(X_API_KEY=forged), PRESS))

    async def test_that_is_wrong_does_not_fall_back_on_a_session(self, logged_in: AsyncClient):
        assert (await logged_in.get("/api/plcs")).status_code == 200
        refused(await logged_in.get("/api/plcs", X_API_KEY="x"))

    async def test_works_at_once_and_not_after_it_is_revoked(self, mes: AsyncClient):
        await mes.get("/api/plcs")
        row = APIKey(name="new")
        client = AsyncClient(X_API_KEY=row.issue())
        refused(await client.get("/api/plcs"))
        await row.asave()
        assert (await client.get("/api/plcs")).status_code == 200
        row.revoked_at = timezone.now()
        await row.asave()
        refused(await client.get("/api/plcs"))

    async def test_costs_the_database_one_look_however_many_call(
        self, mes: AsyncClient, key: str, monkeypatch: pytest.MonkeyPatch
    ):
        looks = []
        look = stamps.version
        monkeypatch.setattr(kept, "version", lambda kind: looks.append(kind) or look(kind))
        monkeypatch.setattr(keys, "LOOK_S", 60)
        await asyncio.gather(*(mes.get("/api/plcs") for _ in range(20)))
        for _ in range(20):
            await AsyncClient(X_API_KEY=APIKey().issue()).get("/api/plcs")
        assert looks.count(Kind.ACCESS) <= 1

    async def test_that_cannot_be_looked_up_is_not_called_wrong(self, mes: AsyncClient, monkeypatch):
        monkeypatch.setattr(keys, "LOOK_S", 0)
        await rename("devices_stamp", "elsewhere")
        try:
            told = problem_of(await put(mes, PRESS), 503, "record-unavailable")
        finally:
            await rename("elsewhere", "devices_stamp")
        assert "table" not in told["detail"]  # the database's own words are for the log

    async def test_names_its_owner_stably(self):
        assert [str(method) for method in (auth.ApiKey(), auth.Session())] == ["api-key", "session"]


class TestASession:
    async def test_reads(self, logged_in: AsyncClient):
        assert (await logged_in.get("/api/runs")).status_code == 200

    async def test_starts_nothing_without_its_token(self, logged_in: AsyncClient, machine: FaultServer):
        told = problem_of(await put(logged_in, PRESS), 403, "forbidden")
        assert "X-CSRFToken" in told["detail"]
        assert machine.requests == []

    async def test_starts_nothing_with_a_wrong_token(self, logged_in: AsyncClient, machine: FaultServer):
        logged_in.cookies["csrftoken"] = "a" * 32
        problem_of(await put(logged_in, PRESS, X_CSRFTOKEN="b" * 32), 403, "forbidden")
        problem_of(await put(logged_in, PRESS), 403, "forbidden")
        assert machine.requests == []

    async def test_starts_nothing_from_another_site(self, logged_in: AsyncClient):
        logged_in.cookies["csrftoken"] = "a" * 32
        answer = await put(logged_in, PRESS, X_CSRFTOKEN="a" * 32, ORIGIN="http://evil.test")
        problem_of(answer, 403, "forbidden")

    async def test_starts_with_its_token_in_the_user_s_name(self, logged_in: AsyncClient):
        logged_in.cookies["csrftoken"] = "a" * 32
        answer = await put(logged_in, PRESS, X_CSRFTOKEN="a" * 32)
        assert (answer.status_code, answer.json()["caller"]) == (200, "user anna")

    async def test_of_the_api_docs_brings_its_token(self, logged_in: AsyncClient):
        page = (await logged_in.get("/api/docs")).content.decode()
        assert 'data-api-csrf="true"' in page
        token = re.search(r'data-csrf-token="(\w+)"', page)
        assert (await put(logged_in, PRESS, X_CSRFTOKEN=token[1])).status_code == 200

    async def test_of_a_disabled_user_is_refused(self, logged_in: AsyncClient, anna: User):
        anna.is_active = False
        await anna.asave()
        refused(await logged_in.get("/api/plcs"))

    async def test_that_was_never_one_is_refused(self, stranger: AsyncClient, gateway: Gateway):
        stranger.cookies["sessionid"] = "x" * 32
        refused(await stranger.get("/api/plcs"))

    async def test_may_not_send_its_token_in_a_form(self, logged_in: AsyncClient):
        logged_in.cookies["csrftoken"] = "a" * 32
        answer = await logged_in.post("/api/plcs/press-1/commands/reset_fault", {"csrfmiddlewaretoken": "a" * 32})
        problem_of(answer, 415, "wrong-content-type")
