"""What an earlier process left unknown is read at the start, before any command, and holds up nobody else."""

import asyncio
from collections.abc import AsyncIterator, Mapping

import pytest
from channels.db import database_sync_to_async
from django.db import InterfaceError, OperationalError

from devices.control import doubts
from devices.control.errors import RecordUnavailable
from devices.control.gateway import Gateway
from devices.control.records import RunRecord
from devices.models import PLC, State
from devices.plc.specs import CommandSpec, PLCSpec
from tests.control.databases import eventually
from tests.control.doubtful import IS_ACTIVE, IS_OURS, PLACES, command, is_as_before, left, row
from tests.control.rows import call, make_plc
from tests.control.test_announce import Listener
from tests.doubles.fault_server import FaultServer
from tests.doubles.leaks import settle
from tests.doubles.wire import Exchange, Fault

ACTIVE_BIT, ECHO_REGISTER = 8, 20


@pytest.fixture
def active(machine: FaultServer) -> FaultServer:
    machine.names.update(PLACES)
    machine.discrete_inputs[ACTIVE_BIT] = 1
    return machine


@pytest.fixture
async def starting(press: PLC) -> AsyncIterator[Gateway]:
    """A gateway that the test starts."""
    gateway = Gateway(polls=False)
    gateway.reconciler._again_first_s = 0.05
    yield gateway
    await gateway.drain(1)


async def state_of(run_id: int) -> str:
    return (await row(run_id)).state


async def has_ended(gateway: Gateway) -> None:
    await eventually(lambda: not gateway.reconciler._tasks)


def answering_after(event: asyncio.Event) -> Fault:
    async def fault(exchange: Exchange) -> None:
        await event.wait()
        await exchange.answer()

    return fault


async def enable(gateway: Gateway, press: PLC, is_enabled: bool) -> None:
    """Switch it in the admin; returns when the gateway knows."""
    press.is_enabled = is_enabled
    await press.asave()
    await eventually(lambda: gateway.registry._plcs[press.name].is_enabled is is_enabled)


