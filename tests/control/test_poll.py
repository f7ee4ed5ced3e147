"""Polling against real sockets: what is read, what a refusal or a lost PLC does, and that nothing is left behind."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest
from django.utils import timezone

from devices.control.status import PLCState
from devices.control.values import Quality, Stamp
from devices.modbus.types import DataType, Table, TagSpec
from devices.plc.health import HealthState
from devices.plc.specs import PollSpec
from tests.control.polled import polled, polling, word
from tests.doubles import faults
from tests.doubles.fault_server import FaultServer
from tests.doubles.leaks import nothing_left, settle
from tests.plc.machines import hold, started

READS = (1, 2, 3, 4)


@pytest.fixture(autouse=True)
async def _nothing_is_left(plc: FaultServer) -> AsyncIterator[None]:
    async with nothing_left(plc):
        yield


class TestAPLC:
    async def test_is_being_polled_until_each_round_that_was_begun_there_is_over(self, plc):
        spec = polled(plc, [word(0)])
        plc.answer_delay_s = 0.1
        async with polling([spec]) as at_work:
            assert await settle(lambda: plc.requests)
            assert at_work.poller.is_at(spec.id)
            at_work.registry()
            at_work.registry(spec)  # anew, while the first exchange is under way
            assert at_work.poller.is_at(spec.id)
            assert await settle(lambda: at_work.rounds)
            assert at_work.poller.is_at(spec.id)
            at_work.registry()
            assert at_work.poller.is_at(spec.id), "its exchange is under way"
            assert await settle(lambda: not at_work.poller.is_at(spec.id))
            assert not plc.open_connections


class TestARound:
    async def test_reads_what_the_machine_holds(self, plc):
        plc.holding_registers[3], plc.input_registers[7], plc.coils[2] = 42, 9, 1
        coil = TagSpec(name="on", table=Table.COIL, address=2, data_type=DataType.BOOL)
        spec = polled(plc, [word(3), word(7, Table.INPUT_REGISTER), coil])
        async with polling([spec]) as at_work:
            assert await settle(lambda: at_work.held(spec) == {"r3": 42, "r7": 9, "on": True})
            assert at_work.status(spec).state is PLCState.ONLINE

    async def test_reads_neighbours_in_one_request_across_a_gap(self, plc):
        spec = polled(plc, [word(0), word(4), word(40)], read_gap=3)
        async with polling([spec]) as at_work:
            assert await settle(lambda: len(at_work.rounds) >= 2)
        assert {(request.address, request.count) for request in plc.requests} == {(0, 5), (40, 1)}

    async def test_tells_each_change_once(self, plc):
        spec = polled(plc, [word(0), word(1)])
        async with polling([spec]) as at_work:
            assert await settle(lambda: len(at_work.rounds) >= 3)
            plc.holding_registers[1] = 5
            assert await settle(lambda: at_work.changed() == [("r0", "r1"), ("r1",)])
            count = len(at_work.rounds)
            assert await settle(lambda: len(at_work.rounds) >= count + 3)
            assert len(at_work.changed()) == 2

    async def test_gives_all_its_tags_one_moment(self, plc):
        plc.answer_delay_s = 0.005
        spec = polled(plc, [word(0), word(100), word(200)])
        async with polling([spec]) as at_work:
            assert await settle(lambda: len(at_work.rounds) >= 2)
            moments = {at_work.tag(spec, name).read_at for name in ("r0", "r100", "r200")}
            assert moments == {at_work.rounds[-1].stamp.at}

    async def test_of_each_interval_comes_at_its_own_pace_and_tags_without_one_are_not_read(self, plc):
        slow, never = PollSpec(tag=word(10), interval_s=0.4), PollSpec(tag=word(20), interval_s=0)
        spec = polled(plc, [word(0)], 0.05, polls={"r10": slow, "r20": never})
        async with polling([spec]) as at_work:
            assert await settle(lambda: sum(done.interval_s == 0.4 for done in at_work.rounds) >= 3, 5)
            fast = sum(done.interval_s == 0.05 for done in at_work.rounds)
            assert fast > 6
            assert at_work.tag(spec, "r20").quality is Quality.UNREAD
        assert all(request.address != 20 for request in plc.requests)

    async def test_that_a_slow_plc_makes_late_is_left_out_and_not_made_up_for(self, plc):
        spec = polled(plc, [word(0)], response_timeout_s=5)
        async with polling([spec]) as at_work:
            assert await settle(lambda: len(at_work.rounds) >= 1)
            plc.misbehave(faults.late(0.5))
            count, begun = len(at_work.rounds), asyncio.get_running_loop().time()
            assert await settle(lambda: len(at_work.rounds) >= count + 6)
            took_s = asyncio.get_running_loop().time() - begun
            assert took_s > 0.5 + 4 * 0.05, "the rounds that were missed came in a bunch"

    async def test_is_the_moment_of_all_its_tags_also_where_only_one_of_them_changes(self, plc):
        spec = polled(plc, [word(0), word(1), word(2)])
        async with polling([spec]) as at_work:
            assert await settle(lambda: len(at_work.rounds) >= 2)
            since = at_work.tag(spec, "r0").changed_at
            plc.holding_registers[1] = 5
            assert await settle(lambda: at_work.changed() == [("r0", "r1", "r2"), ("r1",)])
            seen = {name: at_work.tag(spec, name) for name in ("r0", "r1", "r2")}
            assert {known.read_at for known in seen.values()} == {at_work.rounds[-1].stamp.at}
            assert [known.changed_at == since for known in seen.values()] == [True, False, True]

    async def test_leaves_what_somebody_else_read_later_and_goes_on_from_there(self, plc):
        spec = polled(plc, [word(0), word(1)])
        async with polling([spec]) as at_work:
            assert await settle(lambda: len(at_work.rounds) >= 2)
            later = Stamp(timezone.now() + timedelta(seconds=0.3), asyncio.get_running_loop().time() + 0.3)
            at_work.values.of(spec).take("r0", 9, later)
            count = len(at_work.rounds)
            assert await settle(lambda: len(at_work.rounds) >= count + 2)
            assert (at_work.tag(spec, "r0").value, at_work.tag(spec, "r0").read_at) == (9, later.at)
            assert at_work.tag(spec, "r1").read_at == at_work.rounds[-1].stamp.at
            assert await settle(lambda: at_work.held(spec) == {"r0": 0, "r1": 0})
            assert at_work.tag(spec, "r0").read_at == at_work.rounds[-1].stamp.at

    async def test_fills_values_that_were_begun_anew_though_the_machine_holds_the_same(self, plc):
        """Somebody who still held an older description of the PLC has looked at them."""
        spec = polled(plc, [word(0), word(1)])
        async with polling([spec]) as at_work:
            assert await settle(lambda: len(at_work.rounds) >= 2)
            at_work.values.of(replace(spec, polls={}))
            assert at_work.held(spec) == {}
            assert await settle(lambda: at_work.held(spec) == {"r0": 0, "r1": 0})

    async def test_writes_nothing(self, plc):
        spec = polled(plc, [word(0), word(600), word(5000)])
        async with polling([spec]) as at_work:
            assert await settle(lambda: len(at_work.rounds) >= 2)
        assert {request.function for request in plc.requests} <= set(READS)

    async def test_goes_on_over_another_connection_where_the_plc_serves_one_request_a_connection(self, plc):
        plc.misbehave(faults.answer_and_hang_up, times=None)
        spec = polled(plc, [word(0), word(100), word(200)], 0.2)
        async with polling([spec]) as at_work:
            assert await settle(lambda: len(at_work.held(spec)) == 3 and at_work.rounds)
            assert at_work.rounds[0].is_whole

    async def test_closes_its_connection_when_it_is_over(self, plc):
        spec = polled(plc, [word(0)], 1.0)
        async with polling([spec]) as at_work:
            assert await settle(lambda: len(at_work.rounds) == 1)
            assert await settle(lambda: plc.open_connections == 0)

    async def test_keeps_its_connection_where_the_plc_is_registered_so(self, plc):
        spec = polled(plc, [word(0)], keep_open_s=5)
        async with polling([spec]) as at_work:
            assert await settle(lambda: len(at_work.rounds) >= 5)
        assert plc.connects == 1


class TestATagAtFault:
    async def test_is_marked_and_the_others_live(self, plc):
        spec = polled(plc, [word(998), word(999), word(1000), word(1001, name="hot")], read_gap=8)
        async with polling([spec]) as at_work:
            assert await settle(lambda: len(at_work.rounds) >= 3)
            assert at_work.held(spec) == {"r998": 0, "r999": 0}
            bad = at_work.tag(spec, "hot")
            assert (bad.quality, bad.value) == (Quality.BAD, None)
            assert bad.reason == "exception 2, the address or length is not mapped in the PLC"

    async def test_makes_the_plc_degraded_and_is_told_once(self, plc):
        spec = polled(plc, [word(0), word(5000, name="hot")])
        async with polling([spec]) as at_work:
            assert await settle(lambda: len(at_work.rounds) >= 4)
            status = at_work.status(spec)
            assert status.state is PLCState.DEGRADED
            assert status.reason.startswith("1 of 2 tags cannot be read: hot (exception 2")
            assert status.since == at_work.rounds[0].stamp.at
            assert [told.state for told in at_work.told] == [PLCState.DEGRADED]

    async def test_is_not_asked_for_in_each_round(self, plc):
        spec = polled(plc, [word(0), word(5000)])
        async with polling([spec]) as at_work:
            assert await settle(lambda: len(at_work.rounds) >= 6)
        assert [request.address for request in plc.requests].count(5000) == 1

    async def test_is_not_called_old_meanwhile(self, plc):
        spec = polled(plc, [word(0), word(5000)])
        async with polling([spec]) as at_work:
            assert await settle(lambda: len(at_work.rounds) >= 4)
            bad = at_work.tag(spec, "r5000")
            assert bad.read_at == at_work.rounds[-1].stamp.at

    async def test_heals_when_the_machine_has_it_mapped(self, plc, monkeypatch):
        monkeypatch.setattr("devices.plc.plan.RETRY_S", 0.2)
        spec = polled(plc, [word(999), word(1000)])
        async with polling([spec]) as at_work:
            assert await settle(lambda: at_work.status(spec).state is PLCState.DEGRADED)
            plc.holding_registers.extend([77] * 10)
            assert await settle(lambda: at_work.held(spec) == {"r999": 0, "r1000": 77})
            assert await settle(lambda: at_work.status(spec).state is PLCState.ONLINE)
            assert [told.state for told in at_work.told] == [PLCState.DEGRADED, PLCState.ONLINE]
            assert await settle(lambda: (plc.requests[-1].address, plc.requests[-1].count) == (999, 2)), "read as one"

    async def test_is_each_tag_of_a_table_that_the_plc_does_not_offer_by_one_request(self, plc):
        plc.misbehave(faults.exception(1), functions=[4], times=None)
        inputs = [word(address, Table.INPUT_REGISTER, f"i{address}") for address in range(20)]
        spec = polled(plc, [word(0), *inputs])
        async with polling([spec]) as at_work:
            assert await settle(lambda: len(at_work.rounds) >= 3)
            assert len(at_work.poller.findings(spec.id).bad) == 20
        assert [request.function for request in plc.requests].count(4) == 1

    async def test_is_one_for_this_round_only_where_the_plc_is_busy(self, plc):
        spec = polled(plc, [word(0), word(1)])
        async with polling([spec]) as at_work:
            assert await settle(lambda: len(at_work.rounds) >= 1)
            plc.misbehave(faults.exception(6))
            assert await settle(lambda: len(at_work.told) >= 1)
            assert "exception 6" in at_work.told[0].reason
            assert await settle(lambda: at_work.status(spec).state is PLCState.ONLINE)
        assert {request.count for request in plc.requests} == {2}, "nothing was split"

    async def test_is_one_too_where_the_plc_falls_silent_at_it(self, plc):
        """No refusal comes, and the round ends there: the others must not wait for it for good."""
        plc.misbehave(faults.swallow, at=(Table.HOLDING_REGISTER, 100), times=None)
        spec = polled(plc, [word(0), word(100, name="mute"), word(200)], response_timeout_s=0.1)
        async with polling([spec]) as at_work:
            assert await settle(lambda: at_work.status(spec).state is PLCState.DEGRADED, 5)
            assert set(at_work.poller.findings(spec.id).bad) == {"mute"}
            assert "no answer" in at_work.status(spec).reason
            plc.holding_registers[0] = plc.holding_registers[200] = 1
            assert await settle(lambda: at_work.held(spec) == {"r0": 1, "r200": 1})

    async def test_is_one_that_no_request_can_ask_for_and_the_others_live(self, plc):
        """No form lets such a tag in; other hands may write the row."""
        beyond = TagSpec(name="beyond", table=Table.HOLDING_REGISTER, address=65535, data_type=DataType.UINT32)
        spec = polled(plc, [word(0), beyond])
        async with polling([spec]) as at_work:
            assert await settle(lambda: len(at_work.rounds) >= 2)
            assert at_work.held(spec) == {"r0": 0}
            assert set(at_work.poller.findings(spec.id).bad) == {"beyond"}


class TestALostPLC:
    async def test_marks_nothing_and_its_values_grow_old(self, plc):
        spec = polled(plc, [word(0)])
        async with polling([spec]) as at_work:
            assert await settle(lambda: at_work.held(spec) == {"r0": 0})
            plc.misbehave(faults.swallow, times=None)
            assert await settle(lambda: at_work.tag(spec, "r0").quality is Quality.OLD, 5)
            old = at_work.tag(spec, "r0")
            assert (old.value, old.reason) == (0, "")
            assert at_work.poller.findings(spec.id).bad == {}

    async def test_is_left_to_the_probe_and_polled_at_once_when_it_is_back(self, plc):
        await plc.refuse_connects()
        spec = polled(plc, [word(0)], 0.1, polls={"slow": PollSpec(tag=word(9, name="slow"), interval_s=3600)})
        async with polling([spec]) as at_work:
            assert await settle(lambda: at_work.status(spec).state is PLCState.OFFLINE)
            assert await settle(lambda: at_work.status(spec).next_try_at is not None)
            plc.behave()
            assert await settle(lambda: set(at_work.held(spec)) == {"r0", "slow"}), "the slow ones too"
            assert at_work.status(spec).state is PLCState.ONLINE

    async def test_that_nobody_polled_meanwhile_is_polled_at_once_too(self, plc):
        """Commands found it offline, long before its next round was due."""
        spec = polled(plc, [word(0)], 3600)
        async with polling([spec]) as at_work:
            at_work.poller._polled[spec.id][0].wake(at_once=True)
            assert await settle(lambda: len(at_work.rounds) == 1)
            await plc.refuse_connects()
            for _ in range(3):
                await asyncio.gather(hold(at_work.pool, plc, asyncio.Event()), return_exceptions=True)
            assert at_work.pool.health(spec.id).state is HealthState.OFFLINE
            plc.behave()
            assert await settle(lambda: len(at_work.rounds) == 2)

    async def test_amid_a_round_leaves_what_was_not_reached_as_it_was(self, plc):
        spec = polled(plc, [word(0), word(100)], 0.5)
        async with polling([spec]) as at_work:
            assert await settle(lambda: len(at_work.rounds) == 1)
            plc.holding_registers[0] = plc.holding_registers[100] = 7
            plc.misbehave(faults.swallow, at=(Table.HOLDING_REGISTER, 100), times=2)
            assert await settle(lambda: len(at_work.rounds) == 2)
            cut = at_work.rounds[1]
            assert (cut.is_whole, cut.changed) == (False, ("r0",))
            assert at_work.tag(spec, "r100").read_at == at_work.rounds[0].stamp.at
            assert at_work.tag(spec, "r0").read_at == cut.stamp.at

    async def test_is_none_where_a_long_command_keeps_it_busy(self, plc):
        spec = polled(plc, [word(0)], turn_timeout_s=0.1)
        release = asyncio.Event()
        async with polling([spec]) as at_work:
            assert await settle(lambda: len(at_work.rounds) >= 1)
            holding = asyncio.create_task(hold(at_work.pool, plc, release))
            await started(holding, until=lambda: plc.open_connections == 1)
            await asyncio.sleep(0.5)
            assert at_work.pool.health(spec.id).failures == 0
            count = len(at_work.rounds)
            release.set()
            await holding
            assert await settle(lambda: len(at_work.rounds) > count)


class TestTheRegistry:
    async def test_a_disabled_plc_is_left_alone_and_an_enabled_one_is_polled_again(self, plc):
        spec = polled(plc, [word(0)])
        async with polling([spec]) as at_work:
            assert await settle(lambda: len(at_work.rounds) >= 1)
            at_work.registry(replace(spec, is_enabled=False))
            assert await settle(lambda: plc.open_connections == 0)
            seen = len(plc.requests)
            await asyncio.sleep(0.2)
            assert len(plc.requests) == seen
            at_work.registry(spec)
            assert await settle(lambda: len(plc.requests) > seen)

    async def test_a_deleted_plc_is_left_alone(self, plc):
        spec = polled(plc, [word(0)])
        async with polling([spec]) as at_work:
            assert await settle(lambda: len(at_work.rounds) >= 1)
            at_work.registry()
            assert await settle(lambda: not at_work.poller._tasks)

    async def test_a_tag_that_was_moved_is_read_at_its_new_place(self, plc):
        spec, moved = polled(plc, [word(0, name="size")]), polled(plc, [word(50, name="size")])
        plc.holding_registers[50] = 5
        async with polling([spec]) as at_work:
            assert await settle(lambda: at_work.held(spec) == {"size": 0})
            at_work.registry(moved)
            assert await settle(lambda: at_work.held(moved) == {"size": 5})
            seen = len(plc.requests)
            assert await settle(lambda: len(plc.requests) >= seen + 3)
        assert {request.address for request in plc.requests[seen:]} == {50}

    async def test_a_new_title_disturbs_nothing_and_is_told_from_then_on(self, plc):
        spec = polled(plc, [word(0)])
        async with polling([spec]) as at_work:
            assert await settle(lambda: len(at_work.rounds) >= 1)
            (task,) = at_work.poller._tasks
            # As the registry loads it: all of it anew, equal and not the same.
            at_work.registry(replace(polled(plc, [word(0)]), title="The press"))
            assert [*at_work.poller._tasks] == [task]
            assert await settle(lambda: at_work.rounds[-1].plc.title == "The press")
            assert len(at_work.changed()) == 1, "its values were not forgotten"

    async def test_a_plc_without_a_polled_tag_is_not_talked_to(self, plc):
        async with polling([polled(plc, [word(0)], 0)]) as at_work:
            await asyncio.sleep(0.1)
            assert not at_work.poller._tasks
        assert plc.connects == 0

    async def test_a_change_amid_a_request_cuts_no_connection_and_its_answer_is_not_heard(self, plc):
        """A machine with a watchdog drops its outputs with its connection."""
        plc.answer_delay_s = 0.1
        spec = polled(plc, [word(10)], keep_open_s=5.0, response_timeout_s=2.0)
        moved = polled(plc, [word(11, name="r10")], keep_open_s=5.0, response_timeout_s=2.0)
        plc.holding_registers[10:12] = [7, 8]
        async with polling([spec]) as at_work:
            assert await settle(lambda: at_work.held(spec) == {"r10": 7})
            seen = len(plc.requests)
            assert await settle(lambda: len(plc.requests) > seen)  # and is not answered yet
            at_work.registry(moved)
            assert await settle(lambda: at_work.held(moved) == {"r10": 8})
            assert plc.connects == 1
            assert {done.plc.polls["r10"].tag.address for done in at_work.rounds[-1:]} == {11}


class TestABug:
    async def test_costs_a_round_and_not_the_polling(self, plc, monkeypatch, caplog):
        monkeypatch.setattr("devices.control.rounds.AFTER_A_BUG_S", 0.01)
        spec = polled(plc, [word(0)])
        async with polling([spec]) as at_work:
            heard = at_work.rounds
            at_work.rounds = None  # whoever listens raises
            assert await settle(lambda: "polling press-1 failed by a fault of the gateway" in caplog.text)
            at_work.rounds = heard
            assert await settle(lambda: len(heard) >= 2)


class TestTheEnd:
    @pytest.mark.parametrize("after", range(6))
    async def test_leaves_nothing_open_wherever_it_comes(self, plc, after):
        plc.answer_delay_s = 0.01
        spec = polled(plc, [word(0), word(100), word(200)])
        async with polling([spec]) as at_work:
            assert await settle(lambda: plc.connects > 0)
            await asyncio.sleep(after * 0.007)
            await at_work.poller.stop()
            assert not at_work.poller._tasks
            assert await settle(lambda: plc.open_connections == 0)

    async def test_comes_also_where_the_pool_goes_first(self, plc):
        spec = polled(plc, [word(0)])
        async with polling([spec]) as at_work:
            assert await settle(lambda: len(at_work.rounds) >= 1)
            await at_work.pool.close()
            assert await settle(lambda: not at_work.poller._tasks)
