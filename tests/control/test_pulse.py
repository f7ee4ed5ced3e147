"""The heartbeat of a PLC's program: standing still, it makes the PLC degraded; moving again, it heals."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from channels.db import database_sync_to_async

from devices.control.gateway import Gateway
from devices.control.pulse import Pulse
from devices.control.status import PLCState
from devices.control.values import Round, Stamp
from devices.models import PLC
from tests.control.databases import eventually
from tests.control.rows import call
from tests.control.test_announce import Listener, page
from tests.doubles.fault_server import FaultServer

__all__ = ["page"]

START = datetime(2026, 11, 26, tzinfo=UTC)


def at(clock_s: float) -> Stamp:
    return Stamp(START + timedelta(seconds=clock_s), 1000 + clock_s)


def pulse_of(*readings: tuple[float, Any], limit_s: float = 5.0) -> Pulse:
    """As it is after these readings: when, in seconds, and what was read."""
    pulse = Pulse(limit_s)
    for clock_s, value in readings:
        pulse.take(value, at(clock_s))
    return pulse


class TestAPulse:
    def test_that_moves_is_fine(self):
        assert not pulse_of(*((second, second) for second in range(20))).is_still

    def test_stands_still_after_its_limit_and_not_before(self):
        readings = [(second, 7) for second in range(6)]
        assert not pulse_of(*readings).is_still
        still = pulse_of(*readings, (5.5, 7))
        assert still.is_still
        assert still.since == START

    def test_stands_still_since_it_changed_last(self):
        still = pulse_of((0, 1), (1, 2), (2, 3), *((second, 3) for second in range(3, 9)))
        assert still.since == START + timedelta(seconds=2)

    def test_that_moves_again_is_fine_again(self):
        assert not pulse_of(*((second, 7) for second in range(9)), (9, 8)).is_still

    @pytest.mark.parametrize("values", [(True, False), (0, 65535), (1.5, 1.25), ("a", "b")])
    def test_may_be_anything_that_changes(self, values):
        assert not pulse_of(*((second, values[second % 2]) for second in range(20))).is_still

    def test_that_cannot_be_read_is_not_said_to_stand_still(self):
        assert not pulse_of(*((second, None) for second in range(20))).is_still

    def test_that_nobody_looked_at_for_a_while_is_looked_at_anew(self):
        """A PLC that was offline for a minute may well show the same value: that proves nothing yet."""
        before = [(second, 7) for second in range(3)]
        assert not pulse_of(*before, (60, 7), (64, 7)).is_still
        assert pulse_of(*before, (60, 7), (63, 7), (66, 7)).is_still

    def test_tells_only_what_is_new(self):
        pulse = Pulse(2.0)
        readings = [(0, 7), (1, 7), (2, 7), (3, 7), (4, 7), (5, 8), (6, 9)]
        told = [clock_s for clock_s, value in readings if pulse.take(value, at(clock_s))]
        assert told == [3, 5]


@pytest.fixture
async def watched(machine: FaultServer, line: PLC, gateway: Gateway) -> Gateway:
    """`press-1` is online and shows the heartbeat of its program."""

    @database_sync_to_async
    def watch() -> None:
        line.watched_tag = line.profile.tags.create(
            name="heartbeat", table="input_register", address=20, data_type="uint16", poll_interval_ms=500
        )
        line.watched_limit_s = 2.0
        line.save()

    await watch()
    await call("reset")
    return gateway


async def show(gateway: Gateway, value: int, clock_s: float, *, interval_s: float = 0.5) -> None:
    """The heartbeat was read, as the poller tells it."""
    plc = await gateway.registry.find("press-1")
    gateway.values.of(plc).take("heartbeat", value, at(clock_s))
    gateway.watching.pulses.take(Round(plc=plc, interval_s=interval_s, stamp=at(clock_s), changed=()))


class TestThePLC:
    async def test_is_degraded_while_its_heartbeat_stands_still(self, watched: Gateway, page: Listener) -> None:
        plc = await watched.registry.find("press-1")
        for clock_s in (0.0, 1.0, 2.0):
            await show(watched, 7, clock_s)
            assert watched.status(plc).state is PLCState.ONLINE
        await show(watched, 7, 3.0)
        status = watched.status(plc)
        assert status.state is PLCState.DEGRADED
        assert status.reason == "its heartbeat (tag heartbeat) has stood still for more than 2 s"
        assert status.since == START
        await show(watched, 8, 3.5)
        assert watched.status(plc).state is PLCState.ONLINE
        await eventually(lambda: len(_states(page)) >= 2)
        assert _states(page)[-2:] == ["degraded", "online"]

    async def test_is_not_judged_by_rounds_of_other_tags(self, watched: Gateway) -> None:
        for clock_s in (0.0, 1.0, 2.0, 3.0):
            await show(watched, 7, clock_s, interval_s=1.0)
        assert watched.status(await watched.registry.find("press-1")).state is PLCState.ONLINE

    async def test_is_not_judged_by_a_round_that_did_not_reach_it(self, watched: Gateway) -> None:
        plc = await watched.registry.find("press-1")
        await show(watched, 7, 0.0)
        for clock_s in (1.0, 2.0, 3.0):
            watched.watching.pulses.take(Round(plc=plc, interval_s=0.5, stamp=at(clock_s), changed=(), is_whole=False))
        assert watched.status(plc).state is PLCState.ONLINE

    async def test_whose_heartbeat_is_no_longer_watched_is_fine(self, watched: Gateway, line: PLC) -> None:
        for clock_s in (0.0, 1.0, 2.0, 3.0):
            await show(watched, 7, clock_s)
        line.watched_tag = None
        await line.asave()
        assert watched.status(await watched.registry.find("press-1")).state is PLCState.ONLINE


def _states(page: Listener) -> list[str]:
    return [news["plc"]["state"] for news in page.news if news["kind"] == "plc"]
