"""Callers who hang up at any moment: the server keeps nothing of them, whichever event loop it runs on."""

import asyncio
import random
import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.doubles.leaks import settle
from tests.serving.process import RunningServer, manage, running_server

SITE = {"DJANGO_SETTINGS_MODULE": "tests.serving.site"}
TOGETHER = 100
LONGEST_S = 0.1  # that a caller stays
LINGER_NOT = struct.pack("ii", 1, 0)  # SO_LINGER: close sends a RST
HOST = b"Host: localhost\r\n"
EACH_ITS_OWN = httpx.Limits(max_keepalive_connections=0)
UPGRADE = (
    b"Connection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MTIzNDU2Nzg5MDEyMzQ1Ng==\r\n"
)
SENT = {
    "before the head is whole": b"GET /slow?s=0 HTTP/1.1\r\nHo",
    "amid the body": b"POST /length HTTP/1.1\r\n" + HOST + b"Content-Length: 100\r\n\r\nhalf",
    "while it is carried out": b"GET /slow?s=0.1 HTTP/1.1\r\n" + HOST + b"\r\n",
    "while the answer goes out": b"GET /long?n=2000000 HTTP/1.1\r\n" + HOST + b"\r\n",
    "as a page": b"GET /ws HTTP/1.1\r\n" + HOST + UPGRADE + b"\r\n",
}
"""What each has sent by then."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunningServer]:
    assert manage(tmp_path, "migrate", "--verbosity", "0").returncode == 0
    with running_server(tmp_path, env=SITE, migrate=False) as running:
        yield running


def come_and_go(port: int, sent: bytes, *, resets: bool) -> None:
    """All come and send; some go at once, so that their end arrives with their last bytes, and others a bit later."""
    callers = [socket.create_connection(("127.0.0.1", port)) for _ in range(TOGETHER)]
    for caller in callers:
        caller.sendall(sent)
        if resets:
            caller.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NOT)
        if random.random() < 0.5:
            caller.close()
    for caller in callers:
        time.sleep(random.uniform(0, 2 * LONGEST_S / TOGETHER))
        caller.close()


@pytest.mark.parametrize("resets", [False, True], ids=["in order", "by a reset"])
async def test_a_thousand_callers_who_hang_up_leave_nothing_open_and_others_are_served(server, resets):
    async with httpx.AsyncClient(base_url=server.url, timeout=60, limits=EACH_ITS_OWN) as client:
        assert await are_served(client, 1)
        before = server.descriptors
        for sent in (*SENT.values(), *SENT.values()):
            await asyncio.to_thread(come_and_go, server.port, sent, resets=resets)
        assert await are_served(client, TOGETHER)
    assert await settle(lambda: server.descriptors <= before, 10.0), "descriptors left in the server"
    assert await asyncio.to_thread(server.end) == 0
    assert "Traceback" not in server.output()


async def are_served(client: httpx.AsyncClient, callers: int) -> bool:
    """Each on a connection of its own."""
    answers = await asyncio.gather(*(client.get("/slow?s=0.2") for _ in range(callers)))
    return all(answer.text == "done" for answer in answers)
