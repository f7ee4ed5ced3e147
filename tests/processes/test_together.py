"""Servers beside each other: who lets whom in, one socket for all, Redis away, pages on any of them."""

import asyncio
import json
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psycopg
import pytest
from django.db import connection
from websockets.asyncio.client import ClientConnection, connect

from devices.management.lock import POLLER, SERVER
from devices.models import State
from tests.control.databases import IS_SQLITE, elsewhere
from tests.doubles.redis import NEEDS_REDIS, Line
from tests.faults.numbered_press import NumberedPress
from tests.processes.servers import Mes, number_in, servers, until
from tests.serving.poller import running_poller
from tests.serving.process import RunningServer, database_url, manage, running_server
from tests.serving.records import stored_runs

pytestmark = [NEEDS_REDIS, pytest.mark.django_db(transaction=True)]

SERVE = ("serve", "--port", "0")


async def refusal(folder: Path, environment: dict[str, str], *arguments: str) -> str:
    """What a server says that does not start."""
    ended = await asyncio.to_thread(manage, folder, *arguments, env=environment)
    assert ended.returncode == 1, ended.stderr
    assert "Traceback" not in ended.stderr
    return ended.stderr


class TestAServerThatPolls:
    async def test_is_refused_beside_others(self, environment, tmp_path):
        async with servers(2, tmp_path, environment):
            said = await refusal(tmp_path, environment, *SERVE)
        assert "Another gateway already serves" in said
        assert "start each of them as `serve --no-poll` with the same REDIS_URL" in said

    async def test_lets_no_other_in(self, environment, tmp_path):
        context = running_server(tmp_path, env=environment, migrate=False, polls=True)
        server = await asyncio.to_thread(context.__enter__)
        try:
            said = await refusal(tmp_path, environment, *SERVE, "--no-poll")
        finally:
            await asyncio.to_thread(context.__exit__, None, None, None)
        assert "which shares with nobody" in said
        assert not IS_SQLITE or f"process {server.process.pid}" in said


class TestAServerWithoutRedis:
    async def test_is_alone_and_says_what_would_help(self, environment, tmp_path):
        alone = {name: value for name, value in environment.items() if name != "REDIS_URL"}
        async with servers(1, tmp_path, alone):
            for beside in (alone, environment):
                said = await refusal(tmp_path, beside, *SERVE, "--no-poll")
                assert "already serves" in said
                assert "REDIS_URL" in said


class TestAServerBesideOthers:
    async def test_ends_and_the_others_go_on(self, environment, press, key, tmp_path):
        async with servers(2, tmp_path, environment) as running:
            assert await asyncio.to_thread(running[0].end) == 0
            assert (await Mes(running, key).ask(1, running[1])).status_code == 200

    async def test_has_the_lock_again_after_the_database_has_dropped_its_connections(
        self, environment, press, key, tmp_path
    ):
        async with servers(1, tmp_path, environment) as running:
            if not IS_SQLITE:  # whose locks are the kernel's
                await asyncio.to_thread(elsewhere, drop_lock_of_servers)
                assert await until(lambda: "it is taken again" in running[0].output())
            assert "already serves" in await refusal(tmp_path, environment, *SERVE)
            assert (await Mes(running, key).ask(1)).status_code == 200


def drop_lock_of_servers() -> None:
    drop_lock(SERVER.number)


def drop_lock_of_pollers() -> None:
    drop_lock(POLLER.number)


