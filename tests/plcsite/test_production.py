"""The settings of a real gateway, in processes of their own: safe by Django's checks, and believed by browsers."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.serving.process import RunningServer, manage, running_server

PRODUCTION = {"HTTPS": "on", "ALLOWED_HOSTS": "gateway.test,127.0.0.1", "TRUSTED_PROXIES": "127.0.0.1"}
THROUGH_PROXY = {"Host": "gateway.test", "X-Forwarded-Proto": "https", "X-Forwarded-For": "198.51.100.7"}


class TestDjangoSChecks:
    @pytest.mark.parametrize("settings", ["plcsite.settings", "tests.plcsite.stock_middleware"])
    def test_find_nothing(self, tmp_path: Path, settings: str):
        env = PRODUCTION | {"DJANGO_SETTINGS_MODULE": settings}
        checked = manage(tmp_path, "check", "--deploy", "--fail-level", "WARNING", env=env)
        assert (checked.returncode, checked.stderr) == (0, ""), checked.stderr

    def test_find_what_is_switched_off(self, tmp_path: Path):
        """They do look."""
        env = PRODUCTION | {"DJANGO_SETTINGS_MODULE": "tests.plcsite.stock_middleware", "HTTPS": "off", "DEBUG": "on"}
        checked = manage(tmp_path, "check", "--deploy", "--fail-level", "WARNING", env=env)
        assert checked.returncode == 1
        found = {word for word in ("W004", "W008", "W010", "W016", "W018") if f"security.{word}" in checked.stderr}
        assert found == {"W004", "W008", "W010", "W016", "W018"}


class TestServe:
    @pytest.mark.parametrize(
        ("env", "arguments", "says"),
        [
            ({"ALLOWED_HOSTS": ""}, (), "ALLOWED_HOSTS is empty: set it to the names"),
            ({"ALLOWED_HOSTS": "*"}, (), "list the names under which this gateway is called"),
            ({"DEBUG": "on"}, ("--host", "0.0.0.0"), "leave DEBUG off, or listen on 127.0.0.1"),
        ],
    )
    def test_does_not_start_unsafely(self, tmp_path: Path, env: dict[str, str], arguments: tuple[str, ...], says: str):
        refused = manage(tmp_path, "serve", "--port", "0", *arguments, env=env)
        assert refused.returncode == 1
        assert says in refused.stderr
        assert "Traceback" not in refused.stderr


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A gateway as it is run in a plant; the test is the proxy before it."""
    with running_server(tmp_path_factory.mktemp("production"), env=PRODUCTION) as running:
        yield running


@pytest.fixture
def proxy(server: RunningServer) -> Iterator[httpx.Client]:
    """A listed proxy that calls for somebody over HTTPS."""
    with httpx.Client(base_url=server.url, headers=THROUGH_PROXY) as client:
        yield client


@pytest.fixture
def plain(server: RunningServer) -> Iterator[httpx.Client]:
    """Somebody on this computer, over plain HTTP."""
    with httpx.Client(base_url=server.url) as client:
        yield client


class TestOverPlainHTTP:
    def test_a_browser_is_sent_to_https(self, plain: httpx.Client):
        for address in ("/", "/admin/login/", "/api/docs"):
            answer = plain.get(address, headers={"Accept": "text/html", "Host": "gateway.test"})
            assert (answer.status_code, answer.headers["Location"]) == (301, f"https://gateway.test{address}")

    def test_a_program_is_told_instead_of_being_sent_elsewhere(self, plain: httpx.Client):
        answer = plain.put("/api/start/press-1", json={})
        assert answer.status_code == 403
        assert answer.json()["type"].endswith(":https-required")

    def test_a_health_probe_is_answered(self, plain: httpx.Client):
        assert plain.get("/api/health/live").status_code == 200
        assert plain.get("/api/health/ready").status_code == 200


class TestThroughTheProxy:
    def test_a_browser_is_told_to_stay_with_https(self, proxy: httpx.Client):
        answer = proxy.get("/admin/login/")
        assert answer.status_code == 200
        assert answer.headers["Strict-Transport-Security"] == "max-age=31536000; includeSubDomains; preload"

    def test_a_login_sets_cookies_that_only_the_browser_reads(self, server: RunningServer, tmp_path: Path):
        data = server.log.parent
        made = {"DJANGO_SUPERUSER_PASSWORD": "a long word 17", "DJANGO_SUPERUSER_EMAIL": "boss@plant.test"}
        manage(data, "createsuperuser", "--no-input", "--username", "boss", env=PRODUCTION | made)
        with httpx.Client(base_url=server.url, headers=THROUGH_PROXY) as browser:
            form = browser.get("/admin/login/")
            token = form.cookies["__Host-csrftoken"]
            answer = browser.post(
                "/admin/login/",
                data={"username": "boss", "password": "a long word 17", "csrfmiddlewaretoken": token},
                # httpx keeps Secure cookies to itself over HTTP
                headers={"Cookie": f"__Host-csrftoken={token}", "Referer": "https://gateway.test/admin/login/"},
            )
        assert answer.status_code == 302, answer.text
        for cookie in [*form.headers.get_list("Set-Cookie"), *answer.headers.get_list("Set-Cookie")]:
            name, *said = (part.strip() for part in cookie.split(";"))
            assert name.startswith("__Host-")
            assert {"Secure", "HttpOnly", "SameSite=Lax", "Path=/"} <= set(said)
            assert not any(part.startswith("Domain") for part in said)

    def test_each_caller_is_known_by_his_own_address(self, server: RunningServer, proxy: httpx.Client):
        """Who fails to log in locks out himself, not all who come through the proxy."""
        token = proxy.get("/admin/login/").cookies["__Host-csrftoken"]
        form = {"username": "anna", "password": "wrong", "csrfmiddlewaretoken": token}
        said = {"Cookie": f"__Host-csrftoken={token}", "Referer": "https://gateway.test/admin/login/"}

        def fail(address: str) -> int:
            return proxy.post("/admin/login/", data=form, headers={**said, "X-Forwarded-For": address}).status_code

        assert [fail(f"6.6.6.{number}, 198.51.100.7") for number in range(5)] == [200] * 4 + [429]
        assert fail("198.51.100.8") == 200

    def test_a_form_of_another_site_gets_a_page_that_says_so(self, proxy: httpx.Client):
        answer = proxy.post("/admin/login/", data={"username": "boss"}, headers={"Accept": "text/html"})
        assert answer.status_code == 403
        assert "go back, reload the page" in answer.text
