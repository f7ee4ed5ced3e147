"""What a page hears: nothing is lost unnoticed, nobody waits for another, and who may not watch is told so."""

import asyncio
import json
from datetime import datetime, timedelta

import pytest
from channels.auth import AuthMiddlewareStack
from channels.db import database_sync_to_async
from channels.layers import get_channel_layer
from channels.routing import URLRouter
from django.contrib.auth.models import AnonymousUser, User
from django.contrib.sessions.models import Session
from django.test import AsyncClient
from django.utils import timezone

from devices.control.topics import PAGES
from devices.live.consumer import PageConsumer
from devices.live.feed import Pace
from devices.live.messages import FLOOD_COUNT, LENGTH_LIMIT, CloseCode
from devices.live.open_pages import open_pages
from devices.live.pages import OverviewConsumer, PLCConsumer
from devices.live.urls import websocket_urlpatterns
from tests.access import agrant
from tests.live.conftest import Newsroom, Page, Quick, busy_database, run_of

pytestmark = pytest.mark.django_db(transaction=True)

MARKUP = '<img src=x onerror="alert(1)"></script>\u202e'


class TestConnecting:
    async def test_is_refused_to_strangers_in_a_way_that_the_page_can_tell(self, settings):
        settings.LIVE_PUBLIC = False
        async with Page(user=AnonymousUser()) as page:
            assert await page.closed() == CloseCode.LOG_IN == 4401

    async def test_tells_strangers_nothing(self, settings, newsroom):
        settings.LIVE_PUBLIC = False
        async with Page(user=AnonymousUser()) as page:
            await page.closed()
            await newsroom.tell()
            assert await page.hears_nothing(0.2)

    async def test_is_open_to_a_user(self, settings):
        settings.LIVE_PUBLIC = False
        async with Page(user=await User.objects.acreate_user("anna")) as page:
            assert (await page.frame())["type"] == "snapshot"

    async def test_is_open_to_anybody_where_the_settings_say_so(self, public):
        async with Page() as page:
            assert (await page.frame())["type"] == "snapshot"


class TestFirstSnapshot:
    async def test_holds_what_was_stored_before_the_page_came(self, public, press):
        await database_sync_to_async(run_of(press).save)()
        async with Page() as page:
            assert [run["plc"] for run in (await page.frame())["runs"]] == ["press-1"]

    async def test_is_followed_by_what_was_announced_while_it_was_read(self, public, newsroom):
        async with Page(Quick) as page:
            await page.snapshot()
            await newsroom.introduce(page)
            slow = busy_database(0.4)
            await page.socket.send_json_to({"type": "resync"})
            await asyncio.sleep(0.2)
            await newsroom.tell("one")
            await newsroom.tell("two")
            assert (await page.frame())["type"] == "snapshot"
            assert (await page.frame())["news"] == ["one", "two"]
            await slow

    async def test_comes_even_if_more_was_announced_than_can_be_held(self, public, press, newsroom):
        class Forgetful(Quick):
            pace = Pace(frame_s=0.05, snapshot_s=0.05, held_limit=5)

        slow = busy_database(0.4)
        async with Page(Forgetful) as page:
            for _ in range(20):
                await newsroom.tell()
            await page.snapshot()
            await database_sync_to_async(run_of(press).save)()
            assert len((await page.snapshot())["runs"]) == 1
        await slow


