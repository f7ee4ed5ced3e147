"""Who asks too often is told when to come back; nobody else notices."""

import zlib
from collections.abc import Iterator

import httpx
import pytest
from django.contrib.auth.models import User
from django.http import HttpResponse
from django.test import AsyncClient

from devices.api.rated import network_of
from devices.control.rates import COUNTS
from devices.models import APIKey, Run
from plcsite.asgi import application
from tests.access import anew_key
from tests.api.callers import problem_of, put
from tests.doubles.fault_server import FaultServer

pytestmark = pytest.mark.django_db(transaction=True)

PRESS = "/api/start/press-1"


@pytest.fixture(autouse=True)
def limits(settings) -> Iterator[None]:
    """Few, so that a test need not ask often."""
    settings.REQUESTS_PER_MINUTE, settings.FAILURES_PER_MINUTE = 3, 3
    COUNTS.forget()
    yield
    COUNTS.forget()


def too_many(answer: HttpResponse) -> str:
    """The 429 that it is, and what it says."""
    told = problem_of(answer, 429, "too-many-requests")
    assert 1 <= int(answer["Retry-After"]) <= 60
    return told["detail"]


class TestACaller:
    async def test_who_asks_too_often_is_told_and_moves_no_machine(self, mes: AsyncClient, machine: FaultServer):
        for _ in range(3):
            assert (await put(mes, PRESS)).status_code == 200
        seen = len(machine.requests)
        assert "more than 3 requests of key mes-line-1" in too_many(await put(mes, PRESS))
        assert len(machine.requests) == seen
        assert await Run.objects.acount() == 3

    async def test_does_not_take_from_another(self, mes: AsyncClient):
        for _ in range(4):
            answer = await mes.get("/api/plcs")
        too_many(answer)
        other = AsyncClient(X_API_KEY=await anew_key("mes-line-2"))
        assert (await other.get("/api/plcs")).status_code == 200

    async def test_who_is_logged_in_is_counted_too(self, mes: AsyncClient, anna: User):
        client = AsyncClient()
        await client.aforce_login(anna)
        for _ in range(3):
            assert (await client.get("/api/plcs")).status_code == 200
        too_many(await client.get("/api/plcs"))

    async def test_may_send_a_refused_command_again_under_its_key(
        self, mes: AsyncClient, machine: FaultServer, settings
    ):
        keyed = {"headers": {"Idempotency-Key": "order-1"}}
        for _ in range(3):
            await mes.get("/api/plcs")
        too_many(await put(mes, PRESS, {"batsize": 5}, **keyed))
        settings.REQUESTS_PER_MINUTE = 100
        assert (await put(mes, PRESS, {"batsize": 5}, **keyed)).status_code == 200
        assert machine.writes_to("start") == [1, 0]

    async def test_may_ask_as_often_as_it_likes_where_no_limit_is_set(self, mes: AsyncClient, settings):
        settings.REQUESTS_PER_MINUTE = 0
        assert [(await mes.get("/api/plcs")).status_code for _ in range(10)] == [200] * 10

    async def test_health_is_told_to_everybody_always(self, mes: AsyncClient):
        assert [(await mes.get("/api/health/ready")).status_code for _ in range(10)] == [200] * 10


class TestAStranger:
    async def test_without_a_key_is_told_to_wait(self, mes: AsyncClient):
        for _ in range(3):
            problem_of(await AsyncClient().get("/api/plcs"), 401, "unauthorized")
        assert "from this address" in too_many(await AsyncClient().get("/api/plcs"))

    async def test_with_made_up_keys_is_told_to_wait_and_stops_nobody_at_his_address(self, mes: AsyncClient):
        for _ in range(3):
            problem_of(await AsyncClient(X_API_KEY=APIKey().issue()).get("/api/plcs"), 401, "unauthorized")
        too_many(await AsyncClient(X_API_KEY=APIKey().issue()).get("/api/plcs"))
        assert (await mes.get("/api/plcs")).status_code == 200

    async def test_who_guesses_at_one_key_learns_no_more_after_a_while(self, mes: AsyncClient, key: str):
        """Not even that he has guessed right."""
        text = key.rpartition("_")[0][:-4] + "0000"
        guess = f"{text}_{zlib.crc32(text.encode()):08x}"
        for _ in range(3):
            problem_of(await AsyncClient(X_API_KEY=guess).get("/api/plcs"), 401, "unauthorized")
        too_many(await AsyncClient(X_API_KEY=guess).get("/api/plcs"))
        too_many(await mes.get("/api/plcs"))
        elsewhere = httpx.ASGITransport(application, client=("10.1.1.1", 1))
        async with httpx.AsyncClient(transport=elsewhere, base_url="http://localhost") as caller:
            assert (await caller.get("/api/plcs", headers={"X-API-Key": key})).status_code == 200

    async def test_with_keys_that_are_none_stops_nobody_who_is_logged_in_at_his_address(
        self, mes: AsyncClient, anna: User
    ):
        for _ in range(5):
            await AsyncClient(X_API_KEY="pgw_mistyped").get("/api/plcs")
        client = AsyncClient()
        await client.aforce_login(anna)
        assert (await client.get("/api/plcs")).status_code == 200

    async def test_gets_no_other_address_by_writing_one(self, mes: AsyncClient):
        for number in range(3):
            await AsyncClient().get("/api/plcs", headers={"X-Forwarded-For": f"10.0.0.{number}"})
        too_many(await AsyncClient().get("/api/plcs", headers={"X-Forwarded-For": "10.0.0.9"}))


class TestAnAddress:
    @pytest.mark.parametrize(
        ("address", "counted_as"),
        [
            ("10.0.0.1", "10.0.0.1"),
            ("2001:db8:1:2:aaaa::1", "2001:db8:1:2::/64"),
            ("2001:db8:1:2:bbbb::9", "2001:db8:1:2::/64"),
            ("::ffff:10.0.0.1", "10.0.0.1"),
            ("", ""),
            ("testserver", "testserver"),
        ],
    )
    async def test_counts_as_all_that_one_caller_has(self, address: str, counted_as: str):
        assert network_of(address) == counted_as
