"""What `manage.py serve` promises when it starts, while it runs, and when it ends."""

import asyncio
import re
import signal
import socket
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from devices.management.webserver import MESSAGE_LIMIT
from tests.doubles.leaks import settle
from tests.serving.process import RunningServer, manage, running_server

SITE = {"DJANGO_SETTINGS_MODULE": "tests.serving.site"}


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated database that the servers of these tests use one after the other."""
    folder = tmp_path_factory.mktemp("serve")
    assert manage(folder, "migrate", "--verbosity", "0").returncode == 0
    return folder


@pytest.fixture
def server(data_dir: Path) -> Iterator[RunningServer]:
    """A server with slow pages."""
    with running_server(data_dir, env=SITE, migrate=False) as running:
        yield running


async def until_listening_ends(server: RunningServer) -> None:
    """Return once new callers are refused."""
    for _ in range(100):
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", server.port)
        except (ConnectionRefusedError, ConnectionResetError):  # reset: it was among those that still waited
            return
        writer.close()
        await asyncio.sleep(0.05)
    raise AssertionError("it still listens")


class TestStart:
    def test_answers_once_it_says_that_it_is_ready(self, server):
        assert httpx.get(f"{server.url}/slow?s=0").text == "done"

    def test_is_reached_from_this_machine_only(self, server):
        assert server.url.startswith("http://127.0.0.1:")

    def test_warns_when_others_can_reach_it(self, data_dir):
        with running_server(data_dir, env=SITE, migrate=False, host="0.0.0.0") as server:
            assert "put a TLS proxy before it" in server.output()

    def test_of_a_second_server_on_the_same_database_is_refused(self, server, data_dir):
        second = manage(data_dir, "serve", "--port", "0", env=SITE)
        assert second.returncode == 1
        assert second.stderr.count("\n") == 1
        assert f"process {server.process.pid}" in second.stderr
        assert f"already serves {data_dir / 'gateway.sqlite3'}" in second.stderr
        assert "Stop that one first" in second.stderr

    def test_is_possible_again_after_a_server_was_killed(self, data_dir):
        with running_server(data_dir, env=SITE, migrate=False) as first:
            first.process.kill()
            first.wait()
        with running_server(data_dir, env=SITE, migrate=False) as second:
            assert second.end() == 0

    def test_on_a_port_in_use_says_so_and_leaves_nothing(self, data_dir):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            refused = manage(data_dir, "serve", "--port", str(port), env=SITE)
        assert refused.returncode == 1
        assert f"Cannot listen on 127.0.0.1:{port}: Address already in use." in refused.stderr
        assert "Traceback" not in refused.stderr
        with running_server(data_dir, env=SITE, migrate=False) as server:
            assert server.end() == 0

    def test_without_migrations_is_refused(self, tmp_path):
        refused = manage(tmp_path, "serve", "--port", "0", env=SITE)
        assert refused.returncode == 1
        assert "run manage.py migrate" in refused.stderr

    def test_without_a_database_is_refused(self, tmp_path):
        refused = manage(tmp_path, "serve", env={**SITE, "DATABASE_URL": f"sqlite:///{tmp_path}/none/db.sqlite3"})
        assert refused.returncode == 1
        assert "Traceback" not in refused.stderr


class TestEnd:
    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_by_a_signal_leaves_with_0(self, server, number):
        server.signal(number)
        assert server.wait() == 0
        assert "Traceback" not in server.output()

    async def test_answers_the_request_that_runs_in_full(self, server):
        async with httpx.AsyncClient() as client:
            answer = asyncio.create_task(client.get(f"{server.url}/slow?s=1.5"))
            await asyncio.sleep(0.5)
            server.signal(signal.SIGTERM)
            await until_listening_ends(server)
            assert not answer.done()
            assert (await answer).text == "done"
            assert answer.result().headers["connection"] == "close"
        assert await asyncio.to_thread(server.wait) == 0

    async def test_does_not_wait_for_idle_connections(self, server):
        async with httpx.AsyncClient() as client:
            await client.get(f"{server.url}/slow?s=0")
            assert await asyncio.to_thread(server.end) == 0

    async def test_does_not_wait_for_half_a_request(self, server):
        _, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"POST /length HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nhalf")
        await writer.drain()
        assert await asyncio.to_thread(server.end) == 0
        writer.close()

    async def test_sends_the_pages_away_to_come_back(self, server):
        async with connect(f"{server.socket_url}/ws", origin=server.url) as page:
            server.signal(signal.SIGTERM)
            with pytest.raises(ConnectionClosed):
                await page.recv()
            assert page.close_code == 4503
        assert await asyncio.to_thread(server.wait) == 0

    async def test_is_bounded_where_a_request_takes_too_long(self, data_dir):
        with running_server(data_dir, env={**SITE, "DRAIN_S": "0.5"}, migrate=False) as server:
            async with httpx.AsyncClient() as client:
                answer = asyncio.create_task(client.get(f"{server.url}/slow?s=60", timeout=30))
                await asyncio.sleep(0.5)
                server.signal(signal.SIGTERM)
                assert await asyncio.to_thread(server.wait, 10) == 0
                with pytest.raises(httpx.HTTPError):
                    await answer

    async def test_by_a_second_signal_is_now(self, server):
        async with httpx.AsyncClient() as client:
            answer = asyncio.create_task(client.get(f"{server.url}/slow?s=60", timeout=30))
            await asyncio.sleep(0.5)
            server.signal(signal.SIGTERM)
            await until_listening_ends(server)
            server.signal(signal.SIGTERM)
            assert await asyncio.to_thread(server.wait, 10) == 1
            with pytest.raises(httpx.HTTPError):
                await answer

    def test_leaves_a_database_that_anyone_can_open(self, data_dir):
        with running_server(data_dir, env=SITE, migrate=False) as server:
            assert server.end() == 0
        with sqlite3.connect(data_dir / "gateway.sqlite3", timeout=0) as database:
            database.execute("BEGIN EXCLUSIVE").close()
        database.close()


async def until_closed(page: ClientConnection) -> AsyncIterator[str | bytes]:
    """What a page still gets."""
    with suppress(ConnectionClosed):
        while True:
            yield await page.recv()


class TestPages:
    async def test_that_do_not_read_are_dropped(self, server):
        async with connect(
            f"{server.socket_url}/ws", origin=server.url, max_queue=1, max_size=None, ping_interval=None
        ) as page:
            for _ in range(20):
                await page.send("more")
            await asyncio.sleep(5)
            assert len([taken async for taken in until_closed(page)]) < 20
        assert server.process.poll() is None

    async def test_that_read_late_stay(self, server):
        async with connect(f"{server.socket_url}/ws", origin=server.url, max_size=None, ping_interval=None) as page:
            for _ in range(20):
                await page.send("more")
            for _ in range(20):
                assert len(await page.recv()) == 2**20
            await asyncio.sleep(3.5)
            await page.send("one more")
            assert len(await page.recv()) == 2**20

    async def test_that_send_too_much_are_closed(self, server):
        async with connect(f"{server.socket_url}/ws", origin=server.url) as page:
            await page.send("x" * 70_000)
            with pytest.raises(ConnectionClosed):
                await page.recv()
            assert page.close_code == 4413

    async def test_that_send_too_much_in_small_parts_are_closed(self, server):
        async with connect(f"{server.socket_url}/ws", origin=server.url) as page:
            with suppress(ConnectionClosed):
                await page.send("x" * 1000 for _ in range(1000))
            async for _ in until_closed(page):
                pass
            # What is still on its way when the server closes can cost the page the code.
            assert page.close_code in (4413, 1006)

    @pytest.mark.parametrize("length", [MESSAGE_LIMIT + 1, 7 * 2**20, 100 * 2**20])
    def test_cannot_fill_the_memory_with_one_message(self, server, length):
        assert httpx.get(f"{server.url}/slow?s=0").text == "done"
        before = memory_kib(server)
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as page:
            shake_hands(page, server)
            page.sendall(b"\x82\xff" + length.to_bytes(8, "big") + bytes(4))
            sent = 0
            with suppress(OSError):
                while sent < length:
                    sent += page.send(bytes(min(2**20, length - sent)))
            assert memory_kib(server) - before < 4096


def memory_kib(server: RunningServer) -> int:
    """Of the server's process, the most that it has had so far."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+)", status)[1])


