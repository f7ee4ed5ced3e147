"""A key is shown once, to the person who makes it."""

import re

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.sessions.models import Session

from devices.models import APIKey
from devices.models.access import digest_of, key_id_of
from tests.admin import pages

KEY = re.compile(r"pgw_[a-z]+_[0-9a-f]{16}_[0-9a-f]{64}_[0-9a-f]{8}")
ADD = "/admin/devices/apikey/add/"


@pytest.fixture
def key(engineer):
    answer = engineer.post(ADD, {"name": "mes-line-1"})
    (key,) = KEY.findall(answer.content.decode())
    return key


class TestNewKey:
    def test_is_shown_and_works(self, key):
        row = APIKey.objects.get()
        assert row.digest == digest_of(key)
        assert row.key_id == key_id_of(key)

    def test_is_shown_once(self, engineer, key):
        for address in ("", f"{APIKey.objects.get().pk}/change/", f"{APIKey.objects.get().pk}/history/", "add/"):
            page = engineer.get(f"/admin/devices/apikey/{address}").content.decode()
            assert not KEY.search(page)
            assert key.split("_")[3] not in page
        assert not KEY.search(engineer.post(ADD, {"name": "mes-line-1"}).content.decode())

    def test_is_kept_nowhere(self, engineer, key, caplog):
        secret = key.split("_")[3]
        stored = [*APIKey.objects.values(), *LogEntry.objects.values(), *Session.objects.values()]
        stored += [session.get_decoded() for session in Session.objects.all()]
        assert secret not in str(stored)
        assert secret not in str(engineer.cookies)
        assert secret not in caplog.text

    def test_page_is_not_cached(self, engineer):
        assert "no-store" in engineer.post(ADD, {"name": "mes-line-1"})["Cache-Control"]

    @pytest.mark.parametrize("name", ["", "a\u202eb"])
    def test_without_a_name_that_can_be_read_is_not_made(self, engineer, name):
        assert pages.send(engineer, "apikey/add/", {"name": name})[0].startswith("name: ")
        assert not APIKey.objects.exists()

    def test_of_a_name_that_is_taken_is_not_made(self, engineer, key):
        assert pages.send(engineer, "apikey/add/", {"name": "mes-line-1"})[0].startswith("name: ")
        assert APIKey.objects.count() == 1


class TestKey:
    def test_keeps_its_name_under_which_its_idempotency_keys_stand(self, engineer, key):
        """Renamed, the caller would be another one: what it sends again would be told to the machine again."""
        before = APIKey.objects.values().get()
        change = f"apikey/{before['id']}/change/"
        made = {"name": "mes-line-2", "key_id": "x", "digest": "x", "created_at": "x", "revoked_at": "x"}
        assert pages.send(engineer, change, {**made, "needs_idempotency_key": "on"}) == []
        assert APIKey.objects.values().get() == before | {"needs_idempotency_key": True}

    def test_is_not_deleted(self, engineer, key):
        address = f"/admin/devices/apikey/{APIKey.objects.get().pk}/delete/"
        assert engineer.post(address, {"post": "yes"}).status_code == 403

    def test_is_revoked_once(self, engineer, key):
        revoke = {"action": "revoke", "_selected_action": [APIKey.objects.get().pk]}
        page = engineer.post("/admin/devices/apikey/", revoke, follow=True).content.decode()
        assert "Revoked: mes-line-1" in page
        revoked_at = APIKey.objects.get().revoked_at
        assert revoked_at is not None
        page = engineer.post("/admin/devices/apikey/", revoke, follow=True).content.decode()
        assert "None of them worked any more" in page
        assert APIKey.objects.get().revoked_at == revoked_at
        assert LogEntry.objects.filter(change_message="Revoked.").count() == 1