class TestGap:
    async def test_is_made_up_for_by_a_snapshot(self, public, newsroom):
        async with Page(Quick) as page:
            await page.snapshot()
            await newsroom.introduce(page)
            newsroom.lose()
            await newsroom.tell()
            # Nothing newer is shown on top of what is missing.
            assert (await page.frame())["type"] == "snapshot"

    async def test_at_the_end_is_seen_at_the_next_beat(self, public, newsroom):
        async with Page(Quick) as page:
            await page.snapshot()
            await newsroom.introduce(page)
            newsroom.lose()
            await newsroom.beat()
            beat = await page.frame()
            assert beat["type"] == "beat"
            assert abs(timezone.now() - datetime.fromisoformat(beat["now"])) < timedelta(seconds=30)
            assert (await page.frame())["type"] == "snapshot"

    async def test_is_not_seen_where_there_is_none(self, public, newsroom):
        async with Page(Quick) as page:
            await page.snapshot()
            await newsroom.introduce(page)
            for _ in range(3):
                await newsroom.tell()
                assert await page.news() == ["news"]
            await newsroom.beat()
            assert (await page.frame())["type"] == "beat"
            assert await page.hears_nothing(0.3)

    async def test_is_suspected_of_a_gateway_that_was_not_heard_before(self, public):
        async with Page(Quick) as page:
            await page.snapshot()
            await Newsroom("new").tell()
            await page.snapshot()

    async def test_is_counted_for_each_gateway_by_itself(self, public):
        one, other = Newsroom("one"), Newsroom("other")
        async with Page(Quick) as page:
            await page.snapshot()
            for newsroom in (one, other):
                await newsroom.introduce(page)
            for newsroom in (one, one, other, one):
                await newsroom.tell()
                await page.news()
            assert await page.hears_nothing(0.3)

    async def test_of_a_burst_that_the_layer_does_not_carry_loses_no_run(self, public, press, newsroom):
        async with Page(Quick) as page:
            await page.snapshot()
            await newsroom.introduce(page)
            await database_sync_to_async(run_of(press).save)()
            for _ in range(150):
                await newsroom.tell()  # the layer in memory keeps 100 and says nothing
            newsroom.lose()
            await newsroom.beat()
            assert len((await page.snapshot())["runs"]) == 1


class TestSnapshots:
    async def test_come_after_a_change_of_the_registry(self, public, press, newsroom):
        async with Page(Quick) as page:
            await page.snapshot()
            await newsroom.introduce(page)
            press.title = "Press one"
            await press.asave()
            await newsroom.tell_registry()
            assert (await page.snapshot())["plcs"][0]["title"] == "Press one"

    async def test_are_rare_but_never_left_out(self, public, press):
        class Rare(OverviewConsumer):
            pace = Pace(frame_s=0.05, snapshot_s=0.6)

        async with Page(Rare) as page:
            await page.snapshot()
            for _ in range(5):
                await page.socket.send_json_to({"type": "resync"})
            assert await page.hears_nothing(0.3)
            await database_sync_to_async(run_of(press).save)()
            assert len((await page.snapshot())["runs"]) == 1
            assert await page.hears_nothing(0.8)


class TestNews:
    async def test_do_not_wait_for_a_slow_query_of_somebody_else(self, public, newsroom):
        async with Page(Quick) as page:
            await page.snapshot()
            await newsroom.introduce(page)
            slow = busy_database(1.5)
            await newsroom.tell("now")
            assert await page.news() == ["now"]
            assert not slow.done()
            await slow

    async def test_go_on_as_they_were_written(self, public, newsroom):
        async with Page(Quick) as page:
            await page.snapshot()
            await newsroom.introduce(page)
            content = {"kind": "run", "run": {"detail": MARKUP, "version": 2}}
            await newsroom.tell(content)
            text = await page.socket.receive_from()
        assert text == f'{{"n":3,"news":[{json.dumps(content)}]}}'
        assert json.loads(text)["news"][0]["run"]["detail"] == MARKUP

    async def test_of_one_thing_come_once_as_they_are_last_at_a_slow_pace(self, public, newsroom):
        class Slow(Quick):
            pace = Pace(frame_s=0.4, snapshot_s=0.05)

        async with Page(Slow) as page:
            await page.snapshot()
            await newsroom.introduce(page)
            await asyncio.sleep(0.5)  # quiet
            await newsroom.tell(0, about="level")
            assert await page.news() == [0], "the first comes at once"
            for number in range(1, 80):
                await newsroom.tell(number, about="level")
                await asyncio.sleep(0)
            await newsroom.tell("idle", about="state")
            assert await page.news() == [79, "idle"]
            assert await page.hears_nothing(0.5)

    async def test_count_the_frames_of_their_connection(self, public, newsroom):
        async with Page(Quick) as page:
            numbers = [(await page.snapshot())["n"]]
            await newsroom.beat()
            numbers.append((await page.snapshot())["n"])
            for _ in range(3):
                await newsroom.tell()
                numbers.append((await page.frame())["n"])
        assert numbers == [1, 2, 3, 4, 5]

    async def test_of_a_kind_not_known_here_do_no_harm(self, public):
        async with Page() as page:
            await page.snapshot()
            await get_channel_layer().group_send(PAGES, {"type": "live.something_newer"})
            assert await page.hears_nothing(0.2)

    async def test_that_the_server_ends_send_the_page_away_to_come_back(self, public):
        async with Page() as page:
            await page.snapshot()
            await get_channel_layer().group_send(PAGES, {"type": "live.bye", "source": "this one, which is gone"})
            assert await page.closed() == CloseCode.COME_BACK == 4503

    async def test_that_another_server_ends_leave_the_page_open(self, public, gateway):
        async with Page() as page:
            await page.snapshot()
            await get_channel_layer().group_send(PAGES, {"type": "live.bye", "source": "another one"})
            assert await page.hears_nothing(0.3)
            await get_channel_layer().group_send(PAGES, {"type": "live.bye", "source": gateway.announcer.source})
            assert await page.closed() == CloseCode.COME_BACK


