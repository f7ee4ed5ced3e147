"""What every test may use: a PLC double, a registry with that PLC, and a running gateway."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator

import pytest
from django.contrib.auth.models import Group
from django.db import connection
from pytest_django.plugin import DjangoDbBlocker

from devices.control.gateway import Gateway
from devices.management.event_loop import new_event_loop
from devices.models import audit_guard
from devices.models.roles import create_roles
from tests import emptying, prepared
from tests.doubles.fault_server import FaultServer
from tests.hashing import QUICK, hash_at
from tests.touching import can_touch

emptying.install()
# As quick as a hash of a password can be, and still Argon2's: the servers in processes of their own know it too.
hash_at(QUICK)


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """All tables are emptied between tests, also the audit: the database would refuse that."""
    with django_db_blocker.unblock():
        audit_guard.remove(connection)
    yield
    with django_db_blocker.unblock():
        end_other_sessions()


def end_other_sessions() -> None:
    """A thread that looks at keys lives as long as its process, and its connection keeps the database from going."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """A test runs on what a server runs on."""
    return {"loop": new_event_loop}


@pytest.fixture
async def plc() -> AsyncIterator[FaultServer]:
    """A PLC double on a port of its own."""
    async with FaultServer() as server:
        yield server


@pytest.fixture
def roles(transactional_db: None) -> None:
    """The groups that the product brings: a test with transactions empties the tables of those before it."""
    if Group.objects.exists():  # the migration has made them, and no test has ended yet
        create_roles()
    else:
        prepared.put_in(create_roles, prepared.ROLES)


@pytest.fixture
async def gateway(transactional_db: None) -> AsyncIterator[Gateway]:
    """The long-lived parts, started and drained; fill the registry before or after, it notices."""
    gateway = Gateway(polls=False)
    await gateway.start()
    try:
        yield gateway
    finally:
        await gateway.drain(5.0)


def pytest_addoption(parser: pytest.Parser) -> None:
    """For CI's second run."""
    parser.addoption(
        "--touching-services", action="store_true", help="leave out what can touch neither the database nor Redis"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What was left out is counted in the closing line, as deselected."""
    if config.getoption("--touching-services"):
        config.hook.pytest_deselected(items=[item for item in items if not can_touch(item)])
        items[:] = filter(can_touch, items)


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