def drop_lock(number: int) -> None:
    """End the connections that hold it, as a restart of PostgreSQL does."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND objid = %s AND pid <> "
            "pg_backend_pid()",
            [number],
        )


if not IS_SQLITE:  # whose locks are the kernel's

    class TestAPollerWhoseLockTheDatabaseHasDropped:
        async def test_has_it_again(self, environment, press, tmp_path):
            async with running_poller(tmp_path, environment) as poller:
                await asyncio.to_thread(elsewhere, drop_lock_of_pollers)
                assert await until(lambda: "it is taken again" in poller.output())
                assert "already polls the PLCs" in await refusal(tmp_path, environment, *SERVE)
                assert await poller.end() == 0

        async def test_has_it_again_within_a_server_that_polls(self, environment, press, tmp_path):
            context = running_server(tmp_path, env=environment, migrate=False, polls=True)
            server = await asyncio.to_thread(context.__enter__)
            try:
                await asyncio.to_thread(elsewhere, drop_lock_of_pollers)
                assert await until(lambda: "it is taken again" in server.output())
                assert "already polls the PLCs" in await refusal(tmp_path, environment, "poll")
            finally:
                await asyncio.to_thread(context.__exit__, None, None, None)

        async def test_ends_where_another_one_has_it_by_then(self, environment, press, tmp_path):
            async with running_poller(tmp_path, environment) as poller:
                url = database_url(connection).replace("postgres://", "postgresql://")
                with psycopg.connect(url, autocommit=True) as rival:
                    await asyncio.to_thread(take_from_pollers, rival)
                    assert await asyncio.to_thread(poller.process.wait, 30) == 1
                assert "another process polls its PLCs now: this process ends" in poller.output()


def take_from_pollers(rival: psycopg.Connection) -> None:
    """Drop theirs, and have it alone before they look."""
    is_taken = False
    while not is_taken:
        elsewhere(drop_lock_of_pollers)
        (is_taken,) = rival.execute("SELECT pg_try_advisory_lock(%s)", [POLLER.number]).fetchone() or (False,)


class TestOneSocketForAll:
    async def test_gives_callers_to_each_and_stays_open_when_one_ends(
        self, environment, press: NumberedPress, key: str, tmp_path: Path
    ):
        with socket.create_server(("127.0.0.1", 0), backlog=200) as shared:
            async with servers(3, tmp_path, environment, fd=shared.fileno()) as running:
                assert {server.port for server in running} == {shared.getsockname()[1]}
                mes = Mes(running, key)
                served: set[int] = set()
                numbers = iter(range(1, 1000))
                for _ in range(10):
                    await asyncio.gather(*(mes.ask(next(numbers), running[0]) for _ in range(12)))
                    served = {number_in(run.process) for run in await stored_runs()}
                    if len(served) == 3:
                        break
                assert served == {server.process.pid for server in running}
                running[0].signal(signal.SIGTERM)
                answers = [await mes.ask(next(numbers), running[1]) for _ in range(20)]
                assert await asyncio.to_thread(running[0].wait) == 0
                answers += [await mes.ask(next(numbers), running[1]) for _ in range(20)]
                assert {answer.status_code for answer in answers} <= {200, 503}
                assert [answer.status_code for answer in answers][-20:] == [200] * 20
                assert not mes.went_on, "no caller was sent away"

    async def test_must_be_one_that_listens(self, environment, tmp_path):
        for number, fault in (
            ("77", "Bad file descriptor"),
            ("0", "Socket operation on non-socket"),
            ("-1", "--fd -1"),
        ):
            said = await refusal(tmp_path, environment, "serve", "--no-poll", f"--fd={number}")
            assert fault in said
            assert "a TCP socket that listens" in said

    async def test_leaves_no_choice_of_host_and_port(self, environment, tmp_path):
        assert "leave out --host and --port" in await refusal(tmp_path, environment, *SERVE, "--fd", "3")


class TestRedisAway:
    async def test_means_503_before_the_machine_is_told_and_all_goes_on_by_itself(
        self, environment, press: NumberedPress, key: str, tmp_path: Path
    ):
        async with Line() as between, servers(2, tmp_path, {**environment, "REDIS_URL": between.url}) as running:
            mes = Mes(running, key)
            for number, server in zip((1, 2), running, strict=True):
                assert (await mes.ask(number, server)).status_code == 200
            await between.cut()
            for number, server in zip((4, 5), running, strict=True):
                answer = await mes.ask(number, server)
                assert answer.status_code == 503
                assert answer.headers["Retry-After"]
                assert answer.json()["run"]["retry"] == "safe"
            assert press.started == [1, 2]
            await between.mend()
            for number, server in zip((7, 8), running, strict=True):
                assert await works_again(mes, server, number)
            runs = await stored_runs()
            assert {State(run.state) for run in runs} == {State.SUCCEEDED, State.FAILED}
            assert [run.state for run in runs].count(State.SUCCEEDED) == 4
            assert "settled" not in running[0].output() + running[1].output(), "who lives was taken for dead"


async def works_again(mes: Mes, server, number: int) -> bool:  # type: ignore[no-untyped-def]
    """Whether a command is carried out within a while; each try is another job."""
    for again in range(40):
        if (await mes.ask(number + 3 * 100 * again, server)).status_code == 200:
            return True
        await asyncio.sleep(0.5)
    return False


class Page:
    """A live page at one server, which answers its beats and remembers what it was shown."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self.snapshots = 0
        self.states: dict[int, str] = {}
        """Of the runs that it shows."""
        self.reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        async for text in self._socket:
            frame = json.loads(text)
            self.snapshots += frame.get("type") == "snapshot"
            runs = [*frame.get("runs", []), *(news["run"] for news in frame.get("news", []) if news["kind"] == "run")]
            self.states |= {run["id"]: run["state"] for run in runs}
            await self._socket.send("{}")


@asynccontextmanager
async def page_at(server: RunningServer) -> AsyncIterator[Page]:
    async with connect(f"{server.socket_url}/ws/live/", origin=server.url) as socket:
        page = Page(socket)
        try:
            assert await until(lambda: page.snapshots)
            yield page
            assert not page.reading.done(), "it was sent away"
        finally:
            page.reading.cancel()
            await asyncio.gather(page.reading, return_exceptions=True)


class TestALivePage:
    async def test_shows_what_another_server_does_and_stays_when_that_one_ends(
        self, environment, press: NumberedPress, key: str, tmp_path: Path
    ):
        async with servers(2, tmp_path, environment) as running, page_at(running[0]) as page:
            mes = Mes(running, key)
            await mes.ask(1, running[1])
            assert await until(lambda: list(page.states.values()) == ["succeeded"])
            assert await asyncio.to_thread(running[1].end) == 0
            await mes.ask(2, running[0])
            assert await until(lambda: list(page.states.values()) == ["succeeded"] * 2)

    async def test_takes_a_snapshot_when_a_server_has_died_without_a_word(self, environment, press, tmp_path: Path):
        async with servers(2, tmp_path, environment) as running, page_at(running[0]) as page:
            await asyncio.sleep(3)  # they have heard of each other
            before = page.snapshots
            running[1].process.kill()
            assert await until(lambda: "gone without a word" in running[0].output())
            assert await until(lambda: page.snapshots > before)
