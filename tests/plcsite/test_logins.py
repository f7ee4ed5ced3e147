"""Wrong passwords: a few, then a wait; per name and address, and per address."""

import html
import logging
import re
from datetime import timedelta

import pytest
from axes.models import AccessAttempt
from django.contrib.auth.models import User
from django.http import HttpResponse
from django.test import AsyncClient, Client

pytestmark = pytest.mark.django_db(transaction=True)

LOGIN = "/admin/login/"
PASSWORD = "a long word 17"


@pytest.fixture(autouse=True)
def boss() -> User:
    return User.objects.create_superuser("boss", password=PASSWORD)


def log_in(name: str = "boss", password: str = "wrong", address: str = "10.0.0.1", **more: str) -> HttpResponse:
    form = {"username": name, "password": password, "next": "/admin/"}
    return Client(REMOTE_ADDR=address).post(LOGIN, form, **more)


def fail(times: int, **more: str) -> None:
    for _ in range(times):
        assert log_in(**more).status_code == 200


def is_locked_out(answer: HttpResponse) -> bool:
    """It is the page that says to wait; else a login or its form."""
    assert answer.status_code in (200, 302, 429)
    if answer.status_code == 429:
        assert 0 < int(answer["Retry-After"]) <= 15 * 60
        assert "no-store" in answer["Cache-Control"]
        assert "Too many wrong passwords" in answer.content.decode()
        assert "Wait 15 minutes" in answer.content.decode()
    return answer.status_code == 429


class TestAName:
    def test_may_fail_four_times_and_then_log_in(self):
        fail(4)
        assert log_in(password=PASSWORD).status_code == 302
        fail(4)  # begun anew

    def test_that_failed_five_times_waits_even_with_the_right_password(self):
        fail(4)
        assert is_locked_out(log_in())
        assert is_locked_out(log_in(password=PASSWORD))

    def test_can_log_in_after_15_minutes_however_often_it_was_tried_meanwhile(self):
        fail(4)
        log_in()
        AccessAttempt.objects.update(attempt_time=AccessAttempt.objects.get().attempt_time - timedelta(minutes=16))
        assert log_in(password=PASSWORD).status_code == 302

    def test_is_not_locked_out_longer_by_trying_again(self):
        fail(4)
        first = int(log_in()["Retry-After"])
        AccessAttempt.objects.update(attempt_time=AccessAttempt.objects.get().attempt_time - timedelta(minutes=10))
        again = log_in()
        assert again.status_code == 429
        assert int(again["Retry-After"]) <= first - 590

    def test_at_another_address_can_log_in(self):
        fail(4)
        assert is_locked_out(log_in())
        assert log_in(password=PASSWORD, address="10.0.0.2").status_code == 302

    def test_gets_no_other_address_by_writing_one(self):
        for number in range(4):
            assert log_in(HTTP_X_FORWARDED_FOR=f"10.9.0.{number}").status_code == 200
        assert is_locked_out(log_in(HTTP_X_FORWARDED_FOR="10.9.0.9", HTTP_USER_AGENT="another"))

    def test_that_is_nobody_s_is_counted_alike(self):
        fail(4, name="nobody")
        assert is_locked_out(log_in(name="nobody"))

    def test_longer_than_any_is_refused_unseen(self):
        for _ in range(6):
            assert log_in(name="x" * 151).status_code == 200
        assert "at most 150 characters" in log_in(name="x" * 151).content.decode()
        assert not AccessAttempt.objects.exists()


class TestOnesOwnLogin:
    def test_gives_no_new_guesses_at_another_name(self):
        User.objects.create_user("eva", password=PASSWORD)
        fail(4)
        assert log_in(name="eva", password=PASSWORD).status_code == 302
        assert is_locked_out(log_in())
        assert is_locked_out(log_in(password=PASSWORD))

    def test_gives_its_address_no_new_guesses(self):
        User.objects.create_user("eva", password=PASSWORD)
        for number in range(24):
            assert log_in(name=f"user-{number}").status_code == 200
            assert log_in(name="eva", password=PASSWORD).status_code == 302
        assert is_locked_out(log_in(name="user-24"))

    def test_forgets_its_own_failures_here_and_nowhere_else(self):
        fail(3)
        fail(3, address="10.0.0.2")
        assert log_in(password=PASSWORD).status_code == 302
        assert list(AccessAttempt.objects.values_list("ip_address", flat=True)) == ["10.0.0.2"]


class TestAnAddress:
    def test_may_fail_25_times_in_all(self):
        for number in range(24):
            assert log_in(name=f"user-{number}").status_code == 200
        assert is_locked_out(log_in(name="user-24"))
        assert is_locked_out(log_in(password=PASSWORD))
        assert log_in(password=PASSWORD, address="10.0.0.2").status_code == 302


class TestThePageThatSaysSo:
    def page(self, name: str = "boss", **more: str) -> str:
        return log_in(name=name, **more).content.decode()

    def test_speaks_of_the_name_where_another_can_log_in(self):
        User.objects.create_user("eva", password=PASSWORD)
        fail(4)
        assert "Nobody can log in with this name from this computer now." in self.page()
        assert log_in(name="eva", password=PASSWORD).status_code == 302

    def test_speaks_of_the_computer_where_nobody_can(self):
        for number in range(5):
            for _ in range(5):
                log_in(name=f"user-{number}")
        for name in ("boss", "user-4"):  # none of whose own passwords were wrong, and all
            assert "Nobody can log in from this computer now." in self.page(name)

    def test_leads_on_to_where_one_wanted(self):
        fail(4)
        form = {"username": "boss", "password": "wrong", "next": "/plcs/press-1?a=1&b=2"}
        page = Client(REMOTE_ADDR="10.0.0.1").post(LOGIN, form).content.decode()
        (link,) = re.findall(r'href="(/admin/login/[^"]*)"', page)
        answer = Client().post(html.unescape(link), {"username": "boss", "password": PASSWORD})
        assert answer["Location"] == form["next"]

    def test_speaks_the_browser_s_language(self):
        fail(4)
        answer = log_in(HTTP_ACCEPT_LANGUAGE="zh-CN")
        assert answer["Content-Language"] == "zh-hans"
        assert "密码错误次数过多" in answer.content.decode()
        assert "Wait" not in answer.content.decode()


class TestWhatIsKept:
    def test_is_no_password(self, caplog):
        caplog.set_level(logging.DEBUG)
        fail(4, password="typed-by-mistake")
        log_in(password="typed-by-mistake")
        assert AccessAttempt.objects.exists()
        assert "typed-by-mistake" not in str(list(AccessAttempt.objects.values()))
        assert "typed-by-mistake" not in caplog.text
        assert "10.0.0.1" in caplog.text

    def test_is_shown_and_changed_nowhere_in_the_admin(self):
        client = Client()
        client.force_login(User.objects.get())
        assert client.get("/admin/axes/").status_code == 404


async def test_a_login_on_the_event_loop_is_locked_out_too():
    client = AsyncClient()
    form = {"username": "boss", "password": "wrong"}
    answers = [await client.post(LOGIN, form) for _ in range(6)]
    assert [answer.status_code for answer in answers] == [200] * 4 + [429] * 2
    assert (await client.get(LOGIN)).status_code == 200
