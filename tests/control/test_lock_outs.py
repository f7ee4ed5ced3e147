"""A PLC that is locked out for maintenance: what it is told, who may lock it, and what goes on all the same."""

import asyncio
import dataclasses
import secrets
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from datetime import timedelta

import pytest
from channels.db import database_sync_to_async
from django.db import transaction
from django.utils import timezone

from devices.control import lock_outs
from devices.control import stamps as stamps_module
from devices.control.callers import Caller
from devices.control.check import check
from devices.control.errors import (
    Draining,
    InvalidParameters,
    NotPermitted,
    PLCLockedOut,
    RecordUnavailable,
    UnknownPLC,
)
from devices.control.gateway import Gateway
from devices.control.group import run_all
from devices.control.locking import lock, unlock
from devices.control.read import read_tag
from devices.control.records import RunRecord
from devices.control.rights import NOTHING, GrantSpec, Rights
from devices.control.submit import Reply, Request
from devices.control.write import WriteRequest, name_of, write
from devices.models import PLC, Effect, LockOut, Retry, Right, Run, State, stamps
from devices.models.stamps import Kind, moved
from tests.control.databases import eventually, no_table
from tests.control.rows import MES, call, make_plc
from tests.doubles.fault_server import FaultServer
from tests.doubles.redis import NEEDS_REDIS, REDIS_URL
from tests.doubles.wire import Exchange

pytestmark = pytest.mark.django_db(transaction=True)

ENGINEER = Caller(name="user eva", source="10.0.0.8", rights=Rights(grants=(GrantSpec(right=Right.ADMINISTER),)))
WHY = "I replace the belt"


@pytest.fixture
async def go(machine: FaultServer, line: PLC) -> AsyncIterator[asyncio.Event]:
    """The machine answers the first trigger once this is set."""
    line.response_timeout_s = 10
    await line.asave()
    go = asyncio.Event()

    async def hold(exchange: Exchange) -> None:
        await go.wait()
        await exchange.answer()

    machine.misbehave(hold, at="start")
    yield go
    go.set()


class TestALockedPLC:
    async def test_is_told_no_command_and_each_caller_why_without_a_run(self, machine: FaultServer, line: PLC):
        end = timezone.now() + timedelta(hours=2)
        await lock("press-1", ENGINEER, reason=WHY, until=end.isoformat())
        with pytest.raises(PLCLockedOut) as refusal:
            await call()
        said = f"press-1 is locked out for maintenance by user eva since .*, until {end:%Y-%m-%d %H:%M} UTC: {WHY}"
        assert refusal.match(said)
        assert await Run.objects.acount() == 0
        assert machine.requests == []

    async def test_is_told_no_dry_run_no_written_tag_and_no_command_of_a_group(self, machine: FaultServer, line: PLC):
        await lock("press-1", ENGINEER, reason=WHY)
        with pytest.raises(PLCLockedOut):
            await check("press-1", "start_batch", {}, MES)
        asked = WriteRequest(plc="press-1", command=name_of("recipe"), tag="recipe", given={"value": 3}, caller=MES)
        with pytest.raises(PLCLockedOut):
            await write(asked, None)
        (result,) = await run_all([Request(plc="press-1", command="reset", given={}, caller=MES)], MES, None)
        assert isinstance(result, PLCLockedOut)
        assert machine.requests == []

    async def test_is_still_read(self, machine: FaultServer, line: PLC, gateway: Gateway):
        machine.holding_registers[5] = 7
        await lock("press-1", ENGINEER, reason=WHY)
        assert (await read_tag(await gateway.registry.find("press-1"), "recipe")).value == 7

    async def test_keeps_its_connection_and_its_place_in_the_registry(self, line: PLC, gateway: Gateway, monkeypatch):
        before = await gateway.registry.plcs()
        refreshed = []
        monkeypatch.setattr(gateway.watching, "refresh", refreshed.append)
        await lock("press-1", ENGINEER, reason=WHY)
        await unlock("press-1", ENGINEER)
        assert await gateway.registry.plcs() is before
        assert refreshed == []

    async def test_holds_no_other_up(self, machine: FaultServer, line: PLC):
        await database_sync_to_async(make_plc)(line.profile, "press-2", port=machine.port)
        await lock("press-2", ENGINEER, reason=WHY)
        assert (await call()).state == State.SUCCEEDED

    async def test_takes_commands_again_once_it_is_unlocked(self, machine: FaultServer, line: PLC):
        await lock("press-1", ENGINEER, reason=WHY)
        await unlock("press-1", dataclasses.replace(ENGINEER, name="user otto"))
        assert (await call()).state == State.SUCCEEDED
        row = await LockOut.objects.aget()
        assert (row.by, row.lifted_by) == ("user eva", "user otto")
        assert row.lifted_at >= row.since

    async def test_takes_commands_again_when_the_time_is_over(self, machine: FaultServer, line: PLC):
        await lock("press-1", ENGINEER, reason=WHY, until=(timezone.now() + timedelta(seconds=0.3)).isoformat())
        with pytest.raises(PLCLockedOut):
            await call()
        await asyncio.sleep(0.35)
        assert (await call()).state == State.SUCCEEDED

    async def test_stays_locked_over_a_restart(self, line: PLC, gateway: Gateway):
        await lock("press-1", ENGINEER, reason=WHY)
        await gateway.drain(1)
        again = Gateway(polls=False)
        await again.start()
        try:
            with pytest.raises(PLCLockedOut):
                await call()
        finally:
            await again.drain(1)


