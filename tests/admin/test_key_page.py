"""A key is shown once, to the person who makes it."""

import re
from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.timezone import localtime

from devices.admin.grants import YOURS
from devices.models import APIKey, Grant, Right, Role
from devices.models.access import digest_of, key_id_of
from tests.access import grant
from tests.admin import pages
from tests.admin.people import browser_of, member
from tests.models import rows

KEY = re.compile(r"pgw_[a-z]+_[0-9a-f]{16}_[0-9a-f]{64}_[0-9a-f]{8}")
ADD = "/admin/devices/apikey/add/"


def form_of(site, **typed):
    """Of a new key, whose owner is somebody else."""
    owner, _ = User.objects.get_or_create(username="mes-team")
    return pages.fields_of(site, "apikey/add/") | {"name": "mes-line-1", "owner": owner.pk} | typed


def stored_form_of(site, **typed):
    """Of the key that there is, with a moment as its two inputs hold it."""
    fields = pages.fields_of(site, f"apikey/{APIKey.objects.get().pk}/change/")
    return _split(fields) | typed


def _split(fields):
    at = fields.pop("expires_at", None)
    return fields if at is None else fields | {"expires_at_0": f"{at:%Y-%m-%d}", "expires_at_1": f"{at:%H:%M:%S}"}


@pytest.fixture
def key(engineer):
    answer = engineer.post(ADD, _split(form_of(engineer)))
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
        assert not KEY.search(engineer.post(ADD, _split(form_of(engineer))).content.decode())

    def test_is_kept_nowhere(self, engineer, key, caplog):
        secret = key.split("_")[3]
        stored = [*APIKey.objects.values(), *LogEntry.objects.values(), *Session.objects.values()]
        stored += [session.get_decoded() for session in Session.objects.all()]
        assert secret not in str(stored)
        assert secret not in str(engineer.cookies)
        assert secret not in caplog.text

    def test_page_is_not_cached(self, engineer):
        assert "no-store" in engineer.post(ADD, _split(form_of(engineer)))["Cache-Control"]

    @pytest.mark.parametrize("name", ["", "a\u202eb"])
    def test_without_a_name_that_can_be_read_is_not_made(self, engineer, name):
        assert pages.send(engineer, "apikey/add/", _split(form_of(engineer, name=name)))[0].startswith("name: ")
        assert not APIKey.objects.exists()

    def test_of_a_name_that_is_taken_is_not_made(self, engineer, key):
        assert pages.send(engineer, "apikey/add/", _split(form_of(engineer)))[0].startswith("name: ")
        assert APIKey.objects.count() == 1


class TestItsOwner:
    def test_is_who_was_named(self, engineer, key):
        assert APIKey.objects.get().owner.username == "mes-team"

    def test_is_nobody_by_itself_and_must_be_named(self, engineer):
        assert "owner" not in pages.fields_of(engineer, "apikey/add/")
        assert pages.send(engineer, "apikey/add/", _split(form_of(engineer, owner=""))) == [
            "owner: This field is required."
        ]
        assert not APIKey.objects.exists()

    def test_is_not_taken_from_it(self, engineer, key):
        change = f"apikey/{APIKey.objects.get().pk}/change/"
        assert pages.send(engineer, change, stored_form_of(engineer, owner="")) == ["owner: This field is required."]
        assert APIKey.objects.get().owner is not None

    def test_may_be_missing_where_it_always_was(self, engineer, key):
        APIKey.objects.update(owner=None)
        change = f"apikey/{APIKey.objects.get().pk}/change/"
        fields = stored_form_of(engineer, networks="10.1.0.0/16")
        assert pages.send(engineer, change, {name: value for name, value in fields.items() if value is not None}) == []
        assert APIKey.objects.get().networks == "10.1.0.0/16"


