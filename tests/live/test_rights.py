"""What a page shows to whom: the PLCs that the viewer may see and no others, as long as he may see them."""

import re

import pytest
from channels.auth import AuthMiddlewareStack
from channels.db import database_sync_to_async
from channels.routing import URLRouter
from django.contrib.auth.models import AnonymousUser, Group, Permission, User
from django.contrib.sessions.models import Session
from django.test import AsyncClient
from django.urls import path

from devices.control.callers import Caller
from devices.control.gateway import Gateway
from devices.control.locking import lock, unlock
from devices.control.rights import EVERYTHING
from devices.live.messages import CloseCode
from devices.models import PLC, Grant, Right, Role
from tests.access import agrant
from tests.control import rows
from tests.live.conftest import Newsroom, Page, Quick, QuickPLC, run_of

pytestmark = pytest.mark.django_db(transaction=True)

SOCKET = AuthMiddlewareStack(
    URLRouter([path("ws/live/", Quick.as_asgi()), path("ws/plcs/<str:plc>/", QuickPLC.as_asgi())])
)


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch, settings) -> None:
    """Nobody but who is let in; looked at often."""
    settings.LIVE_PUBLIC = False
    for consumer in (Quick, QuickPLC):
        monkeypatch.setattr(consumer, "check_s", 0.1)


@pytest.fixture
async def press(transactional_db: None, gateway: Gateway) -> PLC:
    """`press-1` in Hall A, with the commands start_batch and reset."""
    profile = await database_sync_to_async(rows.make_profile)()
    return await PLC.objects.acreate(name="press-1", area="Hall A", profile=profile, host="127.0.0.1")


@pytest.fixture
async def oven(press: PLC) -> PLC:
    """`oven-1` in Hall B."""
    return await PLC.objects.acreate(name="oven-1", area="Hall B", profile=press.profile, host="127.0.0.1")


@pytest.fixture
async def anna(transactional_db: None) -> User:
    return await User.objects.acreate_user("anna")


@pytest.fixture
async def client(anna: User) -> AsyncClient:
    """Anna's browser."""
    client = AsyncClient()
    await client.aforce_login(anna)
    return client


@pytest.fixture
def page(client: AsyncClient):
    """A page of hers."""

    def at(address: str = "/ws/live/") -> Page:
        cookie = f"sessionid={client.cookies['sessionid'].value}"
        return Page(SOCKET, address=address, headers=[(b"cookie", cookie.encode())])

    return at


def names(snapshot: dict) -> list[str]:
    return [plc["name"] for plc in snapshot["plcs"]]


async def runs_of(*plcs: PLC) -> None:
    for plc in plcs:
        await database_sync_to_async(run_of(plc, plc_name=plc.name).save)()