class TestRunsUnderWay:
    async def test_that_wait_for_their_turn_fail_at_once_and_are_never_sent(
        self, machine: FaultServer, line: PLC, go: asyncio.Event
    ):
        running = asyncio.create_task(call())
        await eventually(lambda: machine.writes_to("start"))
        waiting = asyncio.create_task(call("reset"))
        await one_waits()
        await lock("press-1", ENGINEER, reason=WHY)
        record = await waiting
        assert (record.state, record.effect, record.retry) == (State.FAILED, Effect.NONE, Retry.AFTER_FIX)
        assert record.detail.startswith("The machine was not told: press-1 is locked out for maintenance by user eva")
        assert not running.done(), "what has begun is not cut"
        await unlock("press-1", ENGINEER)
        go.set()
        assert (await running).state == State.SUCCEEDED
        assert machine.writes_to("reset") == []

    async def test_whose_turn_comes_after_another_process_locked_are_not_sent(
        self, machine: FaultServer, line: PLC, gateway: Gateway, go: asyncio.Event, monkeypatch
    ):
        monkeypatch.setattr(lock_outs, "BELIEVED_S", 0.1)
        running = asyncio.create_task(call())
        await eventually(lambda: machine.writes_to("start"))
        waiting = asyncio.create_task(call("reset"))
        await one_waits()
        await stored_elsewhere(line)
        await asyncio.sleep(0.15)
        go.set()
        assert (await running).state == State.SUCCEEDED
        record = await waiting
        assert (record.state, record.effect) == (State.FAILED, Effect.NONE)
        assert machine.writes_to("reset") == []

    async def test_of_another_process_s_lock_are_refused_within_a_second(self, machine: FaultServer, line: PLC):
        assert (await call("reset")).state == State.SUCCEEDED
        await stored_elsewhere(line)
        await asyncio.sleep(lock_outs.BELIEVED_S)
        with pytest.raises(PLCLockedOut):
            await call("reset")

    async def test_do_not_begin_where_nobody_can_look_whether_the_plc_is_locked(self, machine: FaultServer, line: PLC):
        async with no_table("devices_stamp"):
            await asyncio.sleep(lock_outs.BELIEVED_S)
            with pytest.raises(RecordUnavailable):
                await call()
        assert machine.requests == []

    @pytest.mark.parametrize("command", ["start_batch", "reset"])
    async def test_that_have_told_the_machine_nothing_that_acts_do_not_trigger(
        self, machine: FaultServer, line: PLC, command: str
    ):
        """A slow PLC, or one that comes back after many tries: whoever has locked it may stand in it by now."""
        line.response_timeout_s = 10
        await line.asave()
        go = asyncio.Event()

        async def hold(exchange: Exchange) -> None:
            await go.wait()
            await exchange.answer()

        machine.next(hold)  # the proof of the fresh connection, or the first look
        running = asyncio.create_task(call(command))
        await eventually(lambda: machine.requests)
        await lock("press-1", ENGINEER, reason=WHY)
        go.set()
        record = await running
        assert (record.state, record.effect) == (State.FAILED, Effect.NONE)
        assert WHY in record.detail
        assert record.triggered_at is None
        assert machine.writes_to("start") == machine.writes_to("reset") == []

    @pytest.mark.parametrize("is_told", [True, False], ids=["here", "by another process"])
    async def test_whose_trigger_is_being_recorded_when_the_plc_is_locked_do_not_trigger(
        self, machine: FaultServer, line: PLC, gateway: Gateway, is_told: bool, monkeypatch
    ):
        """A database may take its time; what was looked at before is no longer so."""
        change = gateway.journal.change

        async def locked_meanwhile(record: RunRecord, **fields: object) -> RunRecord:
            if fields.get("triggered_at") is not None:
                await (lock("press-1", ENGINEER, reason=WHY) if is_told else stored_elsewhere(line))
                await asyncio.sleep(lock_outs.BELIEVED_S)
            return await change(record, **fields)

        monkeypatch.setattr(
            gateway.journal, "change", lambda *told, **fields: asyncio.ensure_future(locked_meanwhile(*told, **fields))
        )
        record = await call()
        assert (record.state, record.effect, record.retry) == (State.FAILED, Effect.NONE, Retry.AFTER_FIX)
        assert record.triggered_at is None
        assert machine.writes_to("setpoint") != []
        assert machine.writes_to("start") == []


