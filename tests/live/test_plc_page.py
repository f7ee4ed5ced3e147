"""The page of one PLC: what it shows, what it is told of, and that it ends with its PLC."""

import asyncio
import json

import pytest
from channels.auth import AuthMiddlewareStack
from channels.db import database_sync_to_async
from channels.layers import get_channel_layer
from channels.routing import URLRouter
from django.contrib.auth.models import AnonymousUser, User
from django.test import AsyncClient
from django.urls import path
from django.utils import timezone

from devices.control import announce, audience
from devices.control.gateway import Gateway
from devices.control.records import RunRecord
from devices.control.tag_news import value_news
from devices.control.topics import topic_of
from devices.control.values import Stamp
from devices.live.messages import CloseCode
from devices.live.plc_snapshot import RUNS
from devices.models import PLC, Run, State, Tag
from tests.access import agrant
from tests.control import rows
from tests.control.databases import elsewhere, eventually, no_table
from tests.control.rows import call
from tests.doubles.fault_server import FaultServer
from tests.live.conftest import Page, Quick, QuickPLC, busy_database, run_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("public")]

AS_IN_URLS = "ws/plcs/<str:plc>/"


def page_of(plc: object, **scope: object) -> Page:
    """The page under a PLC's name or number."""
    socket = URLRouter([path(AS_IN_URLS, QuickPLC.as_asgi())])
    return Page(socket, address=f"/ws/plcs/{plc}/", **scope)


@pytest.fixture
async def line(plc: FaultServer, transactional_db: None, gateway: Gateway) -> PLC:
    """`press-1` with its tags, at a double that acknowledges, and a running gateway."""
    plc.names.update(rows.PLACES)
    plc.acknowledge("start", on="ack")
    return await database_sync_to_async(lambda: rows.make_plc(rows.make_profile(), port=plc.port, title="Press 1"))()


async def read_tag(gateway: Gateway, name: str, number: int) -> None:
    """As polling does: take a value, and tell it."""
    plc = await gateway.registry.find("press-1")
    values, stamp = gateway.values.of(plc), Stamp(timezone.now(), asyncio.get_running_loop().time())
    if values.take(name, number, stamp):
        gateway.announcer.tell_values(plc.id, {name: value_news(values.of(name))}, {1.0: stamp.at})


class TestSnapshot:
    async def test_says_what_the_plc_is_and_how_it_is(self, line: PLC):
        async with page_of("press-1") as page:
            shown = await page.snapshot()
        assert shown["plc"] == {
            "id": line.pk,
            "name": "press-1",
            "title": "Press 1",
            "area": "",
            "profile": "batch-machine",
            "is_enabled": True,
            "state": "unknown",
            "reason": "",
            "since": None,
            "next_try_at": None,
            "mark": "",
            "lock_out": None,
        }
        assert (shown["n"], shown["runs"], shown["trace"]) == (1, [], {})
        assert abs((timezone.now() - timezone.datetime.fromisoformat(shown["now"])).total_seconds()) < 60

    async def test_holds_every_tag_as_it_was_read_last(self, line: PLC, gateway: Gateway):
        await read_tag(gateway, "batch_size", 15)
        async with page_of("press-1") as page:
            tags = {tag["name"]: tag for tag in (await page.snapshot())["tags"]}
        assert set(tags) == set(rows.TAGS)
        assert (tags["batch_size"]["value"], tags["batch_size"]["quality"]) == (15, "good")
        assert (tags["recipe"]["value"], tags["recipe"]["quality"]) == (None, "unread")

    async def test_holds_the_newest_runs_of_this_plc_without_their_long_parts(self, line: PLC):
        other = await database_sync_to_async(rows.make_plc)(line.profile, "press-2")
        many = await database_sync_to_async(Run.objects.bulk_create)([run_of(line) for _ in range(RUNS + 5)])
        await database_sync_to_async(run_of(other).save)()
        async with page_of(line.pk) as page:
            shown = await page.snapshot()
        assert [run["id"] for run in shown["runs"]] == [run.pk for run in reversed(many[-RUNS:])]
        newest = await database_sync_to_async(Run.objects.get)(pk=many[-1].pk)
        assert shown["runs"][0] == RunRecord.from_row(newest).as_news()

    async def test_holds_the_timeline_of_a_run_of_another_process_as_far_as_it_is_stored(self, line: PLC):
        run = run_of(line, state=State.RUNNING, finished_at=None)
        await database_sync_to_async(run.save)()
        async with page_of(line.pk) as page:
            assert (await page.snapshot())["trace"] == {str(run.pk): run.trace}

    async def test_holds_the_timeline_of_a_run_under_way_as_far_as_it_has_come(self, line: PLC, plc: FaultServer):
        plc.answer_delay_s = 0.1
        running = asyncio.create_task(call())
        await eventually(lambda: len(plc.requests) >= 4)
        async with page_of(line.pk) as page:
            shown = await page.snapshot()
        record = await running
        seen = shown["trace"][str(record.id)]
        assert 0 < len(seen) < len(record.trace)
        assert seen == record.trace[: len(seen)]

    async def test_is_one_where_the_gateway_is_in_this_process(
        self, line: PLC, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
    ):
        async with page_of(line.pk) as earlier:
            await told_of_everything(earlier, gateway, line)  # also of what was registered just now
        monkeypatch.setattr(announce, "BEAT_S", 0.05)
        async with page_of(line.pk) as page, Page(Quick) as overview:
            for one in (page, overview):
                assert (await one.frame())["type"] == "snapshot"
                assert [(await one.frame())["type"] for _ in range(5)] == ["beat"] * 5


