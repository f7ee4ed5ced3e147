"""After every test that talks to the PLC double, nothing may be left behind."""

from collections.abc import AsyncIterator

import pytest

from devices.modbus.link import Link
from tests.doubles.fault_server import FaultServer
from tests.doubles.leaks import nothing_left
from tests.modbus.links import endpoint


@pytest.fixture
async def plc() -> AsyncIterator[FaultServer]:
    """A PLC double; the test fails if it leaves a connection, a task or a descriptor, or if the PLC stays blocked."""
    async with FaultServer() as server, nothing_left(server):
        yield server


@pytest.fixture
async def link(plc: FaultServer) -> AsyncIterator[Link]:
    """An open link to the double."""
    async with Link(endpoint(plc)) as link:
        yield link