class TestALook:
    async def test_that_takes_longer_than_its_answer_is_good_for_is_enough(self, gateway: Gateway, monkeypatch):
        """Else nobody would ever come to his command."""
        looks, look = [], stamps.versions

        def slow() -> Mapping[str, int]:
            looks.append(1)
            time.sleep(0.2)
            return look()

        monkeypatch.setattr(stamps, "versions", slow)
        monkeypatch.setattr(lock_outs, "BELIEVED_S", 0.05)
        await asyncio.sleep(0.1)
        async with asyncio.timeout(5):
            await gateway.lock_outs.refresh()
        assert len(looks) <= 3  # one more is due by itself

    async def test_after_the_gateway_has_ended_says_that_it_ends(self, gateway: Gateway, monkeypatch):
        """A request that came in time, and was looking while the gateway closed, is no mistake of ours."""
        monkeypatch.setattr(lock_outs, "BELIEVED_S", 0.0)
        await gateway.drain(1)
        with pytest.raises(Draining):
            await gateway.lock_outs.refresh()


async def one_waits() -> None:
    async with asyncio.timeout(5):
        while not await Run.objects.filter(state=State.QUEUED).aexists():  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)


@database_sync_to_async
def stored_elsewhere(plc: PLC) -> None:
    """A lock-out of which this process is told nothing."""
    with transaction.atomic():
        LockOut.objects.bulk_create([LockOut(plc=plc, by="user otto", reason=WHY)])
        stamps.move(Kind.LOCK_OUTS)


@NEEDS_REDIS
class TestLockingBesideOtherServers:
    async def test_returns_when_none_of_them_goes_by_what_it_knew_before(self, press: PLC, monkeypatch):
        monkeypatch.setattr(stamps_module, "LOOK_S", 60.0)  # nobody looks by himself
        prefix = f"test-{secrets.token_hex(6)}"
        async with AsyncExitStack() as stack:
            here, there = (Gateway(polls=False, redis_url=REDIS_URL, prefix=prefix) for _ in range(2))
            for gateway in (there, here):  # the one that starts last is asked
                await gateway.start()
                stack.push_async_callback(gateway.drain, 5.0)
            await there.lock_outs.refresh()
            there.stamps._notices._on_notice = lambda: None  # what is told is lost
            moved.disconnect(there.lock_outs._kept._note_moved)  # as in a process of its own
            await lock("press-1", ENGINEER, reason=WHY)
            await there.lock_outs.refresh()
            assert there.lock_outs.of(press.pk) is not None


