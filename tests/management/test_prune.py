"""Frames go after their days; whatever else a run holds stays."""

import asyncio
import re
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from channels.db import database_sync_to_async
from django.core.management import call_command
from django.db import DatabaseError, InterfaceError, connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from devices.control import prune
from devices.control.prune import DAILY_S, FIRST_S, Sweep, pruning_daily
from devices.models import PLC, Run
from tests.control import rows

FRAMES = [{"at_ms": 1.0, "step": 0, "direction": "sent", "length": 2, "hex": "00 01"}]
NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)


@pytest.fixture
def press(transactional_db) -> PLC:
    return rows.make_plc(rows.make_profile())


def ended(press: PLC, days_ago: float | None, now: datetime = NOW, **more: Any) -> Run:
    """A run that ended so long ago; None: it runs since long."""
    finished = None if days_ago is None else now - timedelta(days=days_ago)
    fields = {"state": "succeeded", "trace": [{"note": "x"}], "version": 3, "frames": FRAMES} | more
    return Run.objects.create(
        plc=press, plc_name=press.name, command="reset", accepted_at=now - timedelta(days=400), finished_at=finished,
        **fields,
    )  # fmt: skip


def with_frames() -> set[int]:
    return {run.pk for run in Run.objects.all() if run.frames}


class TestPrune:
    def test_empties_the_frames_of_old_runs_and_nothing_else(self, press):
        old, young = ended(press, 30.01), ended(press, 29.99)
        before = Run.objects.filter(pk=old.pk).values().get()
        assert prune.prune(now=NOW) == 1
        assert with_frames() == {young.pk}
        assert Run.objects.filter(pk=old.pk).values().get() == before | {"frames": []}

    def test_leaves_an_open_run_alone_however_old_it_is(self, press):
        running = ended(press, None, state="running")
        assert prune.prune(now=NOW) == 0
        assert with_frames() == {running.pk}

    def test_finds_nothing_the_second_time(self, press):
        ended(press, 31)
        assert (prune.prune(now=NOW), prune.prune(now=NOW)) == (1, 0)

    def test_takes_few_at_a_time_and_looks_before_it_locks(self, press, monkeypatch):
        monkeypatch.setattr(prune, "BATCH", 10)
        monkeypatch.setattr(prune, "WINDOW", 1_000_000_000)  # whatever numbers the runs of this test have
        for _ in range(25):
            ended(press, 31)
        with CaptureQueriesContext(connection) as queries:
            assert [count for count in Sweep().steps(now=NOW) if count] == [10, 10, 5]
        assert [query["sql"].split()[0] for query in queries if "devices_run" in query["sql"]] == [
            "SELECT",
            *["SELECT", "UPDATE"] * 3,
            "SELECT",
        ]
        assert with_frames() == set()

    def test_looks_at_a_window_of_runs_at_a_time_and_lets_others_in_between(self, press, monkeypatch):
        monkeypatch.setattr(prune, "WINDOW", 10)
        runs = [ended(press, 1) for _ in range(25)]
        old = ended(press, 31)
        steps = Sweep().steps(now=NOW)
        first, last = runs[0].pk, old.pk
        with CaptureQueriesContext(connection) as queries:
            assert sum(steps) == 1
        looked = [query["sql"] for query in queries if '"finished_at" <' in query["sql"]]
        assert all(re.search(r'"id" > \d+', sql) and re.search(r'"id" <= \d+', sql) for sql in looked)
        windows = {int(found[1]) for sql in looked if (found := re.search(r'"id" <= (\d+)', sql))}
        assert {place for place in windows if place >= first} == set(range(-(-first // 10) * 10, last + 10, 10))
        assert len(list(Sweep().steps(now=NOW))) >= 3
        assert with_frames() == {run.pk for run in runs}

    def test_passes_over_the_next_day_what_is_done_and_nothing_else(self, press, monkeypatch):
        monkeypatch.setattr(prune, "WINDOW", 1)
        done, open_run, later = ended(press, 31), ended(press, None, state="running", frames=[]), ended(press, 31)
        young = ended(press, 29.5)
        sweep = Sweep()
        assert sum(sweep.steps(now=NOW)) == 2
        assert (sweep.done, with_frames()) == (done.pk, {young.pk})
        Run.objects.filter(pk=open_run.pk).update(frames=FRAMES, finished_at=NOW - timedelta(days=30), state="unknown")
        assert sum(sweep.steps(now=NOW + timedelta(days=1))) == 2
        assert (sweep.done, with_frames()) == (young.pk, set())
        assert later.pk < young.pk
        with CaptureQueriesContext(connection) as queries:
            assert list(sweep.steps(now=NOW + timedelta(days=2))) == []
        assert len(queries) == 1

    @pytest.mark.parametrize(("days", "left"), [(0, 0), (-1, 0), (1, 1), (10**9, 2), (10**12, 2)])
    def test_obeys_the_setting(self, press, settings, days, left):
        settings.FRAMES_DAYS = days
        ended(press, 2), ended(press, 0.5)
        prune.prune(now=NOW)
        assert len(with_frames()) == left

    def test_command_says_what_it_did(self, press):
        now = timezone.now()
        ended(press, 31, now), ended(press, 31, now), ended(press, 1, now)
        out = StringIO()
        call_command("prune", stdout=out)
        assert out.getvalue() == "Emptied the frames of 2 run(s) that ended more than 30 days ago.\n"
        assert len(with_frames()) == 1


class Night:
    """Time as the test wants it: each sleep is noted and ends when the test says so."""

    def __init__(self) -> None:
        self.slept: list[float] = []
        self.now = NOW
        self._asleep = asyncio.Event()
        self._wake = asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self._asleep.set()
        await self._wake.wait()
        self._wake.clear()

    async def passes(self) -> None:
        """The sleeper wakes up, does its work and sleeps again."""
        await self._asleep.wait()
        self._asleep.clear()
        self._wake.set()
        async with asyncio.timeout(5):
            await self._asleep.wait()


class TestServing:
    async def test_prunes_after_its_start_and_then_each_day(self, press):
        night = Night()
        run = await database_sync_to_async(ended)(press, 29.5)
        async with pruning_daily(sleep=night.sleep, clock=lambda: night.now):
            await night.passes()
            assert await database_sync_to_async(with_frames)() == {run.pk}
            night.now += timedelta(days=1)
            await night.passes()
            assert await database_sync_to_async(with_frames)() == set()
        assert night.slept == [FIRST_S, DAILY_S, DAILY_S]

    @pytest.mark.parametrize("kind", [DatabaseError, InterfaceError])
    async def test_tries_again_the_next_day_where_the_database_refused(self, press, monkeypatch, caplog, kind):
        night = Night()
        await database_sync_to_async(ended)(press, 31)

        def refusing(_sweep: Sweep, *, now: datetime) -> Any:
            raise kind("database is locked")
            yield

        async with pruning_daily(sleep=night.sleep, clock=lambda: night.now):
            with monkeypatch.context() as patch:
                patch.setattr(Sweep, "steps", refusing)
                await night.passes()
            assert "next try tomorrow: database is locked" in caplog.text
            await night.passes()
            assert await database_sync_to_async(with_frames)() == set()

    async def test_ends_at_once_with_its_block(self, press):
        before = asyncio.all_tasks()
        async with pruning_daily():
            assert len(asyncio.all_tasks() - before) == 1
        assert asyncio.all_tasks() == before
