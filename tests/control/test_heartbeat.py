"""The heartbeat to a PLC whose watchdog drops its outputs, over a real connection, whatever else goes on there."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from channels.db import database_sync_to_async

from devices.control.gateway import Gateway
from devices.control.heartbeat import AWAY_LOOK_S, Heartbeats
from devices.control.status import PLCState
from devices.modbus.types import DataType, Table, TagSpec
from devices.models import PLC, Effect, State, Tag
from devices.plc.health import HealthState
from devices.plc.pool import Pool
from devices.plc.specs import HeartbeatSpec, PLCSpec
from tests.control import rows
from tests.control.databases import eventually
from tests.control.rows import call, the_run
from tests.doubles import faults
from tests.doubles.fault_server import FaultServer
from tests.doubles.watchdog import Watchdog
from tests.plc.machines import registered

PLACE = (Table.HOLDING_REGISTER, 100)
COUNTER = TagSpec(name="beat", table=PLACE[0], address=PLACE[1], data_type=DataType.UINT16)
BIT = TagSpec(name="beat", table=Table.COIL, address=100, data_type=DataType.BOOL)
OFTEN_S = 0.02
BEAT_S = 0.3  # of the machine with a watchdog, which allows three times as much
PATIENCE_S = 10.0  # of these tests, with a busy computer
WORK_S = 1.2  # longer than its watchdog allows
SLOW_HANDSHAKE: list[dict[str, Any]] = [
    {"phase": "trigger", "tag": "reset", "value": "1"},
    {"phase": "wait", "tag": "done", "operator": "==", "value": "1", "timeout_s": 5.0},
    {"phase": "cleanup", "tag": "reset", "value": "0"},
    {"phase": "cleanup", "tag": "done", "operator": "==", "value": "0", "timeout_s": 5.0},
]
DONE = (Table.DISCRETE_INPUT, 5)


def beating(plc: FaultServer, tag: TagSpec = COUNTER, interval_s: float = OFTEN_S, **changes: Any) -> PLCSpec:
    """The double as a PLC that wants a heartbeat; its connection is kept as the registry would."""
    heartbeat = HeartbeatSpec(written=tag, interval_s=interval_s)
    return registered(plc, **{"keep_open_s": 2.0, "heartbeat": heartbeat} | changes)


@pytest.fixture
async def beats(plc: FaultServer) -> AsyncIterator[Heartbeats]:
    """Heartbeats of a pool that looks for an offline PLC every 50 ms; at the end nothing is left open."""
    pool = Pool(
        on_health=lambda spec, health: beats.note_health(spec.id, health), probe_first_s=0.05, probe_longest_s=0.05
    )
    beats = Heartbeats(pool=pool, on_trouble=lambda _: None)
    yield beats
    await beats.stop()
    await pool.close()
    await eventually(lambda: plc.open_connections == 0)


class TestABeat:
    async def test_counts_on_over_one_connection_that_was_proven_first(
        self, plc: FaultServer, beats: Heartbeats
    ) -> None:
        plc.holding_registers[100] = 41
        beats.refresh({1: beating(plc)})
        await eventually(lambda: len(plc.writes) >= 5)
        assert plc.writes_to(PLACE)[:5] == [42, 43, 44, 45, 46]
        assert not plc.requests[0].is_write
        assert plc.connects == 1

    async def test_counts_within_the_tag_s_limits(self, plc: FaultServer, beats: Heartbeats) -> None:
        limited = replace(COUNTER, minimum=Decimal(1), maximum=Decimal(3))
        beats.refresh({1: beating(plc, limited)})
        await eventually(lambda: len(plc.writes) >= 5)
        assert plc.writes_to(PLACE)[:5] == [1, 2, 3, 1, 2]

    async def test_wraps_where_its_type_ends(self, plc: FaultServer, beats: Heartbeats) -> None:
        plc.holding_registers[100] = 65534
        beats.refresh({1: beating(plc)})
        await eventually(lambda: len(plc.writes) >= 3)
        assert plc.writes_to(PLACE)[:3] == [65535, 0, 1]

    async def test_toggles_a_bool(self, plc: FaultServer, beats: Heartbeats) -> None:
        plc.coils[100] = 1
        beats.refresh({1: beating(plc, BIT)})
        await eventually(lambda: len(plc.writes) >= 4)
        assert plc.writes_to((Table.COIL, 100))[:4] == [0, 1, 0, 1]

    async def test_of_a_register_that_cannot_be_read_goes_out_all_the_same(
        self, plc: FaultServer, beats: Heartbeats
    ) -> None:
        plc.misbehave(faults.exception(2), functions=[3], at=PLACE, times=None)
        beats.refresh({1: beating(plc)})
        await eventually(lambda: len(plc.writes) >= 2)
        assert plc.writes_to(PLACE)[:2] == [1, 2]

    async def test_that_is_not_answered_is_followed_by_another_value(self, plc: FaultServer, beats: Heartbeats) -> None:
        plc.misbehave(faults.mute, functions=[6], skip=1)
        beats.refresh({1: beating(plc)})
        await eventually(lambda: len(plc.writes) >= 4)
        assert plc.writes_to(PLACE)[:4] == [1, 2, 3, 4]
        assert plc.connects == 2

    async def test_goes_to_a_plc_that_the_registry_no_longer_names_no_more(
        self, plc: FaultServer, beats: Heartbeats
    ) -> None:
        for gone in ({}, {1: beating(plc, is_enabled=False)}, {1: registered(plc)}):
            beats.refresh({1: beating(plc)})
            sent = len(plc.writes)
            await eventually(lambda sent=sent: len(plc.writes) > sent)
            beats.refresh(gone)
            await beats.stop()
            sent = len(plc.writes)
            await asyncio.sleep(5 * OFTEN_S)
            assert len(plc.writes) == sent


class TestAnOfflinePLC:
    async def test_gets_no_beat_and_on_its_return_one_at_once(self, plc: FaultServer, beats: Heartbeats) -> None:
        await plc.refuse_connects()
        beats.refresh({1: beating(plc)})
        await eventually(lambda: beats._pool.health(1).state is HealthState.OFFLINE)
        assert plc.writes == []
        plc.behave()
        await eventually(lambda: len(plc.writes) >= 3, AWAY_LOOK_S / 2)

    async def test_that_was_lost_amid_its_beats_gets_them_again(self, plc: FaultServer, beats: Heartbeats) -> None:
        beats.refresh({1: beating(plc)})
        await eventually(lambda: len(plc.writes) >= 2)
        await plc.refuse_connects()
        plc.hang_up()
        await eventually(lambda: beats._pool.health(1).state is HealthState.OFFLINE)
        sent = plc.writes_to(PLACE)
        plc.behave()
        await eventually(lambda: len(plc.writes) >= len(sent) + 2, AWAY_LOOK_S / 2)
        assert plc.writes_to(PLACE)[len(sent)] == sent[-1] + 1


@pytest.fixture
async def gateway(transactional_db: None) -> AsyncIterator[Gateway]:
    """One that also polls: readings, commands and beats share the one connection."""
    gateway = Gateway()
    await gateway.start()
    yield gateway
    await gateway.drain(5.0)


@pytest.fixture
async def watchdog(machine: FaultServer, line: PLC) -> Watchdog:
    """`press-1` has a watchdog and wants a heartbeat, and its `slow` takes longer than the watchdog allows."""
    watchdog = Watchdog(machine, PLACE, limit_s=3 * BEAT_S)
    machine.on_write(rows.PLACES["reset"], lambda value: _work(machine, value))
    await _want_heartbeat(line)
    await eventually(lambda: watchdog.beats, PATIENCE_S)
    return watchdog


def _work(machine: FaultServer, value: int) -> None:
    """Done after a while, and ready again as soon as the request is taken back."""
    if value:
        asyncio.get_running_loop().call_later(WORK_S, machine.discrete_inputs.__setitem__, DONE[1], 1)
    else:
        machine.discrete_inputs[DONE[1]] = 0


@database_sync_to_async
def _want_heartbeat(plc: PLC) -> None:
    profile = plc.profile
    profile.tags.create(name="done", table=DONE[0], address=DONE[1], data_type="bool")
    plc.heartbeat_tag = profile.tags.create(name="beat", table=PLACE[0], address=PLACE[1], data_type="uint16")
    plc.heartbeat_interval_ms = round(1000 * BEAT_S)
    plc.response_timeout_s = 3.0  # a busy computer is not to pass for a mute machine
    slow = rows.make_command(profile, "slow", SLOW_HANDSHAKE)
    slow.poll_interval_ms = 50  # so few looks that all their frames are kept
    slow.save()
    plc.full_clean()
    plc.save()


class TestAMachineWithAWatchdog:
    async def test_keeps_its_outputs_while_a_long_command_runs_and_between_commands(
        self, machine: FaultServer, watchdog: Watchdog
    ) -> None:
        for _ in range(2):
            beats = len(watchdog.beats)
            assert (await call("slow")).state is State.SUCCEEDED
            assert len(watchdog.beats) > beats + 2
            assert watchdog.reasons == []
            beats = len(watchdog.beats)
            await eventually(lambda beats=beats: len(watchdog.beats) > beats + 3, PATIENCE_S)
        assert watchdog.reasons == []

    async def test_keeps_its_outputs_behind_a_queue_of_commands(self, machine: FaultServer, watchdog: Watchdog) -> None:
        machine.answer_delay_s = 0.1
        ended = await asyncio.gather(*(call("reset") for _ in range(12)))
        assert {record.state for record in ended} == {State.SUCCEEDED}
        assert watchdog.reasons == []

    async def test_keeps_its_outputs_until_its_last_command_has_ended(
        self, machine: FaultServer, watchdog: Watchdog, gateway: Gateway
    ) -> None:
        running = asyncio.create_task(call("slow"))
        await eventually(lambda: machine.writes_to("reset") == [1], PATIENCE_S)
        beats = len(watchdog.beats)
        draining = asyncio.create_task(gateway.drain(5))
        # From now on nobody connects: what comes goes over the command's own connection.
        await eventually(lambda: len(watchdog.beats) > beats + 1, PATIENCE_S)
        await draining
        assert (await running).state is State.SUCCEEDED
        await eventually(lambda: machine.open_connections == 0, PATIENCE_S)

    async def test_is_told_commands_whose_records_know_nothing_of_its_heartbeat(
        self, machine: FaultServer, watchdog: Watchdog
    ) -> None:
        await call("slow")
        run = await the_run()
        assert {entry["tag"] for entry in run.trace} == {"reset", "done"}
        sent = [bytes.fromhex(frame["hex"]) for frame in run.frames if frame["direction"] == "sent"]
        places = {(raw[7], int.from_bytes(raw[8:10])) for raw in sent}
        assert places == {(2, DONE[1]), (5, rows.PLACES["reset"][1])}
        assert len(sent) * 2 == len(run.frames), "each request has its answer and nothing else"

    async def test_loses_its_outputs_with_the_connection_and_the_command_says_what_is_known(
        self, machine: FaultServer, watchdog: Watchdog
    ) -> None:
        running = asyncio.create_task(call("slow"))
        await eventually(lambda: machine.writes_to("reset") == [1], PATIENCE_S)
        machine.misbehave(faults.mute, functions=[6], at=PLACE)
        record = await running
        assert (record.state, record.effect) == (State.UNKNOWN, Effect.UNKNOWN)
        assert machine.writes_to("reset") == [1, 0], "told once, and cleared"
        beats = len(watchdog.beats)
        await eventually(lambda: len(watchdog.beats) > beats + 2, PATIENCE_S)

    async def test_s_command_is_not_cut_when_an_engineer_changes_the_heartbeat(
        self, machine: FaultServer, watchdog: Watchdog, line: PLC
    ) -> None:
        running = asyncio.create_task(call("slow"))
        await eventually(lambda: machine.writes_to("reset") == [1], PATIENCE_S)
        for interval_ms in (100, 200, 100):
            line.heartbeat_interval_ms = interval_ms
            await line.asave()
            await asyncio.sleep(0.05)
        assert (await running).state is State.SUCCEEDED


class TestAHeartbeatThatThePLCRefuses:
    async def test_makes_it_degraded_until_it_is_mended(
        self, machine: FaultServer, watchdog: Watchdog, gateway: Gateway, line: PLC
    ) -> None:
        await Tag.objects.filter(name="beat").aupdate(address=5000)
        await line.asave()

        def is_now(state: PLCState) -> bool:
            return gateway.status(gateway.registry._plcs["press-1"]).state is state

        await eventually(lambda: is_now(PLCState.DEGRADED), PATIENCE_S)
        reason = gateway.status(await gateway.registry.find("press-1")).reason
        assert reason.startswith("it does not take its heartbeat (tag beat): exception 2, ")
        await Tag.objects.filter(name="beat").aupdate(address=PLACE[1])
        await line.asave()
        await eventually(lambda: is_now(PLCState.ONLINE), PATIENCE_S)


class TestAMachineWhoseProgramStops:
    async def test_is_degraded_until_it_goes_on(self, machine: FaultServer, line: PLC, gateway: Gateway) -> None:
        def is_now(state: PLCState) -> bool:
            machine.input_registers[20] += is_going
            return gateway.status(gateway.registry._plcs["press-1"]).state is state

        is_going = True
        await _watch(line)
        await eventually(lambda: is_now(PLCState.ONLINE), PATIENCE_S)
        is_going = False
        await eventually(lambda: is_now(PLCState.DEGRADED), PATIENCE_S)
        status = gateway.status(await gateway.registry.find("press-1"))
        assert status.reason == "its heartbeat (tag alive) has stood still for more than 0.5 s"
        assert status.since is not None
        is_going = True
        await eventually(lambda: is_now(PLCState.ONLINE), PATIENCE_S)


@database_sync_to_async
def _watch(plc: PLC) -> None:
    plc.watched_tag = plc.profile.tags.create(
        name="alive", table="input_register", address=20, data_type="uint16", poll_interval_ms=50
    )
    plc.watched_limit_s = 0.5
    plc.full_clean()
    plc.save()
