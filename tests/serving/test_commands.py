"""Commands under way when the server is told to end, told twice, or killed; the site, the machine and all are real."""

import asyncio
import signal
from collections.abc import AsyncIterator

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from devices.management import demo_registry
from devices.models import PLC, State
from devices.simulator.simulated_plc import SimulatedPLC
from tests import prepared
from tests.serving.process import running_server
from tests.serving.records import stored_states

pytestmark = pytest.mark.django_db(transaction=True)

START = {"batsize": 15, "noksize": 3}


@pytest.fixture
async def machine() -> AsyncIterator[SimulatedPLC]:
    """A slow one: a start takes it about two seconds."""
    async with SimulatedPLC(answer_delay_s=0.2) as plc:
        yield plc


@pytest.fixture
def registry(transactional_db: None, machine: SimulatedPLC) -> None:
    """`oven-1` is the machine."""
    prepared.put_in(demo_registry.create)
    PLC.objects.filter(name="oven-1").update(host="127.0.0.1", port=machine.server.port)


async def start(mes: httpx.AsyncClient) -> "asyncio.Task[httpx.Response]":
    """A start that has reached the machine, and is not done."""
    answer = asyncio.create_task(mes.put("/api/start/oven-1", json=START))
    for _ in range(100):
        if State.RUNNING in await stored_states():
            return answer
        await asyncio.sleep(0.02)
    raise AssertionError(f"no run: {answer}")


class TestARunningCommand:
    async def test_ends_and_is_answered_when_the_server_is_told_to_end(self, server, machine, mes):
        answer = await start(mes)
        server.signal(signal.SIGTERM)
        assert (await answer).status_code == 200
        assert await asyncio.to_thread(server.wait) == 0
        assert await stored_states() == [State.SUCCEEDED]
        assert machine.server.connections == 0
        assert "Traceback" not in server.output()

    async def test_is_the_last_one(self, server, mes):
        async with httpx.AsyncClient(base_url=server.url, headers=mes.headers) as other:
            await other.get("/api/plcs")  # its connection stays open: no new one is accepted any more
            answer = await start(mes)
            server.signal(signal.SIGTERM)
            await asyncio.sleep(0.3)
            refused = await other.put("/api/start/oven-1", json=START)
        assert refused.status_code == 503
        assert refused.headers["content-type"] == "application/problem+json"
        assert refused.json()["detail"]
        assert (await answer).status_code == 200
        assert await stored_states() == [State.SUCCEEDED]

    async def test_is_cut_by_a_second_signal_and_stored_as_such(self, server, machine, mes):
        answer = await start(mes)
        server.signal(signal.SIGTERM)
        await asyncio.sleep(0.2)
        server.signal(signal.SIGTERM)
        assert (await answer).status_code in (503, 504)
        assert await asyncio.to_thread(server.wait, 8) == 1
        assert await stored_states() in ([State.FAILED], [State.UNKNOWN])
        await asyncio.sleep(0.5)
        assert machine.server.connections == 0

    async def test_is_settled_before_the_next_server_is_ready_when_this_one_was_killed(
        self, server, environment, tmp_path, mes
    ):
        answer = await start(mes)
        server.process.kill()
        with pytest.raises(httpx.HTTPError):
            await answer
        await asyncio.to_thread(server.wait)
        next_server = running_server(tmp_path, env=environment, migrate=False)
        await asyncio.to_thread(next_server.__enter__)
        assert await stored_states() in ([State.FAILED], [State.UNKNOWN])
        await asyncio.to_thread(next_server.__exit__, None, None, None)


class TestALivePage:
    async def test_is_sent_away_to_come_back(self, server):
        async with connect(f"{server.socket_url}/ws/live/", origin=server.url) as page:
            await page.recv()
            server.signal(signal.SIGTERM)
            with pytest.raises(ConnectionClosed):
                await asyncio.wait_for(wait_for_end(page), 10)
            assert page.close_code == 4503
        assert await asyncio.to_thread(server.wait) == 0


async def wait_for_end(page: ClientConnection) -> None:
    """Read until the socket is closed."""
    while True:
        await page.recv()


class TestPolling:
    async def until_online(self, mes) -> bool:
        """Whether `oven-1` is seen to be online within a time that is enough for its first round."""
        for _ in range(40):
            if (await mes.get("/api/plcs/oven-1")).json()["state"] == "online":
                return True
            await asyncio.sleep(0.1)
        return False

    async def test_is_part_of_serve(self, environment, machine, key, tmp_path):
        context = running_server(tmp_path, env=environment, migrate=False, polls=True)
        polling = await asyncio.to_thread(context.__enter__)
        async with httpx.AsyncClient(base_url=polling.url, headers={"X-API-Key": key}) as mes:
            assert await self.until_online(mes), "nobody asked for anything, and it was read"
        await asyncio.to_thread(context.__exit__, None, None, None)
        assert machine.server.connections == 0
        assert "Traceback" not in polling.output()

    async def test_is_left_out_where_serve_is_told_so(self, server, machine, mes):
        assert not await self.until_online(mes)
        assert machine.server.connections == 0
