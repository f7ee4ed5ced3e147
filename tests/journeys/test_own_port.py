"""A PLC whose address is the gateway's own: the gateway never calls itself."""

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from devices.management import demo_registry
from devices.models import PLC
from tests.journeys.calls import start
from tests.serving.process import RunningServer, running_server
from tests.serving.records import stored_runs

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def port() -> int:
    """Free now."""
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        return int(trial.getsockname()[1])


@pytest.fixture
def registry(transactional_db: None, port: int) -> None:
    demo_registry.create()
    PLC.objects.filter(name="press-1").update(host="localhost", port=port)


@pytest.fixture
async def server(environment: dict[str, str], tmp_path: Path, port: int) -> AsyncIterator[RunningServer]:
    """Listens where the PLC is said to be."""
    context = running_server(tmp_path, env=environment, migrate=False, port=port)
    running = await asyncio.to_thread(context.__enter__)
    yield running
    await asyncio.to_thread(context.__exit__, None, None, None)


class TestTheGatewaysOwnPort:
    async def test_is_no_place_for_a_plc(self, mes: httpx.AsyncClient, port: int):
        answer = await start(mes, 5)
        assert answer.status_code == 503
        (run,) = await stored_runs()
        assert run.state == "failed"
        assert "the gateway itself listens at" in run.detail
        assert f"port {port}: no PLC is there" in run.detail
