"""The writer of history: nothing is lost that need not be, and commands do not wait for it."""

import asyncio
import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest
from channels.db import database_sync_to_async
from django.db import OperationalError, connection

from devices.control import samples
from devices.control.gateway import Gateway
from devices.control.samples import NewSample, SampleWriter
from devices.models import PLC, Sample, Series, State
from tests.control import rows
from tests.control.databases import WriteLock, eventually
from tests.control.rounds import START_MS


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samples, "EVERY_S", 0.01)
    monkeypatch.setattr(samples, "PAUSE_S", 0.001)


@pytest.fixture
async def writer(press: PLC) -> AsyncIterator[SampleWriter]:
    writer = SampleWriter()
    writer.start()
    yield writer
    await writer.stop()


def some(press: PLC, count: int, tag: str = "temp") -> list[NewSample]:
    return [NewSample(press.pk, tag, START_MS + i, float(i)) for i in range(count)]


@database_sync_to_async
def stored(tag: str = "temp") -> list[tuple[Any, ...]]:
    """Milliseconds from the start, number and text, in the order of their keys."""
    found = Sample.objects.filter(series__tag=tag).order_by("pk").values_list("at_ms", "number", "text")
    return [(at_ms - START_MS, number, text) for at_ms, number, text in found]


async def is_stored(count: int, tag: str = "temp") -> None:
    async with asyncio.timeout(10):
        while len(await stored(tag)) != count:  # noqa: ASYNC110 - what is waited for fires no event
            await asyncio.sleep(0.02)


class TestSamples:
    async def test_are_stored_as_they_came(self, press, writer):
        writer.put([NewSample(press.pk, "temp", START_MS, 1.5), NewSample(press.pk, "temp", START_MS + 1)])
        writer.put([NewSample(press.pk, "temp", START_MS + 2, text="A"), NewSample(press.pk, "speed", START_MS, 2.0)])
        await is_stored(3)
        assert await stored() == [(0, 1.5, None), (1, None, None), (2, None, "A")]
        assert await stored("speed") == [(0, 2.0, None)]

    async def test_of_a_tag_share_one_series_whoever_made_it(self, press, writer):
        await Series.objects.acreate(plc=press, tag="temp")
        for sample in some(press, 3):
            writer.put([sample])
            await is_stored(sample.at_ms - START_MS + 1)
        assert await Series.objects.acount() == 1

    async def test_are_stored_few_in_a_transaction(self, press, monkeypatch):
        sizes: list[int] = []
        create = Sample.objects.bulk_create
        monkeypatch.setattr(Sample.objects, "bulk_create", lambda found: sizes.append(len(create(found))))
        writer = SampleWriter()
        writer.put(some(press, 1200))
        writer.start()
        await writer.stop()
        assert sizes == [500, 500, 200]

    async def test_go_on_where_their_series_was_pruned_meanwhile(self, press, writer):
        writer.put(some(press, 1))
        await is_stored(1)
        await Sample.objects.all().adelete()
        await Series.objects.all().adelete()
        writer.put(some(press, 3))
        await is_stored(3)

    async def test_of_a_deleted_plc_are_dropped_and_harm_no_other(self, press, writer):
        gone = await database_sync_to_async(lambda: rows.make_plc(press.profile, "press-2"))()
        writer.put([*some(gone, 1), *some(press, 1)])
        await is_stored(2)
        await PLC.objects.filter(pk=gone.pk).adelete()
        writer.put([NewSample(press.pk, "temp", START_MS + 5, 5.0), NewSample(gone.pk, "temp", START_MS + 5, 5.0)])
        await is_stored(2)
        assert await stored() == [(0, 0.0, None), (5, 5.0, None)]

    async def test_that_no_database_would_take_harm_no_other(self, press, writer, caplog):
        writer.put([*some(press, 20), NewSample(press.pk, "temp", 2**70, 1.0), *some(press, 20)])
        await is_stored(40)
        await eventually(lambda: "a sample of temp cannot be stored" in caplog.text)


class TestADatabaseThatIsAway:
    @pytest.fixture
    def away(self, monkeypatch: pytest.MonkeyPatch) -> threading.Event:
        """While it is set, nothing can be stored."""
        away = threading.Event()
        write = samples._Rows._write

        def refuse(rows: Any, batch: Any) -> None:
            if away.is_set():
                raise OperationalError("the database does not answer")
            write(rows, batch)

        monkeypatch.setattr(samples._Rows, "_write", refuse)
        away.set()
        return away

    async def test_makes_samples_wait(self, press, away, writer, caplog):
        writer.put(some(press, 700))
        await eventually(lambda: "700 sample(s) wait: the database does not answer" in caplog.text)
        writer.put([NewSample(press.pk, "temp", START_MS + 700, 700.0)])
        away.clear()
        await is_stored(701)
        assert [at_ms for at_ms, *_ in await stored()] == list(range(701))
        assert "lost" not in caplog.text

    async def test_for_too_long_costs_the_oldest_samples_and_their_number_is_told(self, press, away, caplog):
        writer = SampleWriter(limit=100)
        writer.start()
        writer.put(some(press, 130))
        await eventually(lambda: "100 sample(s) wait" in caplog.text)
        writer.put([NewSample(press.pk, "temp", START_MS + 130, 130.0)])
        away.clear()
        await is_stored(100)
        await writer.stop()
        assert [at_ms for at_ms, *_ in await stored()] == list(range(31, 131))
        lost = [record.args[0] for record in caplog.records if "of history are lost" in record.getMessage()]
        assert sum(lost) == 31

    async def test_at_the_end_is_asked_once_and_what_is_lost_is_told(self, press, away, caplog):
        writer = SampleWriter()
        writer.start()
        writer.put(some(press, 7))
        async with asyncio.timeout(5):
            await writer.stop()
        assert "7 sample(s) of history are lost" in caplog.text

    async def test_complains_once_and_says_when_it_is_back(self, press, away, writer, caplog):
        caplog.set_level("INFO")
        writer.put(some(press, 1))
        await eventually(lambda: "wait" in caplog.text)
        await asyncio.sleep(0.1)
        assert caplog.text.count("cannot be stored") == 1
        away.clear()
        await eventually(lambda: "history is stored again" in caplog.text)

    async def test_by_a_bug_of_ours_does_not_end_the_writer(self, press, writer, caplog, monkeypatch):
        def fail(*_: Any) -> None:
            raise ZeroDivisionError

        with monkeypatch.context() as broken:
            broken.setattr(samples._Rows, "store", fail)
            writer.put(some(press, 1))
            await eventually(lambda: "met a bug" in caplog.text)
        writer.put(some(press, 2))
        await is_stored(2)

    async def test_delays_no_command(self, line: PLC, gateway: Gateway, away):
        gateway.watching.recorder._writer.put(some(line, 1000))
        assert (await rows.call()).state is State.SUCCEEDED


class TestALockedTable:
    async def test_makes_samples_wait_for_real(self, impatient, press, writer, write_lock: WriteLock):
        if connection.vendor == "sqlite":
            write_lock.take()
            writer.put(some(press, 3))
            await asyncio.sleep(3 * impatient)
            write_lock.free()
        else:
            writer.put(some(press, 3))
        await is_stored(3)
