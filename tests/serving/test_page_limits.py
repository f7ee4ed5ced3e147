"""Who is let in to a real socket, and how many pages; a right that is taken away while a page is open."""

import asyncio
import json
from contextlib import suppress
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import AsyncClient
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from devices.live.messages import CloseCode
from devices.management import demo_registry
from devices.models import PLC, Right
from tests import prepared
from tests.access import agrant
from tests.serving.process import RunningServer

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def registry(transactional_db: None) -> None:
    """The demo's machines, none of which is there."""
    prepared.put_in(demo_registry.create)


@pytest.fixture
def environment(environment: dict[str, str]) -> dict[str, str]:
    return {
        **environment,
        "LIVE_PUBLIC": "0",
        "PAGES_PER_CALLER": "2",
        "DJANGO_SETTINGS_MODULE": "tests.serving.watchful",
    }


@pytest.fixture
async def anna(transactional_db: None) -> User:
    return await User.objects.acreate_user("anna")


@pytest.fixture
async def cookie(anna: User) -> dict[str, str]:
    """Of a session of Anna's."""
    client = AsyncClient()
    await client.aforce_login(anna)
    return {"Cookie": f"sessionid={client.cookies['sessionid'].value}"}


async def snapshot(page: ClientConnection) -> dict[str, Any]:
    """The next one; beats are answered."""
    while (frame := json.loads(await page.recv())).get("type") != "snapshot":
        await page.send('{"type":"reading"}')
    return frame


async def closed(page: ClientConnection) -> int | None:
    with suppress(ConnectionClosed):
        async with asyncio.timeout(20):
            while await page.recv():
                await page.send('{"type":"reading"}')
    return page.close_code


class TestAnOrigin:
    async def test_of_somebody_else_or_none_is_refused_also_with_a_good_session(
        self, server: RunningServer, cookie: dict[str, str], anna: User
    ):
        await agrant(anna)
        foreign = ("https://evil.example", "http://127.0.0.1.evil.example", "null", "file://", None)
        for address in ("/ws/live/", "/ws/plcs/press-1/", "/ws/elsewhere/"):
            for origin in foreign:
                with pytest.raises(InvalidStatus) as refusal:
                    await connect(f"{server.socket_url}{address}", origin=origin, additional_headers=cookie)
                assert refusal.value.response.status_code == 403, (address, origin)
            with pytest.raises(InvalidStatus) as refusal:
                await connect(f"{server.socket_url}{address}", origin="", additional_headers=cookie)
            assert refusal.value.response.status_code == 400

    async def test_of_our_own_is_let_in(self, server: RunningServer, cookie: dict[str, str], anna: User):
        await agrant(anna)
        async with connect(f"{server.socket_url}/ws/live/", origin=server.url, additional_headers=cookie) as page:
            assert len((await snapshot(page))["plcs"]) == 5

    async def test_lets_nobody_in_without_a_session(self, server: RunningServer):
        for forged in ({}, {"Cookie": f"sessionid={'a' * 32}"}):
            async with connect(f"{server.socket_url}/ws/live/", origin=server.url, additional_headers=forged) as page:
                assert await closed(page) == CloseCode.LOG_IN


class TestOpenPages:
    async def test_are_bounded_and_a_closed_one_makes_room(
        self, server: RunningServer, cookie: dict[str, str], anna: User
    ):
        await agrant(anna)
        given = {"uri": f"{server.socket_url}/ws/live/", "origin": server.url, "additional_headers": cookie}
        async with connect(**given) as first, connect(**given) as second:
            for page in (first, second):
                await snapshot(page)
            async with connect(**given) as third:
                assert await closed(third) == CloseCode.CROWDED
            first.transport.abort()  # as a computer that is switched off
            await second.close()
        for _ in range(3):
            async with connect(**given) as again, connect(**given) as other:
                for page in (again, other):
                    assert (await snapshot(page))["type"] == "snapshot"


class TestARight:
    async def test_that_is_taken_away_closes_the_page(self, server: RunningServer, cookie: dict[str, str], anna: User):
        press = await PLC.objects.aget(name="press-1")
        await agrant(anna, Right.VIEW, plc=press)
        url = f"{server.socket_url}/ws"
        async with (
            connect(f"{url}/plcs/press-1/", origin=server.url, additional_headers=cookie) as page,
            connect(f"{url}/live/", origin=server.url, additional_headers=cookie) as overview,
        ):
            await snapshot(page)
            assert [plc["name"] for plc in (await snapshot(overview))["plcs"]] == ["press-1"]
            await anna.grants.all().adelete()
            assert await closed(page) == CloseCode.GONE
            shown = await snapshot(overview)
            while shown["plcs"]:
                shown = await snapshot(overview)
            anna.is_active = False
            await anna.asave()
            assert await closed(overview) == CloseCode.LOG_IN
