"""After every test that talks to the PLC double, nothing may be left behind, and the pool serves the next caller."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from devices.plc.health import HealthState
from devices.plc.pool import Pool
from tests.doubles.fault_server import FaultServer
from tests.doubles.leaks import nothing_left, settle
from tests.plc.machines import BATCH_SIZE


@pytest.fixture
async def plc() -> AsyncIterator[FaultServer]:
    """A PLC double; the test fails if it leaves a connection, a task or a descriptor, or if the PLC stays blocked."""
    async with FaultServer() as server, nothing_left(server):
        yield server


@pytest.fixture
async def pool(plc: FaultServer) -> AsyncIterator[Pool]:
    """A pool that looks for an offline PLC every 50 ms."""
    pool = Pool(probe_first_s=0.05, probe_longest_s=0.05)
    try:
        yield pool
        await _serves_the_next_caller(pool, plc)
    finally:
        await pool.close()


async def _serves_the_next_caller(pool: Pool, plc: FaultServer) -> None:
    plc.behave()
    spec = next((peer.plc for peer in pool._peers.values() if peer.plc.endpoint.port == plc.port), None)
    if spec is None or pool.is_closed:
        return
    assert await settle(lambda: pool.health(spec.id).state is not HealthState.OFFLINE), "the PLC stays offline"
    async with asyncio.timeout(2), pool.session(spec) as session:
        await session.read(BATCH_SIZE)
