"""Clients that hang up at any moment of a command: it ends as if they had stayed, and nothing of theirs is left."""

import asyncio
import contextlib
import json
import random
import socket
import struct
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import httpx
import pytest
from django.utils import timezone

from devices.models import Run
from tests.api.conftest import START
from tests.doubles.fault_server import FaultServer
from tests.doubles.leaks import serves_the_next_caller, settle
from tests.journeys.calls import is_success, start
from tests.serving.process import RunningServer
from tests.serving.records import stored_runs

pytestmark = pytest.mark.django_db(transaction=True)

CLIENTS = 50
FIRST, SECOND, LAST = 1001, 1002, 1003  # batch sizes of a caller who stays
COMMAND_S = 0.12  # what a start takes with the double's slowness
ARRIVALS_S = 6.0  # in which they all come: about as fast as the press works, so that some wait and some do not
LINGER_NOT = struct.pack("ii", 1, 0)  # SO_LINGER: close sends a RST


@dataclass(frozen=True, kw_only=True, slots=True)
class LostClient:
    """A caller who hangs up; its batch size tells it apart."""

    size: int
    comes_s: float
    sends: float
    """Share of its request; below 1 it goes amid sending."""
    stays_s: float
    """From its last octet to its end."""
    resets: bool

    @property
    def is_whole(self) -> bool:
        return self.sends == 1

    async def call(self, server: RunningServer, key: str) -> datetime:
        """Come, send, and vanish without a look at the answer; the moment of the hang-up."""
        await asyncio.sleep(self.comes_s)
        _, writer = await asyncio.open_connection("127.0.0.1", server.port)
        request = self.request(key)
        writer.write(request[: round(len(request) * self.sends)])
        await asyncio.sleep(self.stays_s)
        if self.resets:
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NOT)
        gone_at = timezone.now()
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
        return gone_at

    def request(self, key: str) -> bytes:
        body = json.dumps({"batsize": self.size})
        head = f"PUT /api/start/press-1 HTTP/1.1\r\nHost: localhost\r\nX-API-Key: {key}\r\n"
        return f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()


def lost_clients(seed: int) -> list[LostClient]:
    """One in five goes amid sending, one in five at once, the others within two commands' time; half of them reset."""
    chance = random.Random(seed)
    return [
        LostClient(
            size=size,
            comes_s=chance.uniform(0, ARRIVALS_S),
            sends=chance.choice([1, 1, 1, 1, chance.random()]),
            stays_s=chance.choice([0, 1, 1, 1, 1]) * chance.uniform(0, 2 * COMMAND_S),
            resets=chance.random() < 0.5,
        )
        for size in range(1, CLIENTS + 1)
    ]


@pytest.fixture
async def plc() -> AsyncIterator[FaultServer]:
    """Slow enough that a client can go at any step of its command."""
    async with FaultServer(serves=1, answer_delay_s=0.01) as server:
        yield server


@pytest.fixture
def settings_of_press() -> dict[str, int]:
    return {"max_waiting": CLIENTS}


@pytest.mark.parametrize("seed", [1, 2, 3])
class TestFiftyClientsThatHangUp:
    async def test_leave_nothing_and_cut_nothing(self, seed, plc, server, mes, key, machine, batches):
        clients = lost_clients(seed)
        await warm_up(mes)
        before = server.descriptors
        gone = dict(zip(clients, await asyncio.gather(*(client.call(server, key) for client in clients)), strict=True))
        assert is_success(await start(mes, LAST)), "the next caller is not served"
        assert await settle(lambda: plc.open_connections == 0)
        assert await settle(lambda: server.descriptors <= before), "descriptors left in the server"
        assert await asyncio.to_thread(server.end) == 0
        assert "Traceback" not in server.output()
        assert machine.writes_to(START) == [1, 0] * len(batches)
        await require_one_run_each(gone, batches)
        await serves_the_next_caller(plc)


async def warm_up(mes: httpx.AsyncClient) -> None:
    """Two starts with a reading of the API keys between: SQLite keeps its descriptor for the next reading."""
    assert is_success(await start(mes, FIRST))
    await asyncio.sleep(1.2)
    assert is_success(await start(mes, SECOND))


async def require_one_run_each(gone: Mapping[LostClient, datetime], batches: Sequence[int]) -> None:
    """Each start that the machine saw is one run's, each run is one whole request's, and each ended well."""
    runs = await stored_runs()
    sizes = [run.parameters["batch_size"] for run in runs]
    assert len(set(sizes)) == len(sizes), "two runs of one request"
    assert sorted(batches) == sorted(sizes), "the machine saw other starts than were recorded"
    assert {run.state for run in runs} == {"succeeded"}, "a caller that went cut its run"
    assert set(sizes) <= {client.size for client in gone if client.is_whole} | {FIRST, SECOND, LAST}
    went_at = {client.size: at for client, at in gone.items()}
    went_amid = [run for size, run in zip(sizes, runs, strict=True) if size in went_at and is_open(run, went_at[size])]
    assert len(went_amid) > 5, "too few went while their run was open: this proves nothing"


def is_open(run: Run, moment: datetime) -> bool:
    """Accepted by then and not at its end."""
    return run.accepted_at < moment < run.finished_at
