"""A session ends 8 hours after the login, and half an hour after its last request; watching a page is no request."""

import asyncio
import time
from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
from asgiref.sync import sync_to_async
from channels.testing import WebsocketCommunicator
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.test import AsyncClient
from django.utils import timezone

from devices.live.consumer import PageConsumer
from devices.live.messages import CloseCode
from plcsite import sessions
from plcsite.asgi import application
from tests.access import agrant

pytestmark = pytest.mark.django_db(transaction=True)

HOUR_S = 3600


class Clock:
    """The wall clock of sessions and of the database's ends of them."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def time(self) -> float:
        return time.time() + self.ahead_s

    def now(self) -> datetime:
        return timezone.now() + timedelta(seconds=self.ahead_s)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    """Goes on as the test says."""
    clock = Clock()
    monkeypatch.setattr(sessions, "time", clock)
    for module in ("django.contrib.sessions.backends.db", "django.contrib.sessions.backends.base", "plcsite.sessions"):
        monkeypatch.setattr(f"{module}.timezone", clock)
    return clock


@pytest.fixture
async def anna(clock: Clock) -> AsyncClient:
    """Has just logged in."""
    user = await User.objects.acreate_user("anna", password="pw")
    await agrant(user)
    client = AsyncClient()
    await client.aforce_login(user)
    return client


async def is_known(client: AsyncClient) -> bool:
    answer = await client.get("/api/runs")
    assert answer.status_code in (200, 401)
    return answer.status_code == 200


class TestASession:
    async def test_goes_on_while_it_is_used(self, anna: AsyncClient, clock: Clock):
        for _ in range(16):
            clock.ahead_s += HOUR_S / 2 - 60
            assert await is_known(anna)

    async def test_ends_half_an_hour_after_its_last_use(self, anna: AsyncClient, clock: Clock):
        clock.ahead_s = HOUR_S / 4
        assert await is_known(anna)
        clock.ahead_s += HOUR_S / 2 + 1
        assert not await is_known(anna)

    async def test_ends_eight_hours_after_the_login_however_it_is_used(self, anna: AsyncClient, clock: Clock):
        for _ in range(31):
            clock.ahead_s += HOUR_S / 4
            assert await is_known(anna)
        clock.ahead_s = 8 * HOUR_S + 1
        assert not await is_known(anna)

    async def test_is_stored_once_a_minute_at_most(self, anna: AsyncClient, clock: Clock, monkeypatch):
        stored = []
        save = sessions.SessionStore.save
        monkeypatch.setattr(sessions.SessionStore, "save", lambda self, *args: stored.append(1) or save(self, *args))
        for _ in range(10):
            assert await is_known(anna)
        assert stored == []
        clock.ahead_s = 61
        for _ in range(10):
            assert await is_known(anna)
        assert len(stored) == 1

    async def test_that_was_ended_meanwhile_does_not_spoil_the_answer(
        self, anna: AsyncClient, clock: Clock, monkeypatch
    ):
        """A command that was carried out is not called a bad request."""
        clock.ahead_s = 61
        load = sessions.SessionStore.load

        def load_and_log_out(store):
            found = load(store)
            Session.objects.all().delete()
            return found

        async def aload_and_log_out(store):
            return await sync_to_async(load_and_log_out)(store)

        monkeypatch.setattr(sessions.SessionStore, "load", load_and_log_out)
        monkeypatch.setattr(sessions.SessionStore, "aload", aload_and_log_out)
        assert (await anna.get("/api/runs")).status_code == 200
        assert not await Session.objects.aexists()


class TestAnOpenPage:
    @pytest.fixture
    async def socket(self, anna: AsyncClient, settings, monkeypatch):
        settings.LIVE_PUBLIC = False
        monkeypatch.setattr(PageConsumer, "check_s", 0.05)
        cookie = f"sessionid={anna.cookies['sessionid'].value}".encode()
        headers = [(b"origin", b"http://localhost"), (b"cookie", cookie)]
        page = WebsocketCommunicator(application, "/ws/live/", headers=headers)
        assert (await page.connect())[0]
        await page.receive_json_from(timeout=10)
        yield page
        await page.disconnect()

    async def test_goes_on_without_a_click_and_is_no_use_of_the_session(self, socket, anna, clock: Clock):
        clock.ahead_s = HOUR_S / 2 + 1
        assert await socket.receive_nothing(timeout=0.5)
        assert not await is_known(anna)

    async def test_comes_back_after_its_connection_was_lost(self, socket, anna, clock: Clock):
        clock.ahead_s = 2 * HOUR_S
        cookie = f"sessionid={anna.cookies['sessionid'].value}".encode()
        again = WebsocketCommunicator(
            application, "/ws/live/", headers=[(b"origin", b"http://localhost"), (b"cookie", cookie)]
        )
        assert (await again.connect())[0]
        assert (await again.receive_json_from(timeout=10))["type"] == "snapshot"
        await again.disconnect()

    async def test_ends_with_the_session(self, socket, clock: Clock):
        clock.ahead_s = 8 * HOUR_S + 1
        async with asyncio.timeout(10):
            closed = await socket.receive_output(timeout=10)
        assert closed == {"type": "websocket.close", "code": int(CloseCode.LOG_IN)} | closed