class TestTheOverview:
    async def test_shows_the_plcs_of_the_viewer_and_their_runs_only(self, page, anna: User, press: PLC, oven: PLC):
        await agrant(anna, Right.VIEW, area="Hall A")
        await runs_of(press, oven)
        async with page() as overview:
            shown = await overview.snapshot()
        assert names(shown) == ["press-1"]
        assert [run["plc"] for run in shown["runs"]] == ["press-1"]

    async def test_tells_no_news_of_the_others(self, page, anna: User, press: PLC, oven: PLC, gateway: Gateway):
        await agrant(anna, Right.VIEW, plc=press)
        async with page() as overview:
            await overview.snapshot()
            gateway.announcer.tell_plc({"id": press.pk, "name": "press-1", "state": "first"})
            while not any(one["plc"]["state"] == "first" for one in await overview.news()):
                pass
            gateway.announcer.tell_plc({"id": oven.pk, "name": "oven-1", "state": "secret"})
            gateway.announcer.tell_plc({"id": press.pk, "name": "press-1", "state": "last"})
            heard = await overview.news()
        assert [one["plc"]["name"] for one in heard] == ["press-1"]

    async def test_tells_nothing_of_what_nobody_says_which_plc_it_is_about(self, page, anna: User, press: PLC):
        await agrant(anna, Right.VIEW, plc=press)
        newsroom = Newsroom()
        async with page() as overview:
            await overview.snapshot()
            await newsroom.introduce(overview)
            await newsroom.tell("of all")
            assert await overview.hears_nothing(0.3)

    async def test_is_empty_for_whom_nothing_was_granted(self, page, press: PLC):
        await runs_of(press)
        async with page() as overview:
            shown = await overview.snapshot()
        assert (shown["plcs"], shown["runs"]) == ([], [])

    async def test_shows_all_to_anybody_where_it_is_public(self, page, settings, press: PLC, oven: PLC):
        settings.LIVE_PUBLIC = True
        for public in (page(), Page(SOCKET)):
            async with public as overview:
                assert names(await overview.snapshot()) == ["oven-1", "press-1"]

    async def test_shows_without_it_what_was_taken_away(self, page, anna: User, press: PLC, oven: PLC):
        await agrant(anna, Right.VIEW, plc=press)
        await agrant(anna, Right.VIEW, plc=oven)
        async with page() as overview:
            assert names(await overview.snapshot()) == ["oven-1", "press-1"]
            await Grant.objects.filter(plc=oven).adelete()
            assert names(await overview.snapshot()) == ["press-1"]

    async def test_shows_what_was_granted_to_a_group_meanwhile(self, page, anna: User, press: PLC):
        group = await Group.objects.acreate(name="Line 1")
        await anna.groups.aadd(group)
        async with page() as overview:
            assert names(await overview.snapshot()) == []
            await agrant(group, Right.VIEW)
            assert names(await overview.snapshot()) == ["press-1"]

    async def test_loses_a_plc_that_moves_to_another_area(self, page, anna: User, press: PLC):
        await agrant(anna, Right.VIEW, area="Hall A")
        async with page() as overview:
            assert names(await overview.snapshot()) == ["press-1"]
            press.area = "Hall B"
            await press.asave()
            assert names(await overview.snapshot()) == []


class TestThePageOfAPLC:
    PRESS = "/ws/plcs/press-1/"

    async def test_is_none_for_who_must_not_see_the_plc(self, page, client, anna: User, press: PLC, oven: PLC):
        await agrant(anna, Right.VIEW, plc=oven)
        for address in (self.PRESS, f"/ws/plcs/{press.pk}/", "/ws/plcs/press-9/"):
            async with page(address) as hidden:
                assert await hidden.closed() == CloseCode.GONE
        hidden, unknown = await client.get("/plcs/press-1"), await client.get("/plcs/press-9")
        assert (hidden.status_code, unknown.status_code) == (404, 404)
        assert masked(hidden, "press-1") == masked(unknown, "press-9")
        assert (await client.get(f"/plcs/{press.pk}")).status_code == 404

    async def test_says_what_the_viewer_may_do(self, page, anna: User, press: PLC):
        await agrant(anna, Right.EXECUTE, plc=press, commands="reset")
        async with page(self.PRESS) as shown:
            may = (await shown.snapshot())["may"]
        assert may == {"ask": True, "run": ["reset"], "ceilings": {}, "write": False, "administer": False}

    async def test_says_up_to_which_values(self, page, anna: User, press: PLC):
        await agrant(anna, Right.EXECUTE, plc=press, ceilings={"batch_size": 10})
        await agrant(anna, Right.EXECUTE, area="Hall A", commands="start_batch", ceilings={"batch_size": 40})
        async with page(self.PRESS) as shown:
            may = (await shown.snapshot())["may"]
        assert may["ceilings"] == {"reset": {"batch_size": 10}, "start_batch": {"batch_size": 40}}

    async def test_offers_nothing_but_a_look_where_it_is_public(self, page, settings, press: PLC):
        settings.LIVE_PUBLIC = True
        for public in (page(self.PRESS), Page(SOCKET, address=self.PRESS, user=AnonymousUser())):
            async with public as shown:
                may = (await shown.snapshot())["may"]
            assert may == {"ask": False, "run": [], "ceilings": {}, "write": False, "administer": False}

    async def test_ends_when_the_right_is_taken_away(self, page, anna: User, press: PLC):
        await agrant(anna, Right.VIEW)
        async with page(self.PRESS) as shown:
            await shown.snapshot()
            await anna.grants.all().adelete()
            assert await shown.closed() == CloseCode.GONE

    async def test_offers_no_longer_what_may_no_longer_be_done(self, page, anna: User, press: PLC):
        await agrant(anna)
        async with page(self.PRESS) as shown:
            may = (await shown.snapshot())["may"]
            assert (may["run"], may["administer"]) == (["reset", "start_batch"], True)
            await anna.grants.exclude(right=Right.VIEW).adelete()
            assert (await shown.snapshot())["may"]["run"] == []

    async def test_offers_who_gives_rights_no_use_of_them(self, page, anna: User, press: PLC):
        await agrant(anna)
        group, _ = await Group.objects.aget_or_create(name=Role.SECURITY)
        await anna.groups.aadd(group)
        async with page(self.PRESS) as shown:
            may = (await shown.snapshot())["may"]
        assert may == {"ask": True, "run": [], "ceilings": {}, "write": False, "administer": False}