def shake_hands(page: socket.socket, server: RunningServer) -> None:
    """Become a WebSocket, as a browser does."""
    page.sendall(
        f"GET /ws HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nOrigin: {server.url}\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
    )
    assert b" 101 " in page.recv(4096)


class TestRequests:
    def test_with_a_body_too_long_are_refused(self, server):
        answer = httpx.post(f"{server.url}/length", content=b"x" * 8_000_000)
        assert answer.status_code == 413
        assert answer.headers["content-type"] == "application/problem+json"
        assert "2621440 bytes" in answer.json()["detail"]

    def test_with_a_long_body_in_chunks_are_refused(self, server):
        answer = httpx.post(f"{server.url}/length", content=(b"x" * 100_000 for _ in range(40)))
        assert answer.status_code == 413

    def test_just_within_the_limit_are_taken(self, server):
        assert httpx.post(f"{server.url}/length", content=b"x" * 2_621_440).json()["length"] == 2_621_440

    def test_cannot_set_the_script_prefix(self, server):
        answer = httpx.post(f"{server.url}/length", headers={"Daphne-Root-Path": "/evil"})
        assert answer.json() == {"length": 0, "script": ""}

    async def test_sent_ahead_on_one_connection_are_all_answered(self, server):
        """Each in a context of its own: with the last one's they met its dead database thread."""
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        ask = b"GET /slow?s=0 HTTP/1.1\r\nHost: localhost\r\n"
        writer.write((ask + b"\r\n") * 20 + ask + b"Connection: close\r\n\r\n")
        answers = await reader.read()
        assert answers.count(b"HTTP/1.1 200") == 21
        writer.close()

    async def test_whose_answer_is_read_late_get_all_of_it(self, server):
        """No socket has room for it: what it does not take at once must follow."""
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=2**10)
        writer.write(b"GET /long?n=20000000 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        await asyncio.sleep(0.5)
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        assert b"Content-Length: 20000000" in head
        assert len(body) == 20_000_000
        writer.close()

    def test_for_the_head_alone_get_it_without_a_body(self, server):
        with httpx.Client(base_url=server.url) as caller:
            head = caller.head("/long?n=5")
            assert (head.content, head.headers["content-length"]) == (b"", "5")
            assert caller.get("/long?n=5").text == "xxxxx"  # on the same connection

    async def test_may_take_longer_than_a_caller_may_say_nothing(self, server):
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"GET /slow?s=3 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b"done" in await reader.readuntil(b"done")
        assert await asyncio.wait_for(reader.read(), 30) == b""  # now he has said nothing for too long
        writer.close()

    async def test_that_never_come_end_a_connection(self, server):
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        assert await asyncio.wait_for(reader.read(), 30) == b""
        writer.close()

    async def test_that_block_the_loop_are_logged_once_with_the_stack(self, server):
        async with httpx.AsyncClient() as caller:
            await caller.get(f"{server.url}/blocking?s=0.6")
        # The answer may be here before the loop is back where it sees that it was blocked.
        assert await settle(lambda: "was blocked for" in server.output())
        lines = [line for line in server.output().splitlines() if "event loop" in line]
        assert len(lines) == 2
        assert "The event loop is blocked at:" in lines[0]
        assert "in blocking" in lines[0]
        assert "The event loop was blocked for" in lines[1]


LINE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} [A-Z]+ [\w.]+: ")
FORGED = "x\n2026-01-01 00:00:00,000 INFO devices.control: forged\x1b[2J\u202e\x9b"


