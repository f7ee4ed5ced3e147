"""Sessions whose turns several processes share: each pool here stands for a process of its own, over a real Redis."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack

import pytest

from devices.modbus.errors import LinkUnavailable
from devices.plc.errors import LeaseLost, TurnGone, TurnsUnavailable
from devices.plc.health import HealthState
from devices.plc.leases import Leases
from devices.plc.pool import Pool
from devices.plc.specs import Priority
from devices.plc.turn import Turn
from tests.doubles.fault_server import FaultServer
from tests.doubles.leaks import settle
from tests.doubles.redis import NEEDS_REDIS, REDIS_URL
from tests.plc.machines import BATCH_SIZE, registered

pytestmark = NEEDS_REDIS

MakePool = Callable[..., Pool]


@pytest.fixture
async def process(plc: FaultServer) -> AsyncIterator[MakePool]:
    """Makes processes that share their turns."""
    prefix = f"test-{secrets.token_hex(6)}"
    async with AsyncExitStack() as stack:

        def make(url: str = REDIS_URL, **times: float) -> Pool:
            leases = Leases(url, prefix=prefix, **times)
            pool = Pool(leases=leases)
            stack.push_async_callback(leases.close)
            stack.push_async_callback(pool.close)
            return pool

        yield make


async def until_wanted(turn: Turn) -> bool:
    for _ in range(500):
        if await turn.is_wanted():
            return True
        await asyncio.sleep(0.01)
    return False


class TestTwoProcesses:
    async def test_are_never_connected_at_the_same_time(self, plc, process):
        async def read(pool: Pool) -> None:
            async with pool.session(registered(plc)) as session:
                await session.read(BATCH_SIZE)

        pools = process(), process()
        await asyncio.gather(*(read(pool) for pool in pools for _ in range(5)))
        assert len(plc.requests) == 10
        assert plc.peak_connections == 1

    async def test_keep_no_connection_beyond_the_turn(self, plc, process):
        async with process().session(registered(plc, keep_open_s=60.0)) as session:
            await session.read(BATCH_SIZE)
        assert await settle(lambda: plc.open_connections == 0)

    async def test_see_that_a_command_waits_in_the_other_one(self, plc, process):
        poller, commander = process(), process()
        spec = registered(plc)

        async def command() -> None:
            async with commander.session(spec) as session:
                await session.read(BATCH_SIZE)

        async with poller.turn(spec, Priority.POLL) as turn:
            assert not await turn.is_wanted()
            waiting = asyncio.create_task(command())
            assert await until_wanted(turn)
            assert plc.requests == []
        await waiting

    async def test_promise_nobody_a_turn_at_once(self, plc, process):
        spec = registered(plc, max_waiting=0)
        assert not process().is_free(spec)
        assert process().has_room(spec)


class TestATurnThatIsLost:
    async def test_cuts_the_session_and_blames_nobody(self, plc, process):
        pool, spec = process(life_s=1.5, renew_s=60.0), registered(plc)
        lost = []

        async def stay() -> None:
            async with pool.turn(spec) as turn, turn.session() as session:
                await session.read(BATCH_SIZE)
                try:
                    await asyncio.sleep(30)
                finally:
                    lost.append(turn.is_lost)

        with pytest.raises(LeaseLost):
            await stay()
        assert lost == [True]
        assert await settle(lambda: plc.open_connections == 0)
        assert pool.health(spec.id).state is HealthState.ONLINE
        assert pool.health(spec.id).reason == ""

    async def test_while_this_process_stood_still_lets_nothing_more_be_written(self, plc, process):
        pool, spec = process(life_s=1.5, renew_s=0.5), registered(plc)

        async def write_late() -> None:
            async with pool.turn(spec) as turn, turn.session() as session:
                await session.read(BATCH_SIZE)
                time.sleep(1.5)  # noqa: ASYNC251 - as SIGSTOP does: no timer of the loop is called before the next line
                assert turn.is_lost
                await session.write(BATCH_SIZE, 7)

        with pytest.raises((TurnGone, LeaseLost)):
            await write_late()
        assert plc.writes == []
        assert await settle(lambda: plc.open_connections == 0)
        assert pool.health(spec.id).state is HealthState.ONLINE


class TestARedisThatIsAway:
    async def test_is_no_fault_of_the_plc_and_nothing_is_sent(self, plc, process):
        pool, spec = process("redis://127.0.0.1:1/0"), registered(plc)
        for _ in range(4):
            with pytest.raises(TurnsUnavailable) as caught:
                async with pool.session(spec):
                    raise AssertionError("a turn that nobody shares")
        assert isinstance(caught.value, LinkUnavailable)
        assert pool.health(spec.id).state is HealthState.UNKNOWN
        assert plc.connects == 0