class TestASession:
    @pytest.mark.parametrize("address", ["/ws/live/", "/ws/plcs/press-1/"])
    async def test_that_ends_ends_the_page(self, page, anna: User, press: PLC, address: str):
        await agrant(anna)
        async with page(address) as shown:
            await shown.snapshot()
            await Session.objects.all().adelete()
            assert await shown.closed() == CloseCode.LOG_IN

    @pytest.mark.parametrize("address", ["/ws/live/", "/ws/plcs/press-1/"])
    async def test_of_a_user_who_is_disabled_ends_the_page(self, page, anna: User, press: PLC, address: str):
        await agrant(anna)
        async with page(address) as shown:
            await shown.snapshot()
            anna.is_active = False
            await anna.asave()
            assert await shown.closed() == CloseCode.LOG_IN

    async def test_that_ends_ends_the_page_of_who_was_logged_in_also_where_it_is_public(
        self, page, client: AsyncClient, settings, press: PLC
    ):
        settings.LIVE_PUBLIC = True
        async with page() as shown, Page(SOCKET) as public:
            await shown.snapshot()
            await public.snapshot()
            await client.alogout()
            assert await shown.closed() == CloseCode.LOG_IN
            press.title = "Still here"
            await press.asave()
            assert (await public.snapshot())["plcs"][0]["title"] == "Still here"

    async def test_that_is_forged_is_none(self, press: PLC):
        async with Page(SOCKET, headers=[(b"cookie", b"sessionid=" + b"a" * 32)]) as shown:
            assert await shown.closed() == CloseCode.LOG_IN
        client = AsyncClient()
        client.cookies["sessionid"] = "a" * 32
        assert (await client.get("/")).status_code == 302


class TestALockOut:
    async def test_is_shown_on_both_pages_and_goes_with_a_new_snapshot(self, page, anna: User, press: PLC, oven: PLC):
        eva = Caller(name="user eva", source="", rights=EVERYTHING)
        await agrant(anna, Right.VIEW)
        async with page() as overview, page("/ws/plcs/press-1/") as one:
            assert (await one.snapshot())["plc"]["lock_out"] is None
            await overview.snapshot()
            await lock("press-1", eva, reason="I replace the belt")
            told = (await one.snapshot())["plc"]["lock_out"]
            assert (told["by"], told["reason"], told["until"]) == ("user eva", "I replace the belt", None)
            listed = {plc["name"]: plc["lock_out"] for plc in (await overview.snapshot())["plcs"]}
            assert listed == {"press-1": told, "oven-1": None}
            await unlock("press-1", eva)
            assert (await one.snapshot())["plc"]["lock_out"] is None


