"""Servers beside each other: who is taken for dead, and what becomes of the runs that a dead one left."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest
from django.utils import timezone
from redis.asyncio import Redis

from devices.control import processes, recover
from devices.control.errors import RecordUnavailable
from devices.control.gateway import Gateway
from devices.control.journal import _refused
from devices.control.processes import DEAD_AFTER_S, STRANGER_AFTER_S, Attendance, Processes, new_name
from devices.control.records import RunRecord
from devices.models import PLC, Run, State
from tests.control import doubtful
from tests.control.databases import elsewhere, eventually
from tests.control.rows import MES, call, runs, the_run
from tests.control.test_announce import Listener
from tests.doubles.fault_server import FaultServer
from tests.doubles.redis import NEEDS_REDIS, REDIS_URL

OTHER = "other:1:abc"


def heard(
    attendance: Attendance, at_s: float, *living: str, gone: tuple[str, ...] = (), was_alive: bool = True
) -> None:
    attendance.note(was_alive=was_alive, living=("us", *living), gone=gone, at_s=at_s)


@pytest.fixture
def attendance() -> Attendance:
    """We are known, and the other one has just been seen."""
    attendance = Attendance()
    heard(attendance, 0.0, was_alive=False)
    heard(attendance, 1.0, OTHER)
    return attendance


async def maybe_told(line: PLC) -> Run:
    """Under way in the other process, which recorded the trigger; a proof can tell what the machine did."""
    command, open_now = doubtful.command(doubtful.IS_ACTIVE), {"finished_at": None, "effect": "", "retry": ""}
    return await doubtful.left(line, command, state=State.RUNNING, process=OTHER, **open_now)


async def proven(run: Run) -> None:
    """Once it was read."""
    await eventually(lambda: elsewhere(lambda: Run.objects.get(pk=run.pk).state) == State.SUCCEEDED, 15)


class TestAProcess:
    def test_is_dead_once_it_was_missed_for_long_enough(self, attendance):
        heard(attendance, 1.0 + DEAD_AFTER_S - 0.1, gone=(OTHER,))
        assert not attendance.is_dead(OTHER)
        heard(attendance, 1.0 + DEAD_AFTER_S, gone=(OTHER,))
        assert attendance.is_dead(OTHER)
        assert attendance.dead() == {OTHER}

    def test_that_is_seen_again_was_not_dead(self, attendance):
        heard(attendance, 3.0, gone=(OTHER,))
        heard(attendance, 3.5, OTHER)
        heard(attendance, 1.0 + DEAD_AFTER_S, gone=(OTHER,))
        assert not attendance.is_dead(OTHER)

    def test_is_not_dead_while_redis_does_not_answer(self, attendance):
        attendance.miss()
        assert not attendance.is_dead(OTHER)
        heard(attendance, 100.0, gone=(OTHER,))
        assert not attendance.is_dead(OTHER), "it could not say that it lives either"
        heard(attendance, 100.0 + DEAD_AFTER_S, gone=(OTHER,))
        assert attendance.is_dead(OTHER)

    def test_is_not_dead_where_redis_has_lost_its_memory(self, attendance):
        heard(attendance, 100.0, was_alive=False)
        heard(attendance, 101.0)
        heard(attendance, 101.0 + DEAD_AFTER_S)
        assert not attendance.is_dead(OTHER)

    def test_is_not_dead_when_we_stood_still_ourselves(self, attendance):
        heard(attendance, 100.0, gone=(OTHER,), was_alive=False)
        heard(attendance, 101.0, gone=(OTHER,))
        assert not attendance.is_dead(OTHER)

    def test_that_this_redis_never_heard_of_is_left_alone_for_long(self, attendance):
        heard(attendance, STRANGER_AFTER_S)
        assert attendance.is_stranger("elsewhere:1:x")
        assert not attendance.is_dead("elsewhere:1:x")
        heard(attendance, 1.0 + STRANGER_AFTER_S)
        assert attendance.is_dead("elsewhere:1:x"), "it may have died long ago, with a Redis that has forgotten it"


@pytest.fixture
async def member() -> AsyncIterator[Callable[..., Processes]]:
    """Makes processes that know each other, and no other test's."""
    prefix = f"test-{secrets.token_hex(6)}"
    async with AsyncExitStack() as stack:

        def make(**times: float) -> Processes:
            made = Processes(REDIS_URL, prefix=prefix, name=new_name(), renew_s=0.05, **times)
            stack.push_async_callback(made.stop)
            return made

        yield make


