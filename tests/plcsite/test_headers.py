"""Every answer tells browsers what to refuse, whoever gives it."""

from typing import Any

import httpx
import pytest
from django.conf import settings

from plcsite.asgi import application
from tests.serving.process import running_server

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
ADDRESSES = [
    "/",
    "/words.js",
    "/nowhere",
    "/admin/",
    "/admin/login/",
    "/admin/nowhere/",
    "/api/docs",
    "/api/openapi.json",
    "/api/plcs",
    "/api/nowhere",
    "/api/health/live",
    "/static/live/live.js",
    "/static/admin/css/base.css",
    "/static/nowhere.js",
]


@pytest.fixture
async def browser(transactional_db: None) -> Any:
    """Knocks at the whole application; a mistake of ours is answered."""
    transport = httpx.ASGITransport(application, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        yield client


def is_safe(answer: httpx.Response) -> None:
    """It has all headers, each once."""
    assert answer.headers.get_list("Content-Security-Policy") == [POLICY]
    assert answer.headers.get_list("X-Content-Type-Options") == ["nosniff"]
    assert answer.headers.get_list("X-Frame-Options") == ["DENY"]
    assert answer.headers.get_list("Referrer-Policy") == ["same-origin"]
    assert answer.headers.get_list("Cross-Origin-Opener-Policy") == ["same-origin"]
    assert answer.headers.get_list("Cross-Origin-Resource-Policy") == ["same-origin"]
    assert "camera=()" in answer.headers["Permissions-Policy"]
    assert not [name for name in answer.headers if name.startswith("access-control-")]


class TestEveryAnswer:
    @pytest.mark.parametrize("address", ADDRESSES)
    async def test_is_safe(self, browser: httpx.AsyncClient, address: str):
        is_safe(await browser.get(address, headers={"origin": "http://evil.test"}))

    async def test_is_safe_where_the_host_is_unknown(self, browser: httpx.AsyncClient):
        answer = await browser.get("/", headers={"host": "evil.test", "accept": "text/html"})
        assert answer.status_code == 400
        assert "ALLOWED_HOSTS" in answer.text
        is_safe(answer)

    async def test_is_safe_where_the_form_was_forged(self, browser: httpx.AsyncClient):
        answer = await browser.post("/admin/login/", data={"username": "anna"}, headers={"accept": "text/html"})
        assert answer.status_code == 403
        assert "reload the page" in answer.text
        is_safe(answer)

    async def test_is_safe_where_we_made_a_mistake(self, browser: httpx.AsyncClient, monkeypatch):
        monkeypatch.delattr("devices.live.views.viewer_of")
        answer = await browser.get("/", headers={"accept": "text/html"})
        assert answer.status_code == 500
        is_safe(answer)

    @pytest.mark.parametrize(
        "address", ["/admin/", "/admin/login/", "/admin/jsi18n/", "/api/docs", "/api/openapi.json", "/api/plcs"]
    )
    async def test_of_the_admin_or_the_api_is_kept_by_nobody(self, browser: httpx.AsyncClient, address: str):
        assert "no-store" in (await browser.get(address)).headers["Cache-Control"]


class TestABodyTooLong:
    def test_is_told_safely_in_the_caller_s_kind_of_words(self, tmp_path):
        body = b"x" * (settings.DATA_UPLOAD_MAX_MEMORY_SIZE + 1)
        with running_server(tmp_path) as server:
            page = httpx.post(f"{server.url}/admin/login/", content=body, headers={"accept": "text/html,*/*"})
            told = httpx.post(f"{server.url}/api/runs", content=body, headers={"accept": "application/json"})
        assert (page.status_code, told.status_code) == (413, 413)
        assert "<h1>Content too large</h1>" in page.text
        assert told.json()["status"] == 413
        is_safe(page)
        is_safe(told)