class TestPageMessages:
    @pytest.mark.parametrize("text", ["", "hello", "[" * LENGTH_LIMIT, '{"type":"run"}', "null", '"resync"'])
    async def test_that_mean_nothing_change_nothing(self, public, text):
        async with Page(Quick) as page:
            await page.snapshot()
            await page.socket.send_input({"type": "websocket.receive", "text": text})
            assert await page.hears_nothing(0.3)

    async def test_that_are_long_end_the_connection(self, public):
        async with Page() as page:
            await page.socket.send_to(text_data="x" * (LENGTH_LIMIT + 1))
            assert await page.closed() == CloseCode.TOO_LONG

    async def test_that_are_binary_end_the_connection(self, public):
        async with Page() as page:
            await page.socket.send_to(bytes_data=b"\0")
            assert await page.closed() == CloseCode.NOT_TEXT

    async def test_that_come_in_masses_end_the_connection(self, public):
        async with Page() as page:
            for _ in range(FLOOD_COUNT):
                await page.socket.send_json_to({"type": "resync"})
            assert await page.closed() == CloseCode.FLOOD

    async def test_that_stay_away_end_the_connection(self, public, newsroom):
        class Impatient(OverviewConsumer):
            lag_s = 0.2

        async with Page(Impatient) as page:
            await newsroom.beat()
            await asyncio.sleep(0.3)
            await newsroom.beat()
            assert await page.closed() == CloseCode.LAGS

    async def test_that_answer_each_beat_keep_it(self, public, newsroom):
        class Impatient(Quick):
            lag_s = 0.2

        async with Page(Impatient) as page:
            for _ in range(3):
                await newsroom.beat()
                await page.socket.send_json_to({"type": "reading"})
                await asyncio.sleep(0.15)
            await newsroom.tell("still here")
            assert await page.news() == ["still here"]


class TestASlowPage:
    """One that does not answer its beats."""

    class Strict(Quick):
        quiet_s = 0.1

    async def test_is_sent_nothing_but_beats_until_it_answers(self, public, newsroom):
        async with Page(self.Strict) as page:
            await page.snapshot()
            await newsroom.introduce(page)
            await asyncio.sleep(0.2)
            for number in range(10):
                await newsroom.tell(number, about="level")
                await newsroom.beat()
                assert (await page.frame())["type"] == "beat"
            assert await page.hears_nothing(0.3)
            await page.socket.send_json_to({"type": "reading"})
            assert await page.news() == [9]

    async def test_gets_a_snapshot_where_too_much_waits_for_it(self, public, newsroom, press):
        class Forgetful(self.Strict):
            pace = Pace(frame_s=0.05, snapshot_s=0.05, held_limit=5)

        async with Page(Forgetful) as page:
            await page.snapshot()
            await newsroom.introduce(page)
            await asyncio.sleep(0.2)
            await database_sync_to_async(run_of(press).save)()
            for _ in range(10):
                await newsroom.tell()
            assert await page.hears_nothing(0.3)
            await page.socket.send_json_to({"type": "reading"})
            assert len((await page.frame())["runs"]) == 1
            assert await page.hears_nothing(0.3)