@NEEDS_REDIS
class TestProcesses:
    async def test_hear_of_each_other_and_that_one_has_ended(self, member, monkeypatch):
        monkeypatch.setattr(processes, "DEAD_AFTER_S", 0.3)
        one, other = member(), member()
        await one.start()
        await other.start()
        await eventually(lambda: other.name in one.attendance._seen)
        assert not one.attendance.is_dead(other.name)
        await other.stop()
        await eventually(lambda: one.attendance.dead() == {other.name})

    async def test_that_say_nothing_any_more_are_dead(self, member, monkeypatch):
        monkeypatch.setattr(processes, "DEAD_AFTER_S", 0.3)
        one, other = member(), member(life_s=0.5)
        await one.start()
        await other.start()
        await eventually(lambda: other.name in one.attendance._seen)
        other._beating.cancel()
        await eventually(lambda: one.attendance.is_dead(other.name))

    async def test_outlive_a_redis_that_was_emptied(self, member, monkeypatch):
        monkeypatch.setattr(processes, "DEAD_AFTER_S", 0.5)
        one, other = member(), member()
        await one.start()
        await other.start()
        await eventually(lambda: other.name in one.attendance._seen)
        async with Redis.from_url(REDIS_URL) as redis:
            await redis.delete(one._key)
        for _ in range(40):
            await asyncio.sleep(0.05)
            assert not one.attendance.is_dead(other.name)

    async def test_go_on_saying_that_they_live_after_an_answer_that_makes_no_sense(self, member, caplog):
        one, other = member(), member()
        await one.start()
        async with Redis.from_url(REDIS_URL) as redis:
            await redis.zadd(one._key, {b"no name \xff": 1e15})
            await eventually(lambda: "fault of the gateway" in caplog.text)
            assert not one.attendance.is_dead(OTHER)
            await redis.zrem(one._key, b"no name \xff")
        await other.start()
        await eventually(lambda: other.name in one.attendance._seen)


@pytest.fixture
async def gateway(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Gateway]:
    """A server that others may be beside."""
    monkeypatch.setattr(processes, "DEAD_AFTER_S", 0.5)
    monkeypatch.setattr(processes, "RENEW_S", 0.1)
    monkeypatch.setattr(recover, "LOOK_S", 0.05)
    gateway = Gateway(polls=False, redis_url=REDIS_URL, prefix=f"test-{secrets.token_hex(6)}")
    gateway.processes._renew_s = 0.1
    await gateway.start()
    yield gateway
    await gateway.drain(5.0)


@pytest.fixture
async def other(gateway: Gateway) -> AsyncIterator[Processes]:
    """Another process, alive."""
    other = Processes(REDIS_URL, prefix=gateway.processes._key.removesuffix(":processes"), name=OTHER, renew_s=0.1)
    await other.start()
    await eventually(lambda: OTHER in gateway.processes.attendance._seen)
    yield other
    await other.stop()


async def left(plc: PLC, state: State, **more: Any) -> Run:
    usual = {"plc": plc, "plc_name": plc.name, "command": "start_batch", "caller": MES.name, "process": OTHER}
    return await Run.objects.acreate(**usual | {"state": state, "accepted_at": timezone.now(), **more})