class TestAStart:
    async def test_proves_what_was_left_unknown(self, active: FaultServer, press: PLC, starting: Gateway) -> None:
        before = await left(press, command(IS_ACTIVE))
        async with Listener() as page:
            await starting.start()
            await has_ended(starting)
            await eventually(lambda: page.runs)
        run = await row(before.pk)
        assert (run.state, run.effect) == (State.SUCCEEDED, "applied")
        assert (run.history[0]["state"], run.history[0]["by"]) == ("unknown", "gateway")
        assert (page.runs[-1]["id"], page.runs[-1]["state"]) == (before.pk, "succeeded")
        assert active.writes == []

    async def test_proves_what_it_has_just_settled_itself(
        self, active: FaultServer, press: PLC, starting: Gateway
    ) -> None:
        """The process died after T3."""
        before = await left(press, command(IS_ACTIVE), state=State.RUNNING, finished_at=None, effect="", retry="")
        await starting.start()
        await has_ended(starting)
        run = await row(before.pk)
        assert run.state == State.SUCCEEDED
        assert "The gateway restarted" in run.history[0]["detail"]
        assert active.writes == []

    @pytest.mark.parametrize("spec", [None, command()])
    async def test_leaves_a_plc_alone_where_nothing_can_be_proven(
        self, active: FaultServer, press: PLC, starting: Gateway, spec: CommandSpec | None
    ) -> None:
        before = RunRecord.from_row(await left(press, spec))
        await starting.start()
        await has_ended(starting)
        assert await is_as_before(before)
        assert active.connects == 0

    async def test_leaves_what_timed_out_to_those_who_ask(
        self, active: FaultServer, press: PLC, starting: Gateway
    ) -> None:
        before = await left(press, command(IS_ACTIVE), state=State.TIMED_OUT)
        await starting.start()
        await has_ended(starting)
        assert await state_of(before.pk) == State.TIMED_OUT

    async def test_proves_each_by_its_number_and_none_by_what_an_earlier_one_may_have_done(
        self, active: FaultServer, press: PLC, starting: Gateway
    ) -> None:
        active.input_registers[ECHO_REGISTER] = 8
        specs = [(command(IS_ACTIVE), None), (command(IS_OURS), 7), (command(IS_OURS), 8), (command(IS_ACTIVE), None)]
        runs = [await left(press, spec, sequence=number) for spec, number in specs]
        await starting.start()
        await has_ended(starting)
        assert [await state_of(run.pk) for run in runs] == ["unknown", "unknown", "succeeded", "unknown"]

    async def test_reads_before_the_first_command_is_carried_out(
        self, active: FaultServer, press: PLC, starting: Gateway
    ) -> None:
        """A command that overtook the read would leave nothing to prove: what stands there could be its own."""
        before = await left(press, command(IS_ACTIVE))
        active.answer_delay_s = 0.02
        await starting.start()
        assert starting.is_ready
        record = await call()
        assert (record.state, await state_of(before.pk)) == (State.SUCCEEDED, State.SUCCEEDED)
        read, wrote = active.requests[0], active.writes[0]
        assert read.covers(*PLACES["active"])
        assert active.requests.index(wrote) > 0

    async def test_is_ready_without_waiting_for_a_plc_that_does_not_answer(
        self, active: FaultServer, press: PLC, starting: Gateway
    ) -> None:
        dead = await database_sync_to_async(make_plc)(press.profile, "press-2")
        lost, ours = await left(dead, command(IS_ACTIVE)), await left(press, command(IS_ACTIVE))
        active.drop_connects()
        await starting.start()
        assert starting.is_ready
        assert active.requests == []
        active.behave()
        await eventually(lambda: active.requests)
        await eventually(lambda: len(starting.reconciler._tasks) == 1)
        assert (await state_of(ours.pk), await state_of(lost.pk)) == (State.SUCCEEDED, State.UNKNOWN)

    async def test_tries_again_until_the_plc_is_back(self, active: FaultServer, press: PLC, starting: Gateway) -> None:
        before = await left(press, command(IS_ACTIVE))
        await active.refuse_connects()
        await starting.start()
        await eventually(lambda: starting.pool.health(press.pk).failures)
        assert await state_of(before.pk) == State.UNKNOWN
        active.behave()
        await has_ended(starting)
        assert await state_of(before.pk) == State.SUCCEEDED

    async def test_tries_again_where_the_database_does_not_answer(
        self, active: FaultServer, press: PLC, starting: Gateway, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        before = await left(press, command(IS_ACTIVE))
        refusals: list[Exception] = [OperationalError("database is locked"), InterfaceError("connection lost")]
        find, plcs = doubts.find, starting.registry.plcs

        def find_later(run_id: int) -> doubts.Doubt:
            if refusals:
                raise refusals.pop()
            return find(run_id)

        async def plcs_later() -> Mapping[str, PLCSpec]:
            if refusals:
                raise RecordUnavailable("the registry cannot be read")
            return await plcs()

        monkeypatch.setattr(doubts, "find", find_later)
        await starting.start()
        monkeypatch.setattr(starting.registry, "plcs", plcs_later)
        await has_ended(starting)
        assert await state_of(before.pk) == State.SUCCEEDED

    async def test_looks_for_a_plc_that_was_disabled_meanwhile_once_it_is_enabled_again(
        self, active: FaultServer, press: PLC, starting: Gateway
    ) -> None:
        before = RunRecord.from_row(await left(press, command(IS_ACTIVE)))
        await active.refuse_connects()
        starting.reconciler._again_first_s = 60
        await starting.start()
        await eventually(lambda: starting.pool.health(press.pk).failures)
        await enable(starting, press, False)
        active.behave()
        await enable(starting, press, True)
        await has_ended(starting)
        assert await state_of(before.id) == State.SUCCEEDED

    async def test_looks_for_one_that_was_disabled_before_the_first_command_after_it_is_enabled(
        self, active: FaultServer, press: PLC, starting: Gateway
    ) -> None:
        before = RunRecord.from_row(await left(press, command(IS_ACTIVE)))
        await PLC.objects.aupdate(is_enabled=False)
        starting.reconciler._again_first_s = 60
        await starting.start()
        assert await is_as_before(before)
        assert active.connects == 0
        press.is_enabled = True
        await press.asave()
        record = await call()
        assert (record.state, await state_of(before.id)) == (State.SUCCEEDED, State.SUCCEEDED)

    async def test_reads_all_of_a_plc_over_one_connection(
        self, active: FaultServer, press: PLC, starting: Gateway
    ) -> None:
        numbers = list(range(1, 21))
        runs = [await left(press, command(IS_OURS), sequence=number) for number in numbers]
        active.input_registers[ECHO_REGISTER] = 7
        await starting.start()
        await has_ended(starting)
        proven = [number for number, run in zip(numbers, runs, strict=True) if await state_of(run.pk) == "succeeded"]
        assert (proven, active.connects) == ([7], 1)

    async def test_lets_a_command_in_that_waits_and_goes_on_after_it(
        self, active: FaultServer, press: PLC, starting: Gateway
    ) -> None:
        """By its number a run can be told from the command."""
        runs = [await left(press, command(IS_OURS), sequence=number) for number in (7, 8, 9)]
        active.input_registers[ECHO_REGISTER] = 7
        waits = asyncio.Event()
        active.misbehave(answering_after(waits), at="echo")
        starting.reconciler._turn_s = 0
        await starting.start()
        calling = asyncio.create_task(call())
        await eventually(lambda: starting.pool.waiting(starting.registry._plcs[press.name]))
        waits.set()
        assert (await calling).state is State.SUCCEEDED
        looks = [place for place, request in enumerate(active.requests) if request.covers(*PLACES["echo"])]
        wrote = active.requests.index(active.writes[0])
        await has_ended(starting)
        assert sum(place < wrote for place in looks) == 1
        assert [await state_of(run.pk) for run in runs] == ["succeeded", "unknown", "unknown"]


class TestADrain:
    async def test_ends_what_still_reads(self, active: FaultServer, press: PLC, starting: Gateway) -> None:
        before = RunRecord.from_row(await left(press, command(IS_ACTIVE)))
        active.answer_delay_s, press.response_timeout_s = 0.5, 5
        await press.asave()
        await starting.start()
        await eventually(lambda: active.requests)
        await asyncio.wait_for(starting.drain(1), 5)
        assert not starting.reconciler._tasks
        assert await settle(lambda: active.open_connections == 0)
        assert await is_as_before(before)

    async def test_ends_what_waits_for_a_plc(self, active: FaultServer, press: PLC, starting: Gateway) -> None:
        await left(press, command(IS_ACTIVE))
        await active.refuse_connects()
        starting.reconciler._again_first_s = 60
        await starting.start()
        await eventually(lambda: starting.pool.health(press.pk).failures)
        await asyncio.wait_for(starting.drain(1), 5)
        assert not starting.reconciler._tasks
