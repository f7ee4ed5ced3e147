"""The whole application: static files without a build step, WebSockets from our own pages only."""

import hashlib
from pathlib import Path
from typing import Any

import httpx
import pytest
from channels.testing import WebsocketCommunicator
from django.contrib.staticfiles import finders

from plcsite.asgi import application
from plcsite.static import with_static_files

ADMIN_STYLE = "admin/css/base.css"


def file_content(name: str) -> bytes:
    """What lies in the app's folder."""
    return Path(finders.find(name)).read_bytes()


@pytest.fixture
async def caller() -> Any:
    """An HTTP caller of the application."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(application), base_url="http://localhost") as client:
        yield client


class TestStaticFiles:
    async def test_come_straight_from_the_apps(self, caller):
        answer = await caller.get(f"/static/{ADMIN_STYLE}")
        assert answer.content == file_content(ADMIN_STYLE)
        assert answer.headers["content-type"] == 'text/css; charset="utf-8"'
        assert answer.headers["x-content-type-options"] == "nosniff"

    async def test_are_asked_for_again_and_sent_once(self, caller):
        first = await caller.get(f"/static/{ADMIN_STYLE}")
        assert first.headers["cache-control"] == "max-age=0, public"
        again = await caller.get(f"/static/{ADMIN_STYLE}", headers={"if-none-match": first.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")

    async def test_do_not_let_out_what_lies_beside_them(self, caller):
        for path in ("/static/../settings.py", "/static/%2e%2e/settings.py", "/static/admin/../../settings.py"):
            assert (await caller.get(path)).status_code == 404

    async def test_are_kept_by_browsers_only_under_the_hash_of_their_content(self, tmp_path, settings):
        name = f"page.{hashlib.sha256(b'page').hexdigest()[:12]}.js"
        (tmp_path / name).write_text("page")
        settings.STATICFILES_DIRS = [tmp_path]
        finders.get_finder.cache_clear()
        try:
            files = with_static_files(None)
        finally:
            finders.get_finder.cache_clear()
        async with httpx.AsyncClient(transport=httpx.ASGITransport(files), base_url="http://localhost") as client:
            assert "immutable" in (await client.get(f"/static/{name}")).headers["cache-control"]


class TestWebSockets:
    async def test_of_another_site_are_refused(self):
        stranger = WebsocketCommunicator(application, "/nowhere", headers=[(b"origin", b"http://evil.test")])
        assert (await stranger.connect())[0] is False

    @pytest.mark.django_db(transaction=True)
    async def test_at_an_unknown_address_are_refused_without_an_error(self):
        lost = WebsocketCommunicator(application, "/nowhere", headers=[(b"origin", b"http://localhost")])
        assert (await lost.connect())[0] is False
