"""Commands in a process that shares the PLC's turns over Redis: what is told when Redis or the turn is lost."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator

import pytest

from devices.control.gateway import Gateway
from devices.models import PLC, State, Step
from devices.plc.leases import Leases
from tests.control.databases import WriteLock, eventually
from tests.control.rows import call, change_command, stored_as
from tests.doubles.fault_server import FaultServer
from tests.doubles.redis import NEEDS_REDIS, REDIS_URL

pytestmark = [NEEDS_REDIS, pytest.mark.django_db(transaction=True)]


@pytest.fixture
async def gateway(transactional_db: None) -> AsyncIterator[Gateway]:
    """A server beside a poller that is another process."""
    gateway = Gateway(polls=False, redis_url=REDIS_URL, prefix=f"test-{secrets.token_hex(6)}")
    await gateway.start()
    yield gateway
    await gateway.drain(5.0)


async def share(gateway: Gateway, leases: Leases) -> None:
    """Other leases from now on."""
    await gateway.leases.close()
    gateway.leases = gateway.pool.leases = leases


class TestACommand:
    async def test_is_carried_out_in_its_lease(self, machine: FaultServer, line: PLC):
        record = await call()
        assert record.state == State.SUCCEEDED
        await stored_as(record)
        assert machine.peak_connections == 1

    async def test_is_not_told_where_redis_is_away(self, machine: FaultServer, line: PLC, gateway: Gateway):
        await share(gateway, Leases("redis://127.0.0.1:1/0", prefix="x"))
        record = await call()
        assert (record.state, record.retry) == (State.FAILED, "safe")
        assert "Redis" in record.detail
        assert machine.requests == []

    async def test_whose_turn_is_lost_after_the_trigger_is_unknown_and_sends_nothing_more(
        self, machine: FaultServer, line: PLC, gateway: Gateway
    ):
        await change_wait(30.0)
        await share(gateway, Leases(REDIS_URL, prefix=secrets.token_hex(6), life_s=2.5, renew_s=60.0))
        machine.behave()
        machine.on_write("start", lambda value: machine.discrete_inputs.__setitem__(3, 0))  # no acknowledge
        record = await call()
        assert record.state == State.UNKNOWN
        assert "the turn could not be kept" in record.detail
        assert machine.writes_to("start") == [1], "it was cleared in a turn that may be another's"
        await stored_as(record)

    async def test_that_stood_still_while_it_wrote_its_parameters_is_not_told(
        self, machine: FaultServer, line: PLC, gateway: Gateway
    ):
        await share(gateway, Leases(REDIS_URL, prefix=secrets.token_hex(6), life_s=2.0, renew_s=0.5))
        machine.on_write("setpoint", lambda _: time.sleep(2.0))  # the double lives on the same loop: all stands still
        record = await call()
        assert (record.state, record.retry) == (State.FAILED, "safe")
        assert "the turn could not be kept" in record.detail
        assert machine.writes_to("start") == []
        assert (await stored_as(record)).triggered_at is None

    async def test_whose_turn_is_lost_while_its_trigger_is_recorded_holds_no_connection_until_that_is_stored(
        self, machine: FaultServer, line: PLC, gateway: Gateway, write_lock: WriteLock
    ):
        await share(gateway, Leases(REDIS_URL, prefix=secrets.token_hex(6), life_s=2.5, renew_s=60.0))
        machine.on_write("setpoint", lambda _: write_lock.take())
        running = asyncio.create_task(call())
        await eventually(lambda: machine.writes_to("setpoint"), 10)
        await eventually(lambda: not machine.open_connections, 10)
        assert not running.done(), "its record is not stored yet"
        await asyncio.to_thread(write_lock.free)
        record = await running
        assert (record.state, record.retry) == (State.FAILED, "safe")
        assert "the turn could not be kept" in record.detail
        assert machine.writes_to("start") == []


async def change_wait(seconds: float) -> None:
    """The acknowledge may take so long."""
    await change_command("start_batch", time_limit_s=60.0)
    await Step.objects.filter(phase="wait").aupdate(timeout_s=seconds)
    step = await Step.objects.filter(phase="wait").afirst()
    await step.asave()  # the registry notices a saved row
