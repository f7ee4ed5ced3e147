"""What a dead process left behind, settled at the next start: faults.md's crash table."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from devices.control import recover
from devices.control.gateway import Gateway
from devices.control.records import RunRecord
from devices.models import PLC, Effect, Retry, Run, State
from tests.control.databases import eventually
from tests.control.rows import call, runs
from tests.control.test_announce import Listener
from tests.doubles.fault_server import FaultServer
from tests.live.conftest import Page

AT = timezone.now() - timedelta(minutes=5)

LEFT = {
    "T1": {"state": State.QUEUED, "version": 1},
    "T2": {"state": State.RUNNING, "version": 2, "started_at": AT},
    "T3": {"state": State.RUNNING, "version": 3, "started_at": AT, "triggered_at": AT},
}


async def left(press: PLC, **fields: object) -> Run:
    usual = {"plc": press, "plc_name": press.name, "command": "start_batch", "caller": "user anna", "accepted_at": AT}
    return await Run.objects.acreate(**usual | fields)


async def restart() -> None:
    """A gateway comes up and goes again."""
    gateway = Gateway(polls=False)
    await gateway.start()
    await gateway.drain(1)


class TestARunThatADeadProcessLeft:
    @pytest.mark.parametrize(
        ("last", "state", "effect", "retry"),
        [
            ("T1", State.FAILED, Effect.NONE, Retry.SAFE),
            ("T2", State.FAILED, Effect.NONE, Retry.SAFE),
            ("T3", State.UNKNOWN, Effect.UNKNOWN, Retry.AFTER_RECONCILE),
        ],
    )
    async def test_ends_as_its_last_durable_record_allows(
        self, press: PLC, last: str, state: State, effect: Effect, retry: Retry
    ) -> None:
        before = await left(press, **LEFT[last])
        await restart()
        run = await Run.objects.aget()
        assert (run.state, run.effect, run.retry) == (state, effect, retry)
        assert "The gateway restarted" in run.detail
        assert run.version == before.version + 1
        assert isinstance(run.finished_at, datetime)
        assert run.finished_at > AT

    async def test_keeps_what_was_known_of_it(self, press: PLC) -> None:
        await left(press, **LEFT["T3"], parameters={"batch_size": 15}, trace=[{"phase": "check"}], source="10.0.0.7")
        await restart()
        run = await Run.objects.aget()
        assert (run.parameters, run.trace, run.source) == ({"batch_size": 15}, [{"phase": "check"}], "10.0.0.7")
        assert (run.accepted_at, run.started_at, run.triggered_at) == (AT, AT, AT)

    @pytest.mark.parametrize("state", [state for state in State if state.is_final])
    async def test_that_had_ended_stays_as_it_is(self, press: PLC, state: State) -> None:
        before = await left(press, state=state, version=4, triggered_at=AT, finished_at=AT, detail="as it was")
        await restart()
        assert RunRecord.from_row(await Run.objects.aget()) == RunRecord.from_row(before)

    async def test_is_never_sent_again(self, machine: FaultServer, press: PLC) -> None:
        for fields in (LEFT["T1"], LEFT["T3"]):
            await left(press, **fields)
        await restart()
        assert machine.connects == 0

    async def test_does_not_keep_the_plc_from_new_ones(
        self, machine: FaultServer, press: PLC, orphans: None, gateway: Gateway
    ) -> None:
        assert (await call()).state == State.SUCCEEDED

    async def test_is_settled_once(self, press: PLC) -> None:
        await left(press, **LEFT["T2"])
        await restart()
        await restart()
        assert [run.version for run in await runs()] == [3]


class TestTheStart:
    async def test_is_ready_only_after_all_are_settled(
        self, machine: FaultServer, press: PLC, orphans: None, gateway: Gateway
    ) -> None:
        assert gateway.is_ready
        assert all(State(run.state).is_final for run in await runs())


class TestWhatWasSettled:
    async def test_is_announced_as_any_change_is(self, press: PLC) -> None:
        rows = [await left(press, **LEFT[last]) for last in ("T1", "T3")]
        await left(press, state=State.SUCCEEDED)
        async with Listener() as page:
            await restart()
            await eventually(lambda: page.of("live.bye"))
        told = [(run["id"], run["state"], run["version"]) for run in page.runs]
        assert told == [(rows[0].pk, "failed", 2), (rows[1].pk, "unknown", 4)]
        assert "source" not in page.runs[0]
        assert page.of("live.registry"), "and pages look at all that is stored"

    async def test_is_announced_within_bounds_the_newest_of_it(
        self, press: PLC, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(recover, "NEWS", 3)
        rows = [await left(press, **LEFT["T1"]) for _ in range(5)]
        async with Listener() as page:
            await restart()
            await eventually(lambda: page.of("live.bye"))
        assert [run["id"] for run in page.runs] == [run.pk for run in rows[2:]]
        assert {run.state for run in await runs()} == {State.FAILED}


class TestAPageThatStayedOpen:
    @pytest.mark.parametrize(("last", "state"), [("T1", "failed"), ("T2", "failed"), ("T3", "unknown")])
    async def test_is_told_of_what_was_settled(self, press: PLC, settings: Any, last: str, state: str) -> None:
        """It hangs at another process, which nobody killed: the news of the dead one is sent again."""
        settings.LIVE_PUBLIC = True
        before = await left(press, **LEFT[last])
        gateway = Gateway(polls=False)
        async with Page() as page:
            (shown,) = (await page.snapshot())["runs"]
            assert (shown["id"], shown["state"], shown["version"]) == (before.pk, before.state, before.version)
            await gateway.start()
            (shown,) = (await page.snapshot())["runs"]
            await gateway.drain(1)
        assert (shown["id"], shown["state"], shown["version"]) == (before.pk, state, before.version + 1)


@pytest.fixture
async def orphans(press: PLC) -> None:
    """Rows of a dead process, there before the gateway comes up."""
    for fields in (LEFT["T1"], LEFT["T1"], LEFT["T3"]):
        await left(press, **fields)
