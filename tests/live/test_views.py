"""The page itself: who sees it, and that nothing written by a PLC or a user can run in it."""

import re
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.contrib.staticfiles import finders
from django.test import AsyncClient
from django.urls import reverse

from devices.live.messages import CloseCode
from devices.models import Right, State
from tests.access import agrant

SCRIPTS = sorted(Path(finders.find("live/live.js")).parent.glob("*.js"))


class TestPage:
    @pytest.mark.django_db(transaction=True)
    async def test_sends_strangers_to_the_login_and_back(self, settings):
        settings.LIVE_PUBLIC = False
        answer = await AsyncClient().get("/")
        assert (answer.status_code, answer.headers["Location"]) == (302, "/admin/login/?next=/")

    @pytest.mark.django_db(transaction=True)
    async def test_is_shown_to_a_user(self, settings):
        settings.LIVE_PUBLIC = False
        client = AsyncClient()
        await client.aforce_login(await User.objects.acreate_user("anna"))
        assert (await client.get("/")).status_code == 200

    async def test_is_shown_to_anybody_where_the_settings_say_so_without_a_look_at_the_database(self, public):
        assert (await AsyncClient().get("/")).status_code == 200

    async def test_is_never_kept(self, public):
        assert "no-store" in (await AsyncClient().get("/")).headers["Cache-Control"]

    async def test_changes_nothing(self, public):
        assert (await AsyncClient().post("/")).status_code in (403, 405)

    async def test_forbids_all_scripts_but_its_own_files(self, public):
        policy = (await AsyncClient().get("/")).headers["Content-Security-Policy"]
        assert "default-src 'none'; script-src 'self'; style-src 'self'" in policy
        assert "unsafe" not in policy

    async def test_needs_nothing_that_the_policy_forbids(self, public):
        page = (await AsyncClient().get("/")).content.decode()
        assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:|<script(?![^>]*\ssrc=)", page)
        assert not re.search(r"(src|href)=\"(https?:)?//", page)

    async def test_leads_to_the_documentation_of_the_api(self, public):
        page = (await AsyncClient().get("/")).content.decode()
        assert f'<a href="{reverse("api:openapi-view")}">' in page


class TestThePageOfAPLC:
    @pytest.fixture
    def page(self, public) -> AsyncClient:
        return AsyncClient()

    async def test_is_found_by_its_name(self, page, press):
        answer = await page.get("/plcs/press-1")
        assert answer.status_code == 200
        assert "<title>Press 1: PLC gateway</title>" in answer.content.decode()
        assert 'data-socket="/ws/plcs/press-1/"' in answer.content.decode()

    async def test_is_found_by_its_number_too(self, page, press):
        answer = await page.get(f"/plcs/{press.pk}")
        assert (answer.status_code, answer.headers["Location"]) == (302, "/plcs/press-1")

    @pytest.mark.parametrize("ref", ["press-2", "0", "9" * 40])
    async def test_says_which_plc_there_is_not(self, ref, page, press):
        answer = await page.get(f"/plcs/{ref}")
        assert answer.status_code == 404
        assert f"No PLC named {ref} is registered." in answer.content.decode()
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]

    async def test_shows_what_was_asked_for_as_text(self, page, press):
        answer = await page.get("/plcs/<script>alert(1)<!--")
        assert "<script>alert" not in answer.content.decode()

    async def test_sends_strangers_to_the_login_and_back(self, settings, press):
        settings.LIVE_PUBLIC = False
        answer = await AsyncClient().get("/plcs/press-1")
        assert answer.headers["Location"] == "/admin/login/?next=/plcs/press-1"

    async def test_says_whether_the_api_answers_who_looks_at_it(self, page, press):
        assert " data-may-ask" not in (await page.get("/plcs/press-1")).content.decode()
        anna = await User.objects.acreate_user("anna")
        await page.aforce_login(anna)
        assert " data-may-ask" not in (await page.get("/plcs/press-1")).content.decode(), "it is public, no more"
        await agrant(anna, Right.VIEW)
        assert " data-may-ask" in (await page.get("/plcs/press-1")).content.decode()

    async def test_needs_nothing_that_the_policy_forbids(self, page, press):
        text = (await page.get("/plcs/press-1")).content.decode()
        assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:|<script(?![^>]*\ssrc=)", text)
        assert not re.search(r"(src|href)=\"(https?:)?//", text)


class TestScripts:
    @pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
    def test_make_text_of_whatever_comes(self, script):
        banned = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function|DOMParser|srcdoc"
        assert not re.search(banned, script.read_text())

    @pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
    def test_fetch_nothing_from_elsewhere(self, script):
        addresses = set(re.findall(r"https?://[^\"'`\s]*", script.read_text()))
        assert addresses <= {"http://www.w3.org/2000/svg"}
        assert all((script.parent / name).exists() for name in re.findall(r'from "\./(.+?)"', script.read_text()))

    def test_have_a_word_and_a_shape_for_every_state_of_a_run(self):
        words = Path(finders.find("live/words.js")).read_text()
        elements = Path(finders.find("live/elements.js")).read_text()
        known = dict(re.findall(r'^  (\w+): \{ word: gettext\("[^"]+"\), shape: "(.+?)"', words, re.MULTILINE))
        assert {state.value for state in State} <= known.keys()
        assert all(re.search(rf'^  "?{shape}"?: ', elements, re.MULTILINE) for shape in known.values())

    @pytest.mark.parametrize("code", [CloseCode.LOG_IN, CloseCode.GONE, CloseCode.CROWDED])
    def test_mean_the_same_by_a_close_code(self, code: CloseCode):
        assert f"const {code.name} = {code.value};" in Path(finders.find("live/connection.js")).read_text()
