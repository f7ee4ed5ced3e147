"""What every test may use: a PLC double, a registry with that PLC, and a running gateway."""

import os
from collections.abc import AsyncIterator

import pytest

from devices.control.gateway import Gateway
from tests.doubles.fault_server import FaultServer


@pytest.fixture
async def plc() -> AsyncIterator[FaultServer]:
    """A PLC double on a port of its own."""
    async with FaultServer() as server:
        yield server


@pytest.fixture
async def gateway(transactional_db: None) -> AsyncIterator[Gateway]:
    """The long-lived parts, started and drained; fill the registry before or after, it notices."""
    gateway = Gateway()
    await gateway.start()
    try:
        yield gateway
    finally:
        await gateway.drain(5.0)


def pytest_report_header() -> list[str]:
    """Say which services this run talks to."""
    from django.conf import settings

    database = settings.DATABASES["default"]["ENGINE"].rpartition(".")[2]
    return [f"database: {database}; push: {'redis' if settings.REDIS_URL else 'in process'}"]


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """In CI a skipped test is a failed one: nothing that could run there may be left out."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("NO_SKIPS") and reporter.stats.get("skipped") and exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
