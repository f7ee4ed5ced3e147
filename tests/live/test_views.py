"""The page itself: who sees it, and that nothing written by a PLC or a user can run in it."""

import re
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.contrib.staticfiles import finders
from django.test import AsyncClient
from django.urls import reverse

from devices.live.messages import CloseCode
from devices.models import State

SCRIPTS = sorted(Path(finders.find("live/live.js")).parent.glob("*.js"))


class TestPage:
    @pytest.mark.django_db(transaction=True)
    async def test_sends_strangers_to_the_login_and_back(self, settings):
        settings.LIVE_PUBLIC = False
        answer = await AsyncClient().get("/")
        assert (answer.status_code, answer.headers["Location"]) == (302, f"{reverse('admin:login')}?next=/")

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
        known = dict(re.findall(r'^  (\w+): \{ word: ".+?", shape: "(.+?)"', words, re.MULTILINE))
        assert {state.value for state in State} <= known.keys()
        assert all(re.search(rf'^  "?{shape}"?: ', elements, re.MULTILINE) for shape in known.values())

    def test_mean_the_same_close_code_by_log_in(self):
        assert f"LOG_IN = {CloseCode.LOG_IN};" in Path(finders.find("live/connection.js")).read_text()
