"""An unreachable PLC: calls fail at once, a probe looks for it, and nobody else notices."""

import asyncio
from itertools import groupby
from time import monotonic

import pytest

from devices.modbus.errors import LinkUnavailable
from devices.plc.errors import PLCOffline
from devices.plc.health import Health, HealthState, probe_delay_s
from devices.plc.pool import Pool
from tests.doubles import faults
from tests.doubles.fault_server import FaultServer
from tests.doubles.leaks import settle
from tests.plc.machines import CONNECT_S, START, read, registered


async def fail(pool: Pool, plc: FaultServer, times: int) -> None:
    for _ in range(times):
        with pytest.raises(LinkUnavailable) as caught:
            await read(pool, plc)
        assert not isinstance(caught.value, PLCOffline)


def state(pool: Pool) -> HealthState:
    return pool.health(1).state


class TestOffline:
    async def test_is_a_plc_after_three_failures_in_a_row(self, plc, pool):
        await plc.refuse_connects()
        await fail(pool, plc, 2)
        assert state(pool) is HealthState.UNKNOWN
        await fail(pool, plc, 1)
        assert state(pool) is HealthState.OFFLINE
        assert "refused" in pool.health(1).reason

    async def test_is_a_plc_that_connects_and_never_serves(self, plc, pool):
        plc.misbehave(faults.swallow, times=None)
        await fail(pool, plc, 3)
        assert state(pool) is HealthState.OFFLINE
        assert "not served" in pool.health(1).reason

    async def test_fails_at_once_with_the_reason_and_when_to_come_again(self, plc, pool):
        plc.drop_connects()
        await fail(pool, plc, 3)
        start = monotonic()
        with pytest.raises(PLCOffline, match="did not accept") as caught:
            await read(pool, plc)
        assert monotonic() - start < CONNECT_S
        assert caught.value.retry_after_s >= 1

    async def test_fails_at_once_also_for_those_who_wait_for_their_turn(self, plc, pool):
        plc.drop_connects()
        start = monotonic()
        results = await asyncio.gather(*(read(pool, plc) for _ in range(20)), return_exceptions=True)
        assert all(isinstance(result, LinkUnavailable) for result in results)
        assert sum(isinstance(result, PLCOffline) for result in results) == 17
        assert monotonic() - start < 10 * CONNECT_S, "three wait for a connection, not twenty"

    async def test_is_not_a_plc_that_answers_in_between(self, plc, pool):
        await plc.refuse_connects()
        await fail(pool, plc, 2)
        plc.behave()
        await read(pool, plc)
        await plc.refuse_connects()
        await fail(pool, plc, 2)
        assert state(pool) is HealthState.ONLINE

    async def test_is_not_a_plc_that_answers_with_exceptions(self, plc, pool):
        plc.misbehave(faults.exception(4), times=None)
        for _ in range(5):
            async with pool.session(registered(plc)) as session:
                await session.prove()
        assert state(pool) is HealthState.ONLINE

    async def test_is_told_with_each_next_try_and_so_is_the_return(self, plc):
        told: list[Health] = []
        pool = Pool(on_health=lambda _, health: told.append(health), probe_first_s=0.03, probe_longest_s=0.03)
        await plc.refuse_connects()
        await fail(pool, plc, 3)
        await asyncio.sleep(0.1)
        plc.behave()
        assert await settle(lambda: state(pool) is HealthState.ONLINE)
        states = [health.state for health in told]
        assert [state for state, _ in groupby(states)] == [HealthState.UNKNOWN, HealthState.OFFLINE, HealthState.ONLINE]
        tries = [health.next_try_s for health in told if health.state is HealthState.OFFLINE]
        assert tries[0] is None, "before the first look-out is set"
        assert len(tries[1:]) >= 2
        assert tries[1:] == sorted(set(tries[1:])), "nothing is told twice"
        await pool.close()


class TestProbe:
    async def test_brings_the_plc_back(self, plc, pool):
        await plc.refuse_connects()
        await fail(pool, plc, 3)
        plc.behave()
        assert await settle(lambda: state(pool) is HealthState.ONLINE, 0.5)
        assert await read(pool, plc) == 0

    async def test_reads_once_writes_nothing_and_closes(self, plc, pool):
        await plc.refuse_connects()
        await fail(pool, plc, 3)
        plc.behave()
        assert await settle(lambda: state(pool) is HealthState.ONLINE)
        await asyncio.sleep(0.15)
        assert [request.function for request in plc.requests] == [3]
        assert plc.connects == 1
        assert plc.open_connections == 0

    async def test_goes_on_until_the_plc_serves_us(self, plc, pool):
        plc.misbehave(faults.swallow, times=None)
        await fail(pool, plc, 3)
        assert await settle(lambda: len(plc.requests) >= 6)
        assert state(pool) is HealthState.OFFLINE
        plc.behave()
        assert await settle(lambda: state(pool) is HealthState.ONLINE)

    async def test_stops_when_the_plc_is_disabled(self, plc, pool):
        await plc.refuse_connects()
        await fail(pool, plc, 3)
        pool.refresh({1: registered(plc, is_enabled=False)})
        plc.behave()
        await asyncio.sleep(0.15)
        assert plc.connects == 0
        assert state(pool) is HealthState.UNKNOWN

    def test_comes_ever_more_rarely(self):
        assert [probe_delay_s(tries) for tries in (0, 1, 2, 3, 4, 1000)] == [10, 20, 40, 60, 60, 60]


class TestOthers:
    async def test_do_not_notice_dead_plcs(self, plc, pool):
        """30 % of the PLCs are dead, each in its own way."""
        dead = [FaultServer() for _ in range(3)]
        async with dead[0], dead[1], dead[2]:
            await dead[0].refuse_connects()
            dead[1].drop_connects()
            dead[2].misbehave(faults.swallow, times=None)
            calls = [asyncio.create_task(read(pool, one, id=2 + i)) for i, one in enumerate(dead) for _ in range(20)]
            start = monotonic()
            for _ in range(50):
                await read(pool, plc)
            assert monotonic() - start < 3 * CONNECT_S
            results = await asyncio.gather(*calls, return_exceptions=True)
            assert all(isinstance(result, LinkUnavailable) for result in results)
            assert {pool.health(id_).state for id_ in (2, 3, 4)} == {HealthState.OFFLINE}
            assert state(pool) is HealthState.ONLINE
            await pool.close()

    async def test_are_not_written_to_in_place_of_the_dead_one(self, plc, pool):
        async with FaultServer() as dead:
            await dead.refuse_connects()
            with pytest.raises(LinkUnavailable):
                async with pool.session(registered(dead, id=2)) as session:
                    await session.write(START, True)
        assert plc.requests == []


class TestHealth:
    def test_counts_failures_in_a_row_and_remembers_since_when(self):
        health = Health().after_success(5.0).after_failure("a", 6.0).after_failure("b", 7.0)
        assert (health.state, health.since, health.failures) == (HealthState.ONLINE, 5.0, 2)
        health = health.after_failure("c", 8.0).after_failure("d", 9.0)
        assert (health.state, health.since, health.reason, health.failures) == (HealthState.OFFLINE, 8.0, "d", 4)
        assert health.after_success(10.0) == Health(state=HealthState.ONLINE, since=10.0)
