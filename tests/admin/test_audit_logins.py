"""Who comes in, goes out, or is turned away is told; what he typed as a password is not."""

import pytest
from django.apps import apps
from django.contrib.auth.models import User
from django.test import Client

from tests.admin import pages
from tests.control.chain import change_of, newest, told
from tests.models import rows

LOGIN = "/admin/login/"


@pytest.fixture
def anna(transactional_db) -> User:
    return User.objects.create_superuser("anna", password="sesame street 7")


def log_in(password: str, name: str = "anna") -> Client:
    client = Client(REMOTE_ADDR="10.0.0.7")
    client.post(LOGIN, {"username": name, "password": password})
    return client


class TestALogin:
    def test_is_told_with_its_address(self, anna):
        log_in("sesame street 7")
        entry = newest()
        assert (entry.action, entry.actor, entry.source) == ("logged_in", "user anna", "10.0.0.7")
        assert (entry.kind, entry.subject, entry.subject_id) == ("User", "anna", str(anna.pk))

    def test_tells_nothing_of_its_moment_in_the_user(self, anna):
        count = len(told(kind="User", action="changed"))
        log_in("sesame street 7")
        assert len(told(kind="User", action="changed")) == count

    def test_that_ends_is_told(self, anna):
        client = log_in("sesame street 7")
        client.post("/admin/logout/")
        assert (newest().action, newest().actor, newest().source) == ("logged_out", "user anna", "10.0.0.7")
        count = len(told())
        client.post("/admin/logout/")
        assert len(told()) == count

    @pytest.mark.parametrize(("name", "kept"), [("anna", "anna"), ("my password 9", "(no such user)")])
    def test_that_fails_is_told_with_the_name_if_it_is_one(self, anna, name, kept):
        """Some type their password where the name belongs: it would stand in the audit for ever."""
        log_in("open sesame 8", name)
        entry = newest()
        assert (entry.action, entry.actor, entry.source, entry.subject) == (
            "login_failed",
            "anonymous",
            "10.0.0.7",
            kept,
        )
        assert "my password 9" not in str([vars(each) for each in told()])
        assert "open sesame 8" not in str([vars(each) for each in told()])


if apps.is_installed("axes"):

    class TestALockOut:
        def test_is_told_once_however_often_he_tries_on(self, anna):
            for _ in range(9):
                log_in("open sesame 8")
            actions = [entry.action for entry in told(source="10.0.0.7")]
            assert actions[-1] == "locked_out"
            assert set(actions[:-1]) == {"login_failed"}
            assert newest().subject == "anna"


class TestAnEngineer:
    def test_is_told_with_what_he_changes_in_the_admin(self, anna):
        client = log_in("sesame street 7")
        profile = rows.stored(rows.profile())
        plc = rows.stored(rows.plc(profile))
        address = f"plc/{plc.pk}/change/"
        assert pages.send(client, address, pages.fields_of(client, address) | {"port": 1502}) == []
        entry = newest(kind="PLC")
        assert (entry.actor, entry.source, entry.action) == ("user anna", "10.0.0.7", "changed")
        assert change_of(entry) == ({"port": plc.port}, {"port": 1502})
        client.post(f"/admin/devices/plc/{plc.pk}/delete/", {"post": "yes"})
        assert (newest().actor, newest().action, newest().subject) == ("user anna", "deleted", plc.name)

    def test_is_told_with_his_new_password(self, anna):
        client = log_in("sesame street 7")
        new = {
            "old_password": "sesame street 7",
            "new_password1": "another 99 words",
            "new_password2": "another 99 words",
        }
        client.post("/admin/password_change/", new)
        entry = newest(action="changed")
        assert (entry.actor, entry.subject) == ("user anna", "anna")
        assert change_of(entry)[1] == {"password": "(changed)"}

    def test_is_no_longer_told_when_his_request_is_over(self, anna):
        log_in("sesame street 7")
        rows.stored(rows.profile())
        assert newest().actor.startswith("shell ")
