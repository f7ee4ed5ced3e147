"""What a page shows at first sight, and how many reads that costs."""

import asyncio
import gc
import json
import socket
from typing import Any

import pytest
from channels.db import database_sync_to_async
from django.db import DatabaseError, connection
from django.test.utils import CaptureQueriesContext

from devices.control.records import RunRecord
from devices.live import snapshot
from devices.live.sharing import Snapshots, shared
from devices.live.snapshot import RUNS
from devices.modbus.errors import LinkUnavailable
from devices.models import PLC, Run
from tests.live.conftest import run_of


async def store(*runs: Run) -> list[Run]:
    return await database_sync_to_async(Run.objects.bulk_create)(runs)


async def taken() -> dict[str, Any]:
    return json.loads(await snapshot.read())


class TestPLCs:
    async def test_are_all_there(self, press):
        plcs = (await taken())["plcs"]
        assert plcs == [
            {
                "id": press.id,
                "name": "press-1",
                "title": "Press 1",
                "area": "Hall A",
                "profile": "batch-machine",
                "state": "unknown",
                "reason": "",
                "since": None,
                "next_try_at": None,
                "mark": "",
                "lock_out": None,
                "last_run_id": None,
            }
        ]

    async def test_that_are_disabled_are_called_so(self, press):
        await PLC.objects.aupdate(is_enabled=False)
        assert (await taken())["plcs"][0]["state"] == "disabled"

    async def test_that_do_not_answer_are_offline_with_the_reason(self, press, gateway):
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))  # bound but not listening: refused
            press.port = closed.getsockname()[1]
            await press.asave()
            spec = await gateway.registry.find(str(press.id))
            while spec.endpoint.port != press.port:
                await asyncio.sleep(0.01)
                spec = await gateway.registry.find(str(press.id))
            for _ in range(3):
                with pytest.raises(LinkUnavailable):
                    async with gateway.pool.session(spec):
                        pass
        plc = (await taken())["plcs"][0]
        assert plc["state"] == "offline"
        assert plc["since"] < plc["next_try_at"]
        assert "refused" in plc["reason"]


class TestRuns:
    async def test_are_the_newest_and_the_last_of_each_plc(self, press):
        oven = await PLC.objects.acreate(name="oven-1", profile_id=press.profile_id, host="127.0.0.1")
        (old,) = await store(run_of(oven))
        many = await store(*(run_of(press) for _ in range(RUNS + 10)))
        seen = await taken()
        assert {run["id"] for run in seen["runs"]} == {old.id, *(run.id for run in many[-RUNS:])}
        assert {plc["name"]: plc["last_run_id"] for plc in seen["plcs"]} == {"press-1": many[-1].id, "oven-1": old.id}

    async def test_look_as_in_the_news(self, press):
        (run,) = await store(run_of(press, detail='<b>"&</b>', result={"batch_number": 7}))
        expected = RunRecord.from_row(await Run.objects.aget(pk=run.pk)).as_news()
        assert (await taken())["runs"] == [expected]
        assert not {"trace", "source"} & expected.keys()

    async def test_cost_few_queries_however_many_there_are(self, press):
        await store(*(run_of(press) for _ in range(RUNS + 10)))

        def queries() -> int:
            with CaptureQueriesContext(connection) as caught:
                snapshot._stored(None)
            return len([query for query in caught if "SELECT" in query["sql"]])

        assert await database_sync_to_async(queries)() <= 4


class Reader:
    """Counts its reads, and ends each when it is told to."""

    def __init__(self) -> None:
        self.count = 0
        self.has_begun = asyncio.Event()
        self.may_end = asyncio.Event()
        self.error: Exception | None = None

    async def __call__(self) -> str:
        self.count += 1
        number = self.count
        self.has_begun.set()
        await self.may_end.wait()
        if self.error:
            raise self.error
        return f"snapshot {number}"


class TestSharing:
    async def test_gives_those_who_ask_at_once_the_same(self):
        reader = Reader()
        snapshots = Snapshots(reader)
        reader.may_end.set()
        assert set(await asyncio.gather(*(snapshots.take() for _ in range(50)))) == {"snapshot 1"}

    async def test_gives_nobody_one_that_was_begun_before_it_was_asked_for(self):
        reader = Reader()
        snapshots = Snapshots(reader)
        first = asyncio.create_task(snapshots.take())
        await reader.has_begun.wait()
        late = [asyncio.create_task(snapshots.take()) for _ in range(10)]
        await asyncio.sleep(0.01)
        reader.may_end.set()
        assert await first == "snapshot 1"
        assert set(await asyncio.gather(*late)) == {"snapshot 2"}

    async def test_goes_on_when_the_first_to_ask_leaves(self):
        reader = Reader()
        snapshots = Snapshots(reader)
        leaving, staying = (asyncio.create_task(snapshots.take()) for _ in range(2))
        await asyncio.sleep(0.01)
        leaving.cancel()
        reader.may_end.set()
        assert await staying == "snapshot 1"

    async def test_tells_all_of_a_failure_and_then_begins_anew(self):
        reader = Reader()
        snapshots = Snapshots(reader)
        reader.error = DatabaseError("away")
        reader.may_end.set()
        outcomes = await asyncio.gather(*(snapshots.take() for _ in range(3)), return_exceptions=True)
        assert {str(outcome) for outcome in outcomes} == {"away"}
        assert reader.count == 1
        reader.error = None
        assert await snapshots.take() == "snapshot 2"

    async def test_is_between_pages_of_one_topic_as_long_as_one_of_them_is_there(self):
        reader = Reader()
        first = shared("topic", reader)
        assert shared("topic", Reader()) is first
        assert shared("other topic", reader) is not first
        del first
        gc.collect()
        other_reader = Reader()
        other_reader.may_end.set()
        assert await shared("topic", other_reader).take() == "snapshot 1"
        assert (reader.count, other_reader.count) == (0, 1)