class TestTheLog:
    async def test_gets_no_line_from_a_caller(self, server):
        """Nor a character that steers the terminal which shows it."""
        path = quote(FORGED)
        async with httpx.AsyncClient(base_url=server.url) as caller:
            await caller.get(f"/{path}")
            await caller.request("POST", f"/{path}", content=FORGED.encode(), headers={"Referer": path})
            await caller.get("/slow?s=0", headers={"Host": b"evil\xc2\x9b\xe2\x80\xae"})
            await caller.get(f"/length?x={path}", headers={"User-Agent": FORGED.partition(chr(10))[0]})
            await caller.get(f"/slow?s={path}")  # a bug, with a stack that holds it
        with suppress(Exception):
            await connect(f"{server.socket_url}/{path}", origin=FORGED[:1])
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"GET /\x1b[2J\x9b HTTP/1.1\r\nHost: \x1b[2J\r\nX: \x1b]0;evil\x07\r\n\r\n")
        with suppress(TimeoutError):
            async with asyncio.timeout(2):
                await reader.read()
        writer.close()
        await asyncio.sleep(0.2)
        told = server.log.read_bytes().decode()
        assert "forged" in told, "it was logged, and as what it is"
        assert [line for line in told.splitlines() if not LINE.match(line)] == []
        assert [line for line in told.splitlines() if line.startswith("2026-01-01 00:00:00,000")] == []
        assert set(told) & set("\x1b\x07\x9b\u202e") == set()
