"""Who gets what from each WebSocket, at each message that a page may send."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings
from django.test import AsyncClient

from devices.live.urls import websocket_urlpatterns
from devices.models import PLC
from plcsite.asgi import application
from tests.live.conftest import Closed, Page
from tests.security.callers import CALLERS, everybody

#                                    viewer   engineer  auditor   key    revoked
#                          anonymous  | operator |  MES   | security | other |
#                                 |   |    |     |    |   |    |     |   |   |
ANSWERS = """
ws/live/            (opened)    4401 all  all   all  all  all none  4401 4401 4401
ws/live/            reading     4401 all  all   all  all  all none  4401 4401 4401
ws/live/            resync      4401 all  all   all  all  all none  4401 4401 4401
ws/plcs/<str:plc>/  (opened)    4401 all  all   all  all  all 4404  4401 4401 4401
ws/plcs/<str:plc>/  reading     4401 all  all   all  all  all 4404  4401 4401 4401
ws/plcs/<str:plc>/  resync      4401 all  all   all  all  all 4404  4401 4401 4401
"""
"""`all`: a snapshot with every PLC that the page shows; `none`: one without any; else the code of the close.

A key opens no page: whoever shows one is a stranger there.
"""


def rows() -> Iterator[tuple[str, str, list[str]]]:
    for line in ANSWERS.strip().splitlines():
        address, message, *answers = line.split()
        yield address, message, answers


class TestEverySocket:
    def test_has_a_row_for_each_message(self):
        served = {str(route.pattern) for route in websocket_urlpatterns}
        assert {(address, message) for address, message, _ in rows()} == {
            (address, message) for address in served for message in ("(opened)", "reading", "resync")
        }
        assert all(len(answers) == len(CALLERS) for _, _, answers in rows())

    async def test_answers_each_caller_as_the_table_says(
        self, press: PLC, roles, gateway, settings, subtests: pytest.Subtests
    ):
        settings.LIVE_PUBLIC = False
        callers = await everybody(press, await PLC.objects.aget(name="press-2"))
        for address, message, answers in rows():
            for caller, wanted in zip(CALLERS, answers, strict=True):
                with subtests.test(address, message=message, caller=caller):
                    assert await seen(callers[caller], address, message) == wanted


async def seen(client: AsyncClient, address: str, message: str) -> str:
    """What a page of this caller gets after it sent the message."""
    try:
        async with Page(
            application, address="/" + address.replace("<str:plc>", "press-1"), headers=headers(client)
        ) as page:
            snapshot = await page.snapshot()
            if message != "(opened)":
                await page.socket.send_to(text_data=json.dumps({"type": message}))
            if message == "resync":
                snapshot = await page.snapshot()
    except Closed as end:
        return str(end.code)
    shown, there = [plc["name"] for plc in shown_in(snapshot)], await names_at(address)
    return "all" if shown == there else f"{len(shown)} of {len(there)}" if shown else "none"


def shown_in(snapshot: dict[str, Any]) -> list[dict[str, Any]]:
    return snapshot["plcs"] if "plcs" in snapshot else [snapshot["plc"]]


async def names_at(address: str) -> list[str]:
    """Of the PLCs that somebody who sees all of them finds there."""
    if "<str:plc>" in address:
        return ["press-1"]
    return [name async for name in PLC.objects.order_by("name").values_list("name", flat=True)]


def headers(client: AsyncClient) -> list[tuple[bytes, bytes]]:
    """A browser's: its cookie and where the page came from; a key, if it has one."""
    session = client.cookies.get(settings.SESSION_COOKIE_NAME)
    sent = [(b"origin", b"http://localhost"), (b"host", b"localhost")]
    if session:
        sent.append((b"cookie", f"{settings.SESSION_COOKIE_NAME}={session.value}".encode()))
    if key := client.defaults.get("X_API_KEY"):
        sent.append((b"x-api-key", key.encode()))
    return sent
