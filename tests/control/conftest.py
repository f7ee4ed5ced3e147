"""A machine behind the PLC double, registered, and a check that nothing stays open at it."""

from collections.abc import AsyncIterator

import pytest
from asgiref.sync import sync_to_async
from channels.db import database_sync_to_async
from django.db import connections

from devices.control.gateway import Gateway
from devices.control.journal import Journal
from devices.models import PLC
from tests.control import rows
from tests.control.databases import journal_gives_up_after, write_lock
from tests.doubles.fault_server import FaultServer
from tests.doubles.leaks import settle

__all__ = ["write_lock"]

BATCH_NUMBER_LOW = 10  # input register


@pytest.fixture(autouse=True)
async def _no_connection_left() -> AsyncIterator[None]:
    """The worker thread of `sync_to_async` keeps its database connection: close it."""
    yield
    await sync_to_async(connections.close_all)()


@pytest.fixture
async def journal(press: PLC) -> AsyncIterator[Journal]:
    """One that tells nobody, for a module with a `press`."""
    journal = Journal(on_commit=lambda _: None)
    journal.start()
    yield journal
    await journal.stop()


@pytest.fixture
async def machine(plc: FaultServer) -> AsyncIterator[FaultServer]:
    """The double acknowledges each start and counts the batch; at the end of the test nothing may be open at it."""
    plc.names.update(rows.PLACES)
    plc.acknowledge("start", on="ack")
    plc.on_write("start", lambda value: count(plc, value))
    yield plc
    assert await settle(lambda: plc.open_connections == 0), "a connection was left open"


def count(plc: FaultServer, value: int) -> None:
    plc.input_registers[BATCH_NUMBER_LOW] += value


@pytest.fixture
async def press(machine: FaultServer, transactional_db: None, request: pytest.FixtureRequest) -> PLC:
    """`press-1`, with the commands of rows.py, at the double's port."""
    limits = rows.GIVES_UP_SOON if request.node.get_closest_marker("mute") else {}
    return await database_sync_to_async(lambda: rows.make_plc(rows.make_profile(), port=machine.port, **limits))()


@pytest.fixture
def line(press: PLC, gateway: Gateway) -> PLC:
    """`press-1` and a running gateway."""
    return press


@pytest.fixture
def impatient(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> float:
    """Connections made from now on wait only so many seconds for a lock, not 20. Comes before `gateway`."""
    return journal_gives_up_after(0.2, monkeypatch)
