"""A press of one connection, and what servers in processes of their own need to know of it."""

from collections.abc import AsyncIterator

import pytest

from devices.models import PLC, Step
from tests.doubles.fault_server import FaultServer
from tests.doubles.leaks import settle
from tests.doubles.redis import REDIS_URL
from tests.faults.numbered_press import NumberedPress
from tests.faults.numbered_rows import register
from tests.serving.fixtures import environment as site_environment
from tests.serving.fixtures import key  # noqa: F401

__all__ = ["site_environment"]

PATIENCE = 10.0  # seconds: three servers and their tests share a computer


@pytest.fixture
async def press() -> AsyncIterator[NumberedPress]:
    """It serves as many connections as come, and counts them."""
    async with FaultServer() as double:
        yield NumberedPress(double)
        assert await settle(lambda: double.open_connections == 0), "a connection was left open"


@pytest.fixture
def registry(transactional_db: None, press: NumberedPress) -> PLC:
    """`press-0`, whose answers may take long on a computer with much to do."""
    (plc,) = register([press])
    Step.objects.exclude(timeout_s=None).update(timeout_s=PATIENCE)
    PLC.objects.update(response_timeout_s=PATIENCE, connect_timeout_s=PATIENCE, turn_timeout_s=60.0, max_waiting=200)
    plc.profile.commands.update(time_limit_s=4 * PATIENCE)
    return plc


@pytest.fixture
def environment(site_environment: dict[str, str]) -> dict[str, str]:
    """As of every child on this test's database, and always with Redis."""
    return {**site_environment, "REDIS_URL": REDIS_URL}
