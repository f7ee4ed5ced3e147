"""Our middleware decides as Django's does, and stays on the event loop where nothing has to be stored."""

from typing import Any

import pytest
from asgiref.sync import SyncToAsync
from asgiref.testing import ApplicationCommunicator
from django.conf import settings
from django.contrib.auth.models import User
from django.test import AsyncClient, Client, override_settings

from plcsite.handler import Handler

STOCK = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
JSON_HEADERS = {"accept": "application/json"}

pytestmark = pytest.mark.urls("tests.plcsite.pages")


@pytest.fixture
def hops(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Every function that was sent to a thread."""
    sent: list[Any] = []
    call = SyncToAsync.__call__

    async def note(self: SyncToAsync, *args: Any, **kwargs: Any) -> Any:
        sent.append(self.func)
        return await call(self, *args, **kwargs)

    monkeypatch.setattr(SyncToAsync, "__call__", note)
    return sent


async def ask(address: str, method: str = "GET") -> int:
    """One request to a fresh handler, as Daphne makes it; the status of its answer."""
    headers = [(b"host", b"localhost"), (b"cookie", b"sessionid=none; csrftoken=" + b"a" * 32)]
    scope = {"type": "http", "method": method, "path": address, "query_string": b"", "headers": headers}
    caller = ApplicationCommunicator(Handler(), scope)
    await caller.send_input({"type": "http.request", "body": b""})
    start = await caller.receive_output()
    await caller.receive_output()
    await caller.wait()
    return start["status"]


class TestATrivialRequest:
    async def test_makes_no_hop(self, hops):
        assert await ask("/trivial", "PUT") == 200
        assert not hops

    async def test_makes_many_through_django_s(self, hops):
        with override_settings(MIDDLEWARE=STOCK):
            assert await ask("/trivial", "PUT") == 200
        assert len(hops) > 10

    async def test_gets_the_headers_of_django_s(self, async_client: AsyncClient):
        ours = await async_client.get("/trivial")
        with override_settings(MIDDLEWARE=STOCK):
            theirs = await AsyncClient().get("/trivial")
        assert dict(ours.headers) == {**theirs.headers, **settings.SECURITY_HEADERS}
        assert ours["X-Frame-Options"] == "DENY"


class TestAProgramThatShowsAKey:
    HEADERS = {"x-api-key": "any"}

    async def test_meets_nothing_that_is_there_for_browsers(self, async_client: AsyncClient):
        assert (await async_client.get("/api/seen")).text == "session, auser"
        answer = await async_client.get("/api/seen", headers=self.HEADERS)
        assert answer.text == ""
        assert dict(answer.headers).items() >= settings.SECURITY_HEADERS.items()

    async def test_meets_it_all_outside_of_the_api(self, async_client: AsyncClient):
        assert (await async_client.get("/seen", headers=self.HEADERS)).text == "session, auser"
        client = AsyncClient(enforce_csrf_checks=True)
        assert (await client.post("/form", {}, headers=self.HEADERS)).status_code == 403


class TestAnAnswerThatIsNoSuccess:
    async def test_is_logged_in_no_thread_where_it_was_not_to_be_logged(self, hops: list[Any]):
        assert await ask("/only-get", "OPTIONS") == 405  # a problem: told, and no error of ours
        assert not [hop for hop in hops if hop.__name__ == "log_response"]

    async def test_is_logged_where_nobody_has_told_of_it(self, caplog: pytest.LogCaptureFixture):
        assert await ask("/gone") == 410
        assert [record.getMessage() for record in caplog.records if record.name == "django.request"] == ["Gone: /gone"]


@pytest.mark.django_db(transaction=True)
class TestSessionsAndMessages:
    async def test_keep_what_a_page_stored(self, async_client: AsyncClient):
        answers = [await async_client.get("/count") for _ in range(3)]
        assert [answer.content for answer in answers] == [b"1", b"2", b"3"]
        assert answers[0].cookies["sessionid"]["httponly"]

    async def test_bring_a_message_to_the_next_page_once(self, async_client: AsyncClient):
        await async_client.get("/tell?text=hello")
        assert (await async_client.get("/read")).content == b"hello"
        assert (await async_client.get("/read")).content == b""

    async def test_bring_a_message_that_is_too_long_for_a_cookie(self, async_client: AsyncClient):
        await async_client.get("/tell?text=" + "x" * 6000)
        assert (await async_client.get("/read")).content == b"x" * 6000

    async def test_know_the_user(self, async_client: AsyncClient):
        anna = await User.objects.acreate_user("anna", password="pw")
        await async_client.aforce_login(anna)
        assert (await async_client.get("/whoami")).content == b"anna"


@pytest.mark.django_db(transaction=True)
class TestLogin:
    @pytest.fixture
    def boss(self) -> User:
        return User.objects.create_superuser("boss", password="pw")

    def log_in(self, client: Client) -> Any:
        token = client.get("/admin/login/").cookies["csrftoken"].value
        form = {"username": "boss", "password": "pw", "csrfmiddlewaretoken": token, "next": "/admin/"}
        return client.post("/admin/login/", form)

    def test_works_with_a_token(self, boss: User):
        client = Client(enforce_csrf_checks=True)
        assert self.log_in(client).status_code == 302
        assert client.get("/admin/password_change/").status_code == 200

    async def test_works_on_the_loop(self, boss: User):
        client = AsyncClient(enforce_csrf_checks=True)
        token = (await client.get("/admin/login/")).cookies["csrftoken"].value
        form = {"username": "boss", "password": "pw", "csrfmiddlewaretoken": token, "next": "/admin/"}
        assert (await client.post("/admin/login/", form)).status_code == 302
        assert (await client.get("/admin/password_change/")).status_code == 200


class TestAForm:
    @pytest.fixture
    def client(self) -> AsyncClient:
        return AsyncClient(enforce_csrf_checks=True)

    async def test_without_a_token_is_refused(self, client: AsyncClient):
        assert (await client.post("/form", {})).status_code == 403

    async def test_with_the_token_of_another_site_is_refused(self, client: AsyncClient):
        client.cookies["csrftoken"] = "a" * 32
        assert (await client.post("/form", {"csrfmiddlewaretoken": "b" * 32})).status_code == 403

    async def test_from_another_origin_is_refused(self, client: AsyncClient):
        client.cookies["csrftoken"] = "a" * 32
        answer = await client.post("/form", {"csrfmiddlewaretoken": "a" * 32}, headers={"origin": "http://evil.test"})
        assert answer.status_code == 403

    async def test_with_its_token_is_taken(self, client: AsyncClient):
        client.cookies["csrftoken"] = "a" * 32
        assert (await client.post("/form", {"csrfmiddlewaretoken": "a" * 32})).content == b"taken"

    async def test_from_a_script_shows_its_token_in_a_header(self, client: AsyncClient):
        client.cookies["csrftoken"] = "a" * 32
        assert (await client.put("/form", headers={"x-csrftoken": "a" * 32})).content == b"taken"


class TestProblems:
    async def test_a_wrong_method_is_told_as_one(self, async_client: AsyncClient):
        answer = await async_client.post("/only-get", headers=JSON_HEADERS)
        assert answer.status_code == 405
        assert answer["Content-Type"] == "application/problem+json"
        assert answer["Allow"] == "GET"
        assert "POST" in answer.json()["detail"]

    async def test_an_unknown_address_is_told_as_one(self, async_client: AsyncClient):
        answer = await async_client.get("/nowhere", headers=JSON_HEADERS)
        assert answer.status_code == 404
        assert answer["Content-Type"] == "application/problem+json"

    async def test_a_mistake_of_ours_is_told_as_one_without_its_inside(self, async_client: AsyncClient):
        async_client.raise_request_exception = False
        answer = await async_client.get("/bug", headers=JSON_HEADERS)
        assert answer.status_code == 500
        assert answer["Content-Type"] == "application/problem+json"
        assert "secret" not in answer.text

    async def test_an_unknown_host_is_refused(self, async_client: AsyncClient):
        assert (await async_client.get("/trivial", headers={"host": "evil.test"})).status_code == 400