class TestWatch:
    """Whether the user may still watch."""

    @pytest.fixture
    async def headers(self, settings, monkeypatch):
        settings.LIVE_PUBLIC = False
        monkeypatch.setattr(PageConsumer, "check_s", 0.1)
        client = AsyncClient()
        anna = await User.objects.acreate_user("anna")
        await agrant(anna)
        await client.aforce_login(anna)
        return [(b"cookie", f"sessionid={client.cookies['sessionid'].value}".encode())]

    @pytest.fixture
    def socket(self):
        return AuthMiddlewareStack(URLRouter(websocket_urlpatterns))

    async def test_goes_on_while_the_session_lasts(self, socket, headers):
        async with Page(socket, headers=headers) as page:
            await page.snapshot()
            assert await page.hears_nothing(0.5)

    async def test_ends_with_the_session(self, socket, headers):
        async with Page(socket, headers=headers) as page:
            await page.snapshot()
            await Session.objects.all().adelete()
            assert await page.closed() == CloseCode.LOG_IN

    async def test_ends_when_the_user_is_disabled(self, socket, headers):
        async with Page(socket, headers=headers) as page:
            await page.snapshot()
            await User.objects.aupdate(is_active=False)
            assert await page.closed() == CloseCode.LOG_IN


class TestLeaving:
    async def test_leaves_nothing_behind(self, public, newsroom):
        before = asyncio.all_tasks()
        for _ in range(5):
            async with Page() as page:
                await page.snapshot()
        await newsroom.tell()
        left = [task for task in asyncio.all_tasks() - before if "PageConsumer" in repr(task.get_coro())]
        assert left == []

    async def test_of_one_page_does_not_take_the_snapshot_from_another(self, public):
        slow = busy_database(0.4)
        async with Page() as page:
            async with Page():
                pass
            assert (await page.frame())["type"] == "snapshot"
        await slow


class TestPlaces:
    """How many pages a caller may have open."""

    @pytest.fixture(autouse=True)
    def _two(self, settings):
        settings.PAGES_PER_CALLER = 2
        assert not open_pages, "an earlier test left a page behind"
        yield
        assert not open_pages, "a place was kept"

    async def test_are_counted_for_each_address_and_for_each_user(self, public):
        anna = await User.objects.acreate_user("anna")
        here, there = ("10.0.0.1", 40000), ("10.0.0.2", 40000)
        async with (
            Page(client=here),
            Page(client=here),
            Page(client=there) as other,
            Page(client=here, user=anna) as hers,
        ):
            for page in (other, hers):
                await page.snapshot()
            async with Page(client=here) as one_more:
                assert await one_more.closed() == CloseCode.CROWDED == 4430
            async with Page(client=there, user=anna), Page(client=("10.0.0.3", 1), user=anna) as one_more:
                assert await one_more.closed() == CloseCode.CROWDED

    async def test_of_a_page_that_was_sent_away_is_its_own_no_more(self, public):
        async with Page(), Page():
            for _ in range(3):
                async with Page() as page:
                    assert await page.closed() == CloseCode.CROWDED

    async def test_are_given_back_however_a_page_ends(self, public, press, monkeypatch):
        async with Page() as page:
            await page.snapshot()
        async with Page() as page:
            await page.socket.send_to(bytes_data=b"\0")
            assert await page.closed() == CloseCode.NOT_TEXT
        await cut_while_it_connects()
        async with Page(PLCConsumer, address="/ws/plcs/none/", url_route={"kwargs": {"plc": "none"}}) as page:
            assert await page.closed() == CloseCode.COME_BACK, "no gateway runs here"
        monkeypatch.setattr(OverviewConsumer, "find", failing)
        page = Page()
        await page.socket.connect()
        with pytest.raises(ZeroDivisionError):
            await page.socket.receive_output()


async def failing(_consumer: PageConsumer) -> str:
    raise ZeroDivisionError("a bug of ours")


async def cut_while_it_connects() -> None:
    """As a server does that ends at once."""
    slow = busy_database(0.3)
    page = Page(user=await User.objects.acreate_user("otto"))
    await page.socket.send_input({"type": "websocket.connect"})
    await asyncio.sleep(0.1)
    page.socket.future.cancel()
    await asyncio.gather(page.socket.future, return_exceptions=True)
    await slow