class TestLocking:
    async def test_needs_the_right_to_administer(self, line: PLC):
        operator = Caller(name="user olga", source="", rights=Rights(grants=(GrantSpec(right=Right.EXECUTE),)))
        for ask in (lock("press-1", operator, reason=WHY), unlock("press-1", operator)):
            with pytest.raises(NotPermitted):
                await ask
        stranger = Caller(name="user nemo", source="", rights=NOTHING)
        for ask in (lock("press-1", stranger, reason=WHY), unlock("press-1", stranger)):
            with pytest.raises(UnknownPLC):
                await ask
        assert await LockOut.objects.acount() == 0

    @pytest.mark.parametrize("reason", [None, "", "  ab ", "x" * 301, 5, "a\nb c", "turn \u202e around"])
    async def test_needs_a_reason_that_people_can_read(self, line: PLC, reason: object):
        with pytest.raises(InvalidParameters) as refusal:
            await lock("press-1", ENGINEER, reason=reason)
        assert [name for name, _ in refusal.value.errors] == ["reason"]

    @pytest.mark.parametrize(
        "until", ["soon", 5, "", "2020-01-01T00:00:00Z", "9999-01-01T00:00:00Z", "2099-01-01T00:00:00", "NaN"]
    )
    async def test_ends_at_a_moment_that_lies_ahead(self, line: PLC, until: object):
        with pytest.raises(InvalidParameters) as refusal:
            await lock("press-1", ENGINEER, reason=WHY, until=until)
        assert [name for name, _ in refusal.value.errors] == ["until"]

    async def test_again_by_the_same_person_changes_reason_and_end(self, line: PLC):
        first = await lock("press-1", ENGINEER, reason=WHY)
        end = timezone.now() + timedelta(hours=1)
        second = await lock("press-1", ENGINEER, reason="the belt takes longer", until=end.isoformat())
        assert (second.since, second.until, second.reason) == (first.since, end, "the belt takes longer")
        assert await LockOut.objects.acount() == 1

    async def test_of_what_somebody_else_has_locked_is_refused_with_his_name(self, line: PLC):
        await lock("press-1", ENGINEER, reason=WHY)
        with pytest.raises(PLCLockedOut, match="by user eva"):
            await lock("press-1", dataclasses.replace(ENGINEER, name="user otto"), reason="me too")
        assert (await LockOut.objects.aget()).reason == WHY

    async def test_of_two_people_at_once_is_one_s(self, line: PLC):
        both = [lock("press-1", dataclasses.replace(ENGINEER, name=f"user {n}"), reason=WHY) for n in "ab"]
        results = await asyncio.gather(*both, return_exceptions=True)
        assert sorted(type(result).__name__ for result in results) == ["LockOutSpec", "PLCLockedOut"]

    async def test_after_the_time_of_an_earlier_one_closes_that_as_of_its_end(self, line: PLC):
        end = timezone.now() + timedelta(seconds=0.2)
        await lock("press-1", ENGINEER, reason=WHY, until=end.isoformat())
        await asyncio.sleep(0.25)
        await lock("press-1", dataclasses.replace(ENGINEER, name="user otto"), reason="my turn")
        now, over = [row async for row in LockOut.objects.all()]
        assert (over.lifted_at, over.lifted_by) == (end, "")
        assert (now.by, now.lifted_at) == ("user otto", None)

    async def test_off_what_is_not_locked_changes_nothing(self, line: PLC):
        await unlock("press-1", ENGINEER)
        assert await LockOut.objects.acount() == 0


class TestARequestThatIsRepeated:
    async def test_is_answered_as_the_first_time_also_while_the_plc_is_locked(self, machine: FaultServer, line: PLC):
        asked = Request(plc="press-1", command="reset", given={}, caller=MES, key="order-1")
        (first,) = await run_all([asked], MES, None)
        await lock("press-1", ENGINEER, reason=WHY)
        (again,) = await run_all([asked], MES, None)
        assert isinstance(first, Reply)
        assert isinstance(again, Reply)
        assert again.run == first.run
        assert machine.writes_to("reset") == [1]
