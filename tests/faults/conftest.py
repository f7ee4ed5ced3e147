"""The machine of tests/control behind a misbehaving double, and a MES that calls it over HTTP.

For tests that kill the gateway: numbered presses in this process, the gateway in one of its own, a MES that remembers.
"""

import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from channels.db import database_sync_to_async
from django.test import AsyncClient

from devices.models import PLC, Command
from tests.api.conftest import change, key  # noqa: F401 - fixtures, here and below
from tests.control.conftest import _no_connection_left, line, machine, press  # noqa: F401
from tests.doubles.fault_server import FaultServer
from tests.faults.mes import Mes
from tests.faults.mortal_gateway import MortalGateway
from tests.faults.numbered_press import NumberedPress
from tests.faults.numbered_rows import register
from tests.serving.fixtures import environment  # noqa: F401


@pytest.fixture
def mes(line: PLC, key: str) -> AsyncClient:  # noqa: F811
    """The MES, which shows its key, at a running gateway that knows `press-1`."""
    return AsyncClient(X_API_KEY=key)


@pytest.fixture
def limit_time(press: PLC) -> Callable:  # noqa: F811
    """Change the time limit of `start_batch`, as the admin does."""

    @database_sync_to_async
    def limit_time(limit_s: float) -> None:
        command = Command.objects.get(name="start_batch")
        command.time_limit_s = limit_s
        command.save()

    return limit_time


@pytest.fixture
async def presses() -> AsyncIterator[list[NumberedPress]]:
    """Two of them; they outlive every gateway."""
    async with AsyncExitStack() as stack:
        yield [NumberedPress(await stack.enter_async_context(FaultServer())) for _ in range(2)]


@pytest.fixture
def registry(transactional_db: None, presses: list[NumberedPress]) -> None:
    """`press-0` and `press-1`."""
    register(presses)


@pytest.fixture
async def mortal(environment: dict[str, str], tmp_path: Path) -> AsyncIterator[MortalGateway]:  # noqa: F811
    """A gateway that can be killed; not started yet."""
    gateway = MortalGateway(tmp_path, environment)
    yield gateway
    await gateway.close()


@pytest.fixture
def caller(mortal: MortalGateway, key: str, presses: list[NumberedPress]) -> Iterator[Mes]:  # noqa: F811
    """A MES that remembers; httpx would log a line for each of its calls."""
    logger = logging.getLogger("httpx")
    before, logger.level = logger.level, logging.WARNING
    yield Mes(mortal, key, presses)
    logger.level = before