class TestWhoIsHere:
    @pytest.mark.parametrize("address", ["/", "/plcs/press-1", "/plcs/press-9"])
    async def test_is_said_on_every_page_with_a_way_out(
        self, client: AsyncClient, anna: User, press: PLC, address: str
    ):
        await agrant(anna, Right.VIEW)
        text = (await client.get(address)).content.decode()
        assert 'action="/admin/logout/"' in text
        assert "csrfmiddlewaretoken" in text
        assert re.search(
            r'<a class="person" href="/admin/password_change/" title="Change password">.+</span> anna</a>', text
        )
        assert 'href="/admin/"' not in text

    async def test_is_led_to_the_admin_where_he_may_enter_it(self, client: AsyncClient, anna: User):
        anna.is_staff = True
        await anna.asave()
        assert 'href="/admin/"' in (await client.get("/")).content.decode()

    async def test_is_led_there_only_to_what_he_may_look_at(self, client: AsyncClient, anna: User, press: PLC):
        anna.is_staff = True
        await anna.asave()
        await agrant(anna, Right.VIEW)
        led = (' data-runs="/admin/devices/run/"', f' data-profile="/admin/devices/profile/{press.profile_id}/change/"')
        assert await self.found(client, led) == []
        viewing = Permission.objects.filter(codename__in=("view_run", "view_profile"))
        await anna.user_permissions.aset([one async for one in viewing])
        assert await self.found(client, led) == list(led)
        anna.is_staff = False
        await anna.asave()
        assert await self.found(client, led) == []

    async def found(self, client: AsyncClient, led: tuple[str, ...]) -> list[str]:
        text = (await client.get("/plcs/press-1")).content.decode()
        return [link for link in led if link in text]

    async def test_is_offered_to_log_in_where_nobody_is(self, settings, press: PLC):
        settings.LIVE_PUBLIC = True
        text = (await AsyncClient().get("/plcs/press-1")).content.decode()
        assert '<a href="/admin/login/?next=/plcs/press-1">Log in</a>' in text
        assert "/admin/logout/" not in text
        assert "data-may-ask" not in text

    async def test_leaves_by_a_form_with_its_token_only(self, client: AsyncClient):
        strict = AsyncClient(enforce_csrf_checks=True)
        strict.cookies = client.cookies
        assert (await strict.get("/admin/logout/")).status_code == 405
        assert (await strict.post("/admin/logout/")).status_code == 403
        await strict.get("/")
        token = strict.cookies["csrftoken"].value
        answer = await strict.post("/admin/logout/", {"csrfmiddlewaretoken": token})
        assert (answer.status_code, answer.headers["Location"]) == (302, "/")
        assert (await strict.get("/")).status_code == 302

    @pytest.mark.parametrize(("language", "says"), [("en", "Log in"), ("zh-hans", "登录")])
    async def test_logs_in_without_the_right_to_enter_the_admin(self, language: str, says: str):
        await User.objects.acreate_user("olga", password="right-pw-1")
        client = AsyncClient(ACCEPT_LANGUAGE=language)
        form = await client.get("/admin/login/?next=/plcs/press-1")
        assert says in form.content.decode()
        assert "default-src 'none'" in form.headers["Content-Security-Policy"]
        wrong = await client.post("/admin/login/", {"username": "olga", "password": "wrong", "next": "/plcs/press-1"})
        assert wrong.status_code == 200
        assert 'role="alert"' in wrong.content.decode()
        asked = {"username": "olga", "password": "right-pw-1"}
        answer = await client.post("/admin/login/", {**asked, "next": "/plcs/press-1"})
        assert (answer.status_code, answer.headers["Location"]) == (302, "/plcs/press-1")
        elsewhere = await client.post("/admin/login/", {**asked, "next": "https://evil.example/"})
        assert elsewhere.headers["Location"] == "/"


def masked(answer, name: str) -> str:
    """A page without what differs from one asking to the next."""
    return re.sub(r'value="[^"]{64}"', "", answer.content.decode().replace(name, "NAME"))