class TestItsEnd:
    def test_comes_in_a_year_unless_another_is_named(self, engineer, key):
        ends_in = APIKey.objects.get().expires_at - timezone.now()
        assert timedelta(days=364) < ends_in <= timedelta(days=365)

    def test_lies_in_the_future(self, engineer):
        past = {"expires_at_0": "2020-01-01", "expires_at_1": "00:00:00"}
        (complaint,) = pages.send(engineer, "apikey/add/", _split(form_of(engineer)) | past)
        assert complaint == "expires_at: Must lie in the future. To end a key now, revoke it in the list."
        assert not APIKey.objects.exists()

    def test_that_has_come_lets_the_rest_be_edited(self, engineer, key):
        APIKey.objects.update(expires_at="2020-01-01T00:00:00Z")
        change = f"apikey/{APIKey.objects.get().pk}/change/"
        assert pages.send(engineer, change, stored_form_of(engineer, networks="10.2.3.4")) == []
        assert APIKey.objects.get().networks == "10.2.3.4"


class TestList:
    @pytest.fixture
    def keys(self, engineer, key):
        at = timezone.now()
        for name, changes in {"old": {"expires_at": at - timedelta(days=1)}, "lost": {"revoked_at": at}}.items():
            row = APIKey(name=name, **changes)
            row.issue()
            row.save()
        grant(APIKey.objects.get(name="mes-line-1"), Right.EXECUTE, area="Hall A")

    def names(self, site, state):
        page = site.get(f"/admin/devices/apikey/?state={state}")
        return sorted(row.name for row in page.context["cl"].result_list)

    def test_tells_keys_that_work_from_others(self, engineer, keys):
        assert [self.names(engineer, state) for state in ("works", "expired", "revoked", "")] == [
            ["mes-line-1"],
            ["old"],
            ["lost"],
            ["lost", "mes-line-1", "old"],
        ]
        page = engineer.get("/admin/devices/apikey/").content.decode()
        states = re.findall(r'class="field-state">([a-z]+)', page)
        assert sorted(states) == ["expired", "revoked", "works"]

    def test_says_what_each_may(self, engineer, keys):
        page = engineer.get("/admin/devices/apikey/").content.decode()
        assert re.findall(r'class="field-rights">([^<]+)', page) == [
            "none yet",
            "execute commands: the area Hall A",
            "none yet",
        ]


class TestSecurityAdmin:
    def test_makes_keys_gives_them_rights_and_revokes_them(self, roles, profile, command):
        rows.stored(rows.plc(profile, area="Hall A"))
        site = browser_of(member(Role.SECURITY))
        answer = site.post(ADD, _split(form_of(site)))
        assert KEY.search(answer.content.decode())
        change = f"/admin/devices/apikey/{APIKey.objects.get().pk}/change/"
        fields = stored_form_of(site)
        pages.add_row(
            fields, "grants", right="execute", area="Hall A", commands="start_batch", ceilings="batch_size 500"
        )
        assert site.post(change, {**fields, "_save": "Save"}).status_code == 302
        given = APIKey.objects.get().grants.get()
        assert (str(given), given.ceilings) == (
            "key mes-line-1 may execute commands on the area Hall A",
            {"batch_size": 500},
        )
        revoke = {"action": "revoke", "_selected_action": [APIKey.objects.get().pk], "post": "yes"}
        site.post("/admin/devices/apikey/", revoke)
        assert APIKey.objects.get().revoked_at is not None

    def test_gives_nothing_to_a_key_of_his_own(self, roles):
        """He was shown it: what it may do, he may do."""
        keeper = member(Role.SECURITY)
        site = browser_of(keeper)
        assert "gives no rights to a key of his own" in site.get(ADD).content.decode()
        assert KEY.search(site.post(ADD, _split(form_of(site, owner=keeper.pk))).content.decode())
        key = APIKey.objects.get()
        typed = pages.fields_of(site, "grant/add/") | {"key": key.pk, "right": "view"}
        assert pages.send(site, "grant/add/", typed) == [
            "key: You own this key, and cannot give rights to yourself: ask another security admin."
        ]
        change = f"/admin/devices/apikey/{key.pk}/change/"
        assert YOURS in site.get(change).content.decode()
        rows_sent = stored_form_of(site) | {"grants-TOTAL_FORMS": 1, "grants-INITIAL_FORMS": 0}
        rows_sent |= {"grants-0-right": "execute", "grants-0-key": key.pk}
        site.post(change, {**rows_sent, "_save": "Save"})
        assert not Grant.objects.filter(key=key).exists()
        (row,) = grant(key, Right.VIEW, area="Hall A")
        for page in ("change", "delete"):
            answer = site.post(f"/admin/devices/grant/{row.pk}/{page}/", {"post": "yes", "right": "execute"})
            assert answer.status_code == 403
        assert str(Grant.objects.get(key=key)) == "key mes-line-1 may view on the area Hall A"
        other = browser_of(member(Role.SECURITY, "sven"))
        assert pages.send(other, "grant/add/", typed) == []

    def test_is_told_of_mistakes_in_a_grant_beside_the_key(self, roles):
        site = browser_of(member(Role.SECURITY))
        site.post(ADD, _split(form_of(site)))
        fields = stored_form_of(site)
        pages.add_row(fields, "grants", right="view", commands="start_batch")
        change = f"apikey/{APIKey.objects.get().pk}/change/"
        assert pages.send(site, change, fields) == ["grants-0-commands: Goes with “execute commands” only."]
        assert not APIKey.objects.get().grants.exists()