@NEEDS_REDIS
class TestARunOfAnotherProcess:
    async def test_is_left_alone_while_that_one_lives(self, line: PLC, gateway: Gateway, other: Processes):
        before = await left(line, State.QUEUED)
        await asyncio.sleep(1.5)
        assert [(run.state, run.version) for run in await runs()] == [(State.QUEUED, before.version)]

    @pytest.mark.parametrize(
        ("left_as", "state", "retry"),
        [
            ({"state": State.QUEUED}, State.FAILED, "safe"),
            ({"state": State.RUNNING}, State.FAILED, "safe"),
            ({"state": State.RUNNING, "triggered_at": timezone.now()}, State.UNKNOWN, "after_reconcile"),
        ],
    )
    async def test_is_settled_by_its_last_record_when_that_one_has_died(
        self,
        machine: FaultServer,
        line: PLC,
        gateway: Gateway,
        other: Processes,
        left_as: Any,
        state: State,
        retry: str,
    ):
        before = await left(line, **left_as)
        async with Listener() as page:
            await other.stop()
            await eventually(lambda: page.runs and page.of("live.registry"), 10)
            assert [(run["id"], run["state"]) for run in page.runs] == [(before.pk, state)]
        run = await the_run()
        assert (run.state, run.retry, run.version) == (state, retry, before.version + 1)
        assert "stopped, or stood still for too long" in run.detail
        assert run.finished_at is not None
        assert machine.requests == []

    async def test_is_settled_once_by_whoever_lives(self, line: PLC, gateway: Gateway, other: Processes):
        third = Gateway(polls=False, redis_url=REDIS_URL, prefix=gateway.processes._key.removesuffix(":processes"))
        await third.start()
        try:
            for _ in range(20):
                await left(line, State.QUEUED)
            await other.stop()
            await asyncio.sleep(0)
            await eventually(lambda: not elsewhere(Run.objects.filter(state=State.QUEUED).count), 15)
            await asyncio.sleep(0.5)
            assert {(run.state, run.version) for run in await runs()} == {(State.FAILED, 2)}
        finally:
            await third.drain(5.0)

    async def test_makes_way_for_the_next_command(self, line: PLC, gateway: Gateway, other: Processes):
        await left(line, State.RUNNING)
        await other.stop()
        assert (await call()).state == State.SUCCEEDED

    async def test_that_is_unknown_is_read_where_its_command_says_what_proves_it(
        self, machine: FaultServer, line: PLC, gateway: Gateway, other: Processes
    ):
        machine.discrete_inputs[doubtful.ACTIVE.address] = 1
        run = await maybe_told(line)
        await other.stop()
        await proven(run)
        (then,) = (await the_run()).history
        assert (then["state"], then["by"]) == (State.UNKNOWN, "gateway")
        assert machine.writes == []

    async def test_that_is_unknown_is_read_also_where_the_one_beside_it_cannot_be_settled(
        self,
        machine: FaultServer,
        line: PLC,
        gateway: Gateway,
        other: Processes,
        monkeypatch: pytest.MonkeyPatch,
    ):
        machine.discrete_inputs[doubtful.ACTIVE.address] = 1
        stuck, run = await left(line, State.QUEUED), await maybe_told(line)
        change = gateway.journal.change

        def refusing(record: RunRecord, **fields: Any) -> "asyncio.Future[RunRecord]":
            return _refused(RecordUnavailable("no")) if record.id == stuck.pk else change(record, **fields)

        monkeypatch.setattr(gateway.journal, "change", refusing)
        await other.stop()
        await proven(run)
        assert elsewhere(lambda: Run.objects.get(pk=stuck.pk).state) == State.QUEUED

    async def test_that_is_unknown_is_handed_over_again_where_it_could_not_be(
        self,
        machine: FaultServer,
        line: PLC,
        gateway: Gateway,
        other: Processes,
        monkeypatch: pytest.MonkeyPatch,
    ):
        machine.discrete_inputs[doubtful.ACTIVE.address] = 1
        take_over, tries = gateway.reconciler.take_over, []

        async def unavailable_at_first(run_ids: Any) -> None:
            tries.append(run_ids)
            if len(tries) == 1:
                raise RecordUnavailable("no")
            await take_over(run_ids)

        monkeypatch.setattr(gateway.reconciler, "take_over", unavailable_at_first)
        run = await maybe_told(line)
        await other.stop()
        await proven(run)
        assert tries == [[run.pk]] * 2


@NEEDS_REDIS
class TestAProcessThatStoodStill:
    async def test_finds_its_run_settled_and_does_not_tell_the_machine(
        self, machine: FaultServer, line: PLC, gateway: Gateway
    ):
        """Another one settled it while parameters were written; the turn seems to be ours still."""

        def settle_elsewhere(_: int) -> None:
            over = {"state": State.FAILED, "effect": "none", "retry": "safe", "detail": "by another one", "version": 3}
            elsewhere(lambda: Run.objects.filter(state=State.RUNNING).update(**over))

        machine.on_write("setpoint", settle_elsewhere)
        record = await call()
        assert (record.state, record.detail) == (State.FAILED, "by another one")
        assert machine.writes_to("start") == []
        assert (await the_run()).version == 3
