"""Frames and samples go after their days; whatever else a run holds stays."""

import asyncio
import re
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from channels.db import database_sync_to_async
from django.core.management import call_command
from django.db import DatabaseError, InterfaceError, connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from devices.control import prune, prune_frames, prune_samples
from devices.control.prune import DAILY_S, FIRST_S, pruning_daily
from devices.control.prune_frames import Sweep
from devices.control.samples import NewSample, SampleWriter
from devices.models import PLC, Run, Sample, Series
from tests.control import rows
from tests.control.databases import elsewhere

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


class TestFrames:
    def test_empties_the_frames_of_old_runs_and_nothing_else(self, press):
        old, young = ended(press, 30.01), ended(press, 29.99)
        before = Run.objects.filter(pk=old.pk).values().get()
        assert prune.prune(now=NOW).runs == 1
        assert with_frames() == {young.pk}
        assert Run.objects.filter(pk=old.pk).values().get() == before | {"frames": []}

    def test_leaves_an_open_run_alone_however_old_it_is(self, press):
        running = ended(press, None, state="running")
        assert prune.prune(now=NOW).runs == 0
        assert with_frames() == {running.pk}

    def test_finds_nothing_the_second_time(self, press):
        ended(press, 31)
        assert (prune.prune(now=NOW).runs, prune.prune(now=NOW).runs) == (1, 0)

    def test_is_the_same_where_several_processes_do_it_at_once(self, press, monkeypatch):
        monkeypatch.setattr(prune_frames, "BATCH", 5)
        for _ in range(30):
            ended(press, 31)
        young = ended(press, 1)
        with ThreadPoolExecutor(3) as others:
            pruned = list(others.map(lambda _: elsewhere(lambda: prune.prune(now=NOW)), range(3)))
        assert sum(one.runs for one in pruned) >= 30
        assert with_frames() == {young.pk}
        assert Run.objects.count() == 31

    def test_takes_few_at_a_time_and_looks_before_it_locks(self, press, monkeypatch):
        monkeypatch.setattr(prune_frames, "BATCH", 10)
        monkeypatch.setattr(prune_frames, "WINDOW", 1_000_000_000)  # whatever numbers the runs of this test have
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
        monkeypatch.setattr(prune_frames, "WINDOW", 10)
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
        monkeypatch.setattr(prune_frames, "WINDOW", 1)
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


def kept(press: PLC, tag: str, *days_ago: float) -> Series:
    """A series with a sample of each of these ages."""
    series, _ = Series.objects.get_or_create(plc=press, tag=tag)
    for days in days_ago:
        at = NOW - timedelta(days=days)
        Sample.objects.create(series=series, at_ms=round(at.timestamp() * 1000), number=days)
    return series


def ages(tag: str) -> list[float]:
    return sorted(Sample.objects.filter(series__tag=tag).values_list("number", flat=True))


class TestSamples:
    def test_go_after_their_days(self, press):
        kept(press, "temp", 1, 29.99, 30.01, 400), kept(press, "speed", 2, 31)
        assert prune.prune(now=NOW).samples == 3
        assert (ages("temp"), ages("speed")) == ([1, 29.99], [2])
        assert prune.prune(now=NOW).samples == 0

    def test_take_their_series_along_when_none_is_left(self, press):
        kept(press, "gone", 31, 32), kept(press, "temp", 1)
        prune.prune(now=NOW)
        assert [series.tag for series in Series.objects.all()] == ["temp"]

    def test_go_few_at_a_time(self, press, monkeypatch):
        monkeypatch.setattr(prune_samples, "BATCH", 10)
        monkeypatch.setattr(prune_samples, "SERIES", 2)
        for tag in ("a", "b", "c"):
            kept(press, tag, *range(31, 56), 1)
        assert list(prune_samples.steps(now=NOW)) == [10, 10, 5, 10, 10, 5, 0, 10, 10, 5, 0]
        assert [ages(tag) for tag in ("a", "b", "c")] == [[1]] * 3

    @pytest.mark.parametrize(("days", "left"), [(0, 0), (-1, 0), (1, 1), (10**9, 2), (10**12, 2)])
    def test_obey_the_setting(self, press, settings, days, left):
        settings.HISTORY_DAYS = days
        kept(press, "temp", 2, 0.5)
        prune.prune(now=NOW)
        assert len(ages("temp")) == left

    async def test_are_recorded_on_in_a_series_that_was_pruned(self, press):
        writer = SampleWriter()
        writer.start()
        writer.put([NewSample(press.pk, "temp", 0, 1.0)])
        await stored(0)
        assert (await database_sync_to_async(prune.prune)(now=NOW)).samples == 1
        assert not await Series.objects.aexists()
        at_ms = round(NOW.timestamp() * 1000)
        writer.put([NewSample(press.pk, "temp", at_ms, 2.0)])
        await stored(at_ms)
        await writer.stop()


async def stored(at_ms: int) -> None:
    """Wait for a sample of this moment."""
    async with asyncio.timeout(10):
        while not await Sample.objects.filter(at_ms=at_ms).aexists():  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.02)


class TestTheCommand:
    def test_says_what_it_did(self, press):
        now = timezone.now()
        ended(press, 31, now), ended(press, 31, now), ended(press, 1, now)
        kept(press, "temp", 1000, 1001, 1002), kept(press, "temp", (NOW - now) / timedelta(days=1))
        out = StringIO()
        call_command("prune", stdout=out)
        assert out.getvalue() == (
            "Emptied the frames of 2 run(s) that ended more than 30 days ago.\n"
            "Deleted 3 sample(s) more than 30 days old.\n"
        )
        assert len(with_frames()) == 1
        assert len(ages("temp")) == 1


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
        await database_sync_to_async(kept)(press, "temp", 29.5)
        async with pruning_daily(sleep=night.sleep, clock=lambda: night.now):
            await night.passes()
            assert await database_sync_to_async(with_frames)() == {run.pk}
            assert await database_sync_to_async(ages)("temp") == [29.5]
            night.now += timedelta(days=1)
            await night.passes()
            assert await database_sync_to_async(with_frames)() == set()
            assert await database_sync_to_async(ages)("temp") == []
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
