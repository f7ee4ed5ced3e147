"""`manage.py poll` beside `serve --no-poll`, on one database and one Redis; machine and processes are real."""

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import pytest
from channels.db import database_sync_to_async
from django.contrib.auth.models import User
from websockets.asyncio.client import connect

from devices.models import PLC, Tag
from tests.control import rows
from tests.doubles.fault_server import FaultServer
from tests.doubles.leaks import settle
from tests.doubles.listener import Full
from tests.doubles.redis import NEEDS_REDIS, REDIS_URL
from tests.journeys.engineer import Engineer
from tests.serving.poller import RunningPoller, running_poller
from tests.serving.process import manage, running_server

pytestmark = [NEEDS_REDIS, pytest.mark.django_db(transaction=True)]

BATCH_SIZE = 0  # holding register
PASSWORD = "correct horse battery staple"


@pytest.fixture
async def machine() -> AsyncIterator[FaultServer]:
    """It serves one connection, and turns away a second."""
    async with FaultServer(serves=1, when_full=Full.RESET, names=dict(rows.PLACES)) as plc:
        plc.acknowledge("start", on="ack")
        yield plc


@pytest.fixture
def registry(transactional_db: None, machine: FaultServer) -> PLC:
    """`press-1` is the machine, polled at 100 ms."""
    profile = rows.make_profile()
    Tag.objects.filter(profile=profile).update(poll_interval_ms=100)
    return rows.make_plc(profile, port=machine.port, response_timeout_s=2.0, connect_timeout_s=2.0)


@pytest.fixture
def environment(environment: dict[str, str]) -> dict[str, str]:
    """As of every child on this test's database, and always with Redis."""
    return {**environment, "REDIS_URL": REDIS_URL}


@pytest.fixture
async def poller(environment: dict[str, str], tmp_path) -> AsyncIterator[RunningPoller]:
    async with running_poller(tmp_path, environment) as running:
        yield running


async def until(look: Callable[[], Awaitable[Any]], limit_s: float = 20.0) -> bool:
    """Whether it is so within the limit."""
    clock = asyncio.get_running_loop().time
    end_s = clock() + limit_s
    while clock() < end_s:
        if await look():
            return True
        await asyncio.sleep(0.1)
    return False


async def held(mes, tag: str) -> tuple[Any, str]:
    """What the server tells of a tag."""
    told = (await mes.get(f"/api/plcs/press-1/tags/{tag}")).json()
    return told["value"], told["quality"]


def shows(mes, tag: str, *wanted: Any) -> Callable[[], Awaitable[bool]]:
    async def look() -> bool:
        return await held(mes, tag) == wanted

    return look


async def move(url: str, plc: PLC, port: int) -> None:
    """An engineer enters another port in the admin of the server."""
    await database_sync_to_async(User.objects.create_superuser)("engineer", password=PASSWORD)
    async with httpx.AsyncClient(base_url=url, timeout=30) as browser:
        engineer = Engineer(browser)
        await engineer.log_in("engineer", PASSWORD)
        form = await engineer.open(f"/admin/devices/plc/{plc.pk}/change/")
        form.fields["port"] = str(port)
        await engineer.save(form)


@database_sync_to_async
def want_heartbeat(plc: PLC) -> None:
    plc.heartbeat_tag = plc.profile.tags.create(name="beat", table="holding_register", address=90, data_type="uint16")
    plc.full_clean()
    plc.save()


class TestAServerBesideThePoller:
    async def test_tells_what_the_poller_reads(self, server, poller, machine, mes):
        machine.holding_registers[BATCH_SIZE] = 15
        assert await until(shows(mes, "batch_size", 15, "good"))
        machine.holding_registers[BATCH_SIZE] = 16
        assert await until(shows(mes, "batch_size", 16, "good"))
        listed = (await mes.get("/api/plcs/press-1/tags")).json()
        assert listed["state"] == (await mes.get("/api/plcs")).json()["plcs"][0]["state"] == "online"
        assert {tag["quality"] for tag in listed["tags"]} == {"good"}

    async def test_calls_values_old_when_the_poller_has_gone(self, server, poller, machine, mes):
        assert await until(shows(mes, "batch_size", 0, "good"))
        poller.process.kill()
        assert await until(shows(mes, "batch_size", 0, "old"))
        assert await until(lambda: asyncio.sleep(0, "reports no more" in server.output()))

    async def test_has_its_commands_carried_out_between_two_readings(self, server, poller, machine, mes):
        assert await until(shows(mes, "batch_size", 0, "good"))
        for size in (5, 6, 7, 8):
            answer = await mes.post("/api/plcs/press-1/commands/start_batch", json={"batch_size": size})
            assert answer.status_code == 200, answer.text
        assert machine.writes_to("start").count(1) == 4
        assert machine.peak_connections == 1
        assert machine.turned_away == 0
        assert await until(shows(mes, "batch_size", 8, "good"))

    async def test_shows_its_pages_what_the_poller_reads(self, server, poller, machine, mes, registry):
        assert await until(shows(mes, "batch_size", 0, "good"))
        async with connect(f"{server.socket_url}/ws/plcs/{registry.name}/", origin=server.url) as page:
            machine.holding_registers[BATCH_SIZE] = 4711
            async with asyncio.timeout(20):
                while "4711" not in await page.recv():
                    pass
            assert await poller.end() == 0
            await page.send("{}")  # the page stays: no server has ended


class TestThePoller:
    async def test_takes_over_what_is_changed_in_the_server(self, server, poller, mes, registry, machine):
        assert await until(shows(mes, "batch_size", 0, "good"))
        async with FaultServer(names=dict(rows.PLACES)) as other:
            other.holding_registers[BATCH_SIZE] = 77
            await move(server.url, registry, other.port)
            assert await until(shows(mes, "batch_size", 77, "good"), 10)
            assert await settle(lambda: machine.open_connections == 0)

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    async def test_ends_by_a_signal_with_0_and_leaves_nothing_open(self, poller, machine, number):
        assert await settle(lambda: bool(machine.requests), 20)
        poller.process.send_signal(number)
        assert await asyncio.to_thread(poller.process.wait, 20) == 0
        assert await settle(lambda: machine.open_connections == 0)
        assert "Traceback" not in poller.output()

    async def test_shares_with_no_server_that_polls(self, poller, environment, tmp_path):
        serving = await asyncio.to_thread(manage, tmp_path, "serve", "--port", "0", env=environment)
        assert serving.returncode == 1
        assert "already polls the PLCs of" in serving.stderr
        assert "serve with --no-poll" in serving.stderr

    async def test_is_refused_beside_a_server_that_polls(self, environment, tmp_path):
        context = running_server(tmp_path, env=environment, migrate=False, polls=True)
        await asyncio.to_thread(context.__enter__)
        refused = await asyncio.to_thread(manage, tmp_path, "poll", env=environment)
        await asyncio.to_thread(context.__exit__, None, None, None)
        assert refused.returncode == 1
        assert "already polls the PLCs of" in refused.stderr

    async def test_says_which_plc_gets_no_heartbeat(self, registry, environment, tmp_path, machine):
        await want_heartbeat(registry)
        async with running_poller(tmp_path, environment) as poller:
            assert await settle(lambda: bool(machine.requests), 20)
            assert await poller.end() == 0
        assert poller.output().count("press-1: it gets no heartbeat") == 1
        assert machine.writes == []

    def test_is_refused_without_redis(self, tmp_path):
        refused = manage(tmp_path, "poll")
        assert refused.returncode == 1
        assert "manage.py poll needs REDIS_URL" in refused.stderr
        assert "Traceback" not in refused.stderr