class TestNews:
    async def test_of_a_run_come_with_its_timeline_in_order_and_complete(self, line: PLC, plc: FaultServer):
        plc.answer_delay_s = 0.05
        async with page_of(line.pk) as page:
            await page.snapshot()
            running = asyncio.create_task(call())

            def is_told(heard: list) -> bool:
                is_over = any(one["kind"] == "run" and one["run"]["finished_at"] for one in heard)
                steps = [one for one in heard if one["kind"] == "steps"]
                return is_over and bool(steps) and running.done() and steps[-1]["trace"] == running.result().trace

            heard = await page.news_until(is_told)
        record = await running
        traces = [one["trace"] for one in heard if one["kind"] == "steps"]
        assert [len(trace) for trace in traces] == sorted(len(trace) for trace in traces)
        assert all(trace == record.trace[: len(trace)] for trace in traces)
        assert [one["run"] for one in heard if one["kind"] == "run"][-1] == json.loads(json.dumps(record.as_news()))

    async def test_of_a_hundred_changes_a_second_are_few_and_end_with_the_last_value(self, line: PLC, gateway: Gateway):
        async with page_of(line.pk) as page:
            await told_of_everything(page, gateway, line)
            frames = []

            async def read() -> None:
                while True:
                    frames.append(await page.news())

            reading = asyncio.create_task(read())
            loop = asyncio.get_running_loop()
            begun = loop.time()
            for number in range(100):
                await read_tag(gateway, "recipe", 1000 + number)
                await asyncio.sleep(0.01)
            took = loop.time() - begun
            await eventually(lambda: frames and value_in(frames[-1]) == 1099)
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
        assert len(frames) <= took / 0.25 + 2

    async def test_that_the_layer_lost_are_made_up_for_by_a_snapshot(
        self, line: PLC, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.setattr(announce, "BEAT_S", 0.1)
        async with page_of(line.pk) as page:
            await told_of_everything(page, gateway, line)
            layer = get_channel_layer()
            with monkeypatch.context() as patch:
                lossy = Lossy(layer, topic_of(line.pk))
                patch.setattr(announce, "get_channel_layer", lambda: lossy)
                await read_tag(gateway, "recipe", 77)
                await eventually(lambda: lossy.lost)
            tags = {tag["name"]: tag["value"] for tag in (await page.snapshot())["tags"]}
            assert tags["recipe"] == 77

    async def test_of_another_plc_do_not_come(self, line: PLC, gateway: Gateway):
        other = await database_sync_to_async(rows.make_plc)(line.profile, "press-2")
        async with page_of(line.pk) as page:
            await told_of_everything(page, gateway, line)
            gateway.announcer.tell_plc({"id": other.pk, "name": "press-2", "state": "online"})
            gateway.announcer.tell_plc({"id": line.pk, "name": "press-1", "state": "degraded"})
            heard = await page.news_until(len)
        assert [one["plc"]["name"] for one in heard] == ["press-1"]


class TestAnAsk:
    async def test_that_was_lost_is_repeated_when_a_gateway_shows_that_it_lives(
        self, line: PLC, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
    ):
        async with page_of(line.pk) as page:
            await page.snapshot()
            await eventually(lambda: gateway.announcer._audience.looks_at(topic_of(line.pk)))
        other = announce.Announcer()
        async with page_of(line.pk) as page:
            await page.snapshot()
            monkeypatch.setattr(announce, "BEAT_S", 0.05)
            other.start()  # it was not there when the page asked
            await eventually(lambda: other._audience.looks_at(topic_of(line.pk)))
        await other.stop()

    async def test_is_made_also_where_nobody_can_look_up_whether_the_user_may_still_watch(
        self, line: PLC, gateway: Gateway, settings, monkeypatch: pytest.MonkeyPatch
    ):
        settings.LIVE_PUBLIC = False
        monkeypatch.setattr(QuickPLC, "check_s", 0.1)
        monkeypatch.setattr(audience, "INTEREST_S", 0.5)
        monkeypatch.setattr(announce, "BEAT_S", 0.05)
        client = AsyncClient()
        anna = await User.objects.acreate_user("anna")
        await agrant(anna)
        await client.aforce_login(anna)
        cookie = (b"cookie", f"sessionid={client.cookies['sessionid'].value}".encode())
        socket = AuthMiddlewareStack(URLRouter([path(AS_IN_URLS, QuickPLC.as_asgi())]))
        async with Page(socket, address=f"/ws/plcs/{line.pk}/", headers=[cookie]) as page:
            await told_of_everything(page, gateway, line)
            async with no_table("django_session"):
                await asyncio.sleep(1.5)
                gateway.announcer.tell_plc({"id": line.pk, "name": "press-1", "state": "offline"})
                heard = await page.news_until(len)
        assert [one["plc"]["state"] for one in heard] == ["offline"]


class TestAPLCThatIsNotThere:
    @pytest.mark.parametrize("ref", ["press-9", "0", "-1", "%2e%2e", "x" * 5000, "%00", "\u202e", "1e3", "{plc}"])
    async def test_is_told_to_the_page(self, line: PLC, ref: str):
        async with page_of(ref) as page:
            assert await page.closed() == CloseCode.GONE == 4404

    async def test_because_it_was_deleted_ends_the_page(self, line: PLC):
        async with page_of(line.pk) as page:
            await page.snapshot()
            await database_sync_to_async(line.delete)()
            assert await page.closed() == CloseCode.GONE

    async def test_because_it_was_deleted_while_its_snapshot_was_read_ends_the_page(self, line: PLC):
        async with page_of(line.pk) as page:
            await page.snapshot()
            while not await page.hears_nothing(0.3):
                await page.frame()
            slow = busy_database(0.5)
            await page.socket.send_json_to({"type": "resync"})
            await asyncio.sleep(0.2)
            elsewhere(lambda: PLC.objects.all().delete())
            assert await page.closed() == CloseCode.GONE
            await slow

    async def test_because_it_was_renamed_ends_the_page_of_its_old_name_only(self, line: PLC):
        async with page_of("press-1") as by_name, page_of(line.pk) as by_number:
            for page in (by_name, by_number):
                await page.snapshot()
            line.name = "press-one"
            await line.asave()
            assert await by_name.closed() == CloseCode.GONE
            async with asyncio.timeout(3):
                while (await by_number.snapshot())["plc"]["name"] != "press-one":
                    pass

    async def test_is_no_secret_to_tell_to_strangers(self, line: PLC, settings):
        settings.LIVE_PUBLIC = False
        for ref in ("press-1", "press-9"):
            async with page_of(ref, user=AnonymousUser()) as page:
                assert await page.closed() == CloseCode.LOG_IN


class TestWithoutAGateway:
    async def test_a_page_comes_back_later(self, transactional_db: None):
        async with page_of("press-1") as page:
            assert await page.closed() == CloseCode.COME_BACK


class TestAChangedTag:
    async def test_is_shown_at_once(self, line: PLC):
        async with page_of(line.pk) as page:
            await page.snapshot()
            tag = await Tag.objects.aget(name="recipe")
            tag.unit = "kg"
            await tag.asave()
            async with asyncio.timeout(3):
                while not any(tag["unit"] == "kg" for tag in (await page.snapshot())["tags"]):
                    pass


class Lossy:
    """A channel layer that loses the next news of one topic."""

    def __init__(self, layer, topic: str) -> None:
        self._layer = layer
        self._topic = topic
        self.lost = 0

    async def group_send(self, group: str, message: dict) -> None:
        if group == self._topic and message["type"] == "live.news" and not self.lost:
            self.lost += 1
        else:
            await self._layer.group_send(group, message)


async def told_of_everything(page: Page, gateway: Gateway, plc: PLC) -> None:
    """Until the page is in step with the gateway: from then on there is no reason for a snapshot."""
    await page.snapshot()
    await eventually(lambda: gateway.announcer._audience.looks_at(topic_of(plc.pk)))
    while not await page.hears_nothing(0.3):
        await page.frame()


def value_in(news: list) -> object:
    """The last value among them."""
    return [one["value"]["value"] for one in news if one["kind"] == "value"][-1]