class TestKey:
    def test_keeps_its_name_under_which_its_idempotency_keys_stand(self, engineer, key):
        """Renamed, the caller would be another one: what it sends again would be told to the machine again."""
        before = APIKey.objects.values().get()
        change = f"apikey/{before['id']}/change/"
        fields = stored_form_of(engineer)
        made = {
            "name": "mes-line-2",
            "key_id": "x",
            "digest": "x",
            "created_at": "x",
            "revoked_at": "x",
            "last_used_at": "x",
        }
        assert pages.send(engineer, change, {**fields, **made, "needs_idempotency_key": "on"}) == []
        assert APIKey.objects.values().get() == before | {"needs_idempotency_key": True}

    def test_is_not_deleted(self, engineer, key):
        address = f"/admin/devices/apikey/{APIKey.objects.get().pk}/delete/"
        assert engineer.post(address, {"post": "yes"}).status_code == 403

    def test_is_revoked_once(self, engineer, key):
        revoke = {"action": "revoke", "_selected_action": [APIKey.objects.get().pk], "post": "yes"}
        page = engineer.post("/admin/devices/apikey/", revoke, follow=True).content.decode()
        assert "Revoked: mes-line-1" in page
        revoked_at = APIKey.objects.get().revoked_at
        assert revoked_at is not None
        page = engineer.post("/admin/devices/apikey/", revoke, follow=True).content.decode()
        assert "None of them worked any more" in page
        assert APIKey.objects.get().revoked_at == revoked_at
        assert LogEntry.objects.filter(change_message="Revoked.").count() == 1

    def test_is_not_revoked_before_that_is_confirmed(self, engineer, key):
        APIKey.objects.update(last_used_at="2026-02-03T04:05:06Z")
        rest = APIKey(name="old", revoked_at=timezone.now())
        rest.issue()
        rest.save()
        chosen = {"action": "revoke", "_selected_action": list(APIKey.objects.values_list("pk", flat=True))}
        page = engineer.post("/admin/devices/apikey/", chosen).content.decode()
        assert re.findall(r"<tr><th>(.*?)</th><td>(.*?)</td><td>(.*?)</td>", page) == [
            (
                "mes-line-1",
                "mes-team",
                date_format(localtime(APIKey.objects.get(name="mes-line-1").last_used_at), "DATETIME_FORMAT"),
            )
        ]
        assert APIKey.objects.get(name="mes-line-1").revoked_at is None
        hidden = dict(re.findall(r'<input type="hidden" name="(_selected_action|action|post)" value="(\w+)">', page))
        engineer.post("/admin/devices/apikey/", hidden)
        assert APIKey.objects.get(name="mes-line-1").revoked_at is not None
