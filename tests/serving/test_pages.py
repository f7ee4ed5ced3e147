"""Real pages over real sockets: one that never reads slows no other, and each hears what its PLC does."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from devices.live.messages import CloseCode
from devices.management import demo_registry
from devices.models import PLC
from devices.simulator.simulated_plc import SimulatedPLC
from tests import prepared
from tests.control.databases import eventually
from tests.serving.process import RunningServer

pytestmark = pytest.mark.django_db(transaction=True)

START = {"batsize": 15, "noksize": 3}
COMMANDS = 20


@pytest.fixture
async def machine() -> AsyncIterator[SimulatedPLC]:
    async with SimulatedPLC(answer_delay_s=0.01) as plc:
        yield plc


@pytest.fixture
def registry(transactional_db: None, machine: SimulatedPLC) -> None:
    """`oven-1` is the machine."""
    prepared.put_in(demo_registry.create)
    PLC.objects.filter(name="oven-1").update(host="127.0.0.1", port=machine.server.port)


@pytest.fixture
def environment(environment: dict[str, str]) -> dict[str, str]:
    return {**environment, "DJANGO_SETTINGS_MODULE": "tests.serving.impatient"}


class Reader:
    """A page as a browser has it: reads all, answers its beats."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self.frames: list[dict[str, Any]] = []

    async def read(self) -> None:
        async for text in self._socket:
            frame = json.loads(text)
            if frame.get("type") == "beat":
                await self._socket.send('{"type":"reading"}')
            else:
                self.frames.append(frame)

    @property
    def ended(self) -> set[int]:
        """Runs of which the page knows the end."""
        news = [one for frame in self.frames for one in frame.get("news", []) if one["kind"] == "run"]
        runs = [run for frame in self.frames for run in frame.get("runs", [])] + [one["run"] for one in news]
        return {run["id"] for run in runs if run["finished_at"]}


async def until_closed(page: ClientConnection) -> None:
    """Read what came until then."""
    with suppress(ConnectionClosed):
        async with asyncio.timeout(30):
            async for _ in page:
                pass


class TestAPageThatNeverReads:
    @pytest.mark.parametrize("address", ["/ws/live/", "/ws/plcs/oven-1/"])
    async def test_slows_no_other_and_is_closed(self, server: RunningServer, mes: httpx.AsyncClient, address: str):
        url = f"{server.socket_url}{address}"
        async with connect(url, origin=server.url, max_queue=1) as mute, connect(url, origin=server.url) as socket:
            page = Reader(socket)
            reading = asyncio.create_task(page.read())
            for _ in range(COMMANDS):
                assert (await mes.put("/api/start/oven-1", json=START)).status_code == 200
            await eventually(lambda: len(page.ended) == COMMANDS, limit_s=10)
            assert [frame["n"] for frame in page.frames] == list(range(1, len(page.frames) + 1))
            await until_closed(mute)
            assert mute.close_code == CloseCode.LAGS
            assert not reading.done()
            reading.cancel()
            with suppress(asyncio.CancelledError):
                await reading
