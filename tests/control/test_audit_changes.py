"""Every change of the registry and of access is told: what it was, what it is, and who did it."""

import re
from pathlib import Path

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.db import transaction
from django.utils import timezone

from devices.control import audit
from devices.control.actors import Actor, acting
from devices.control.audit_chain import walk
from devices.control.audit_changes import RELATED
from devices.models import PLC, APIKey, Grant, LockOut, Profile, Tag
from tests.access import grant, new_key
from tests.control import rows
from tests.control.chain import change_of, newest, told

pytestmark = pytest.mark.django_db(transaction=True)

ROOT = Path(__file__).parents[2]
ANNA = Actor(name="user anna", source="10.0.0.7")


@pytest.fixture
def press() -> PLC:
    return rows.make_plc(rows.make_profile_anew())


class TestAChange:
    def test_tells_what_it_was_and_what_it_is_and_nothing_else(self, press: PLC) -> None:
        count = len(told())
        press.port, press.title = 1502, "Press"
        with acting(ANNA):
            press.save()
        entry = newest()
        assert (entry.actor, entry.source, entry.action) == ("user anna", "10.0.0.7", "changed")
        assert (entry.kind, entry.subject, entry.subject_id) == ("PLC", "press-1", str(press.pk))
        assert change_of(entry) == ({"port": 1, "title": ""}, {"port": 1502, "title": "Press"})
        assert len(told()) == count + 1

    def test_is_told_as_it_was_stored_whatever_the_row_in_hand_says(self, press: PLC) -> None:
        stale = PLC.objects.get(pk=press.pk)
        press.port = 1502
        press.save()
        stale.title = "Press"
        stale.save()
        assert change_of(newest()) == ({"port": 1502, "title": ""}, {"port": 1, "title": "Press"})

    def test_that_changes_nothing_is_not_told(self, press: PLC) -> None:
        count = len(told())
        press.save()
        Tag.objects.get(name="setpoint").save()  # its numbers come back as decimals
        assert len(told()) == count

    def test_of_a_word_that_python_takes_for_the_same_is_told(self, press: PLC) -> None:
        parameter = Profile.objects.get().commands.get(name="start_batch").parameters.get(name="nok_num")
        parameter.default = 1
        parameter.save()
        parameter.default = True
        parameter.save()
        assert change_of(newest()) == ({"default": 1}, {"default": True})

    def test_names_what_it_refers_to(self, press: PLC) -> None:
        other = Profile.objects.create(name="oven")
        press.profile = other
        press.save()
        assert change_of(newest()) == ({"profile": "batch-machine"}, {"profile": "oven"})

    def test_that_is_not_stored_is_not_told(self, press: PLC) -> None:
        count = len(told())
        with transaction.atomic():
            press.port = 1502
            press.save()
            transaction.set_rollback(True)
        assert len(told()) == count
        assert walk().count == count

    def test_whose_entry_cannot_be_stored_is_not_stored(self, press: PLC, monkeypatch: pytest.MonkeyPatch) -> None:
        """Also where nobody opened a transaction: Django itself saves and tells of it in two."""
        press.port = 1502
        with monkeypatch.context() as patch:
            patch.setattr(audit._ENTRIES, "_table", "devices_auditentry_gone")
            with pytest.raises(Exception, match="devices_auditentry_gone"):
                press.save()
        assert PLC.objects.get().port == 1

    def test_by_a_shell_is_told_so(self, press: PLC) -> None:
        entry = newest()
        assert entry.actor.startswith("shell ")
        assert "@" in entry.source


class TestANewRow:
    def test_is_told_with_all_its_fields(self, press: PLC) -> None:
        entry = newest(kind="PLC")
        before, after = change_of(entry)
        assert (entry.action, before) == ("added", {})
        assert {"name", "host", "port", "unit_id", "profile", "connect_timeout_s"} <= after.keys()
        assert after["profile"] == "batch-machine"

    def test_of_a_machine_type_is_named_with_it(self, press: PLC) -> None:
        assert newest(kind="Tag").subject == "batch-machine batch_number"
        assert {entry.subject for entry in told(kind="Parameter")} == {
            "batch-machine start_batch batch_size",
            "batch-machine start_batch nok_num",
        }
        assert newest(kind="Step", subject__contains="start_batch").subject.startswith("batch-machine start_batch: ")


class TestADelete:
    def test_tells_all_that_goes(self, press: PLC) -> None:
        press.delete()
        profile = Profile.objects.get()
        kept = {"Step": 11, "Parameter": 2, "Command": 2, "Tag": 9, "Profile": 1}
        profile.commands.get(name="start_batch").delete()
        profile.commands.get(name="reset").delete()
        profile.delete()
        assert {kind: len(told(kind=kind, action="deleted")) for kind in kept} == kept
        before, after = change_of(newest(kind="PLC"))
        assert (before["name"], before["host"], before["profile"], after) == (
            "press-1",
            "127.0.0.1",
            "batch-machine",
            {},
        )

    def test_of_several_at_once_tells_each(self, press: PLC) -> None:
        for name in ("press-2", "press-3"):
            rows.make_plc(press.profile, name)
        PLC.objects.all().delete()
        assert {entry.subject for entry in told(kind="PLC", action="deleted")} == {"press-1", "press-2", "press-3"}
        assert len(told(kind="PLC", action="deleted")) == 3

    def test_that_is_refused_is_not_told(self, press: PLC) -> None:
        with pytest.raises(Exception, match="protected"):
            Profile.objects.get().delete()
        assert told(action="deleted") == []


class TestAccess:
    def test_of_a_key_is_told_without_the_key(self, press: PLC) -> None:
        secret = new_key("mes")
        key = APIKey.objects.get()
        made = newest(kind="API key")
        assert (made.action, made.subject) == ("key_made", "mes")
        assert change_of(made)[1]["key_id"] == key.key_id
        key.revoked_at = timezone.now()
        key.save(update_fields=["revoked_at"])
        revoked = newest()
        assert (revoked.action, change_of(revoked)[0]) == ("key_revoked", {"revoked_at": None})
        everything = str([vars(entry) for entry in told()])
        assert secret.split("_")[3] not in everything
        assert key.digest not in everything

    def test_of_a_key_that_gets_another_secret_is_told(self) -> None:
        new_key("mes")
        key = APIKey.objects.get()
        key.issue()
        key.save()
        entry = newest()
        assert entry.action == "key_made"
        assert change_of(entry)[1]["key"] == "(changed)"
        assert key.digest not in entry.before + entry.after

    def test_of_a_key_is_not_told_at_each_use(self) -> None:
        new_key("mes")
        key, count = APIKey.objects.get(), len(told())
        key.last_used_at = timezone.now()
        key.save(update_fields=["last_used_at"])
        key.save()
        assert len(told()) == count

    def test_that_is_granted_or_taken_away_is_told(self, press: PLC) -> None:
        anna = User.objects.create_user("anna")
        (given, *_) = grant(anna, "execute", plc=press, commands="start_batch", ceilings={"batch_size": 500})
        entry = newest(kind="Grant")
        assert entry.subject == "user anna may execute commands on press-1"
        after = change_of(entry)[1]
        assert (after["user"], after["plc"], after["ceilings"]) == ("anna", "press-1", {"batch_size": 500})
        given.delete()
        assert change_of(newest(kind="Grant"))[0]["commands"] == "start_batch"

    def test_by_a_lock_out_is_told(self, press: PLC) -> None:
        row = LockOut.objects.create(plc=press, by="user anna", reason="belt")
        row.lifted_at, row.lifted_by = timezone.now(), "user bob"
        row.save()
        made, lifted = told(kind="Lock-out")
        assert change_of(made)[1]["reason"] == "belt"
        assert change_of(lifted)[1]["lifted_by"] == "user bob"

    def test_of_a_user_who_is_deleted_tells_the_grants_that_go_with_him(self) -> None:
        anna = User.objects.create_user("anna")
        anna.groups.add(Group.objects.create(name="Night shift"))
        grant(anna, "view")
        anna.delete()
        assert len(told(kind="Grant", action="deleted")) == 1
        assert change_of(newest(kind="User"))[0]["groups"] == ["Night shift"]
        assert Grant.objects.count() == 0


class TestAUser:
    def test_whose_password_changes_is_told_without_it(self) -> None:
        anna = User.objects.create_user("anna", password="sesame-1")
        hashes = [anna.password]
        anna.set_password("sesame-2")
        anna.save()
        hashes.append(anna.password)
        assert change_of(newest()) == ({"password": "(as it was)"}, {"password": "(changed)"})
        everything = str([vars(entry) for entry in told()])
        assert [secret for secret in (*hashes, "sesame-1", "sesame-2") if secret in everything] == []

    def test_who_comes_into_a_group_or_leaves_it_is_told_from_both_sides(self) -> None:
        anna, bob = (User.objects.create_user(name) for name in ("anna", "bob"))
        night, day = (Group.objects.create(name=name) for name in ("Night", "Day"))
        anna.groups.set([night])
        anna.groups.set([day])
        night.user_set.add(anna, bob)
        night.user_set.clear()
        changes = [(entry.subject, *change_of(entry)) for entry in told(kind="User", action="changed")]
        assert changes == [
            ("anna", {"groups": []}, {"groups": ["Night"]}),
            ("anna", {"groups": ["Night"]}, {"groups": []}),
            ("anna", {"groups": []}, {"groups": ["Day"]}),
            ("anna", {"groups": ["Day"]}, {"groups": ["Day", "Night"]}),
            ("bob", {"groups": []}, {"groups": ["Night"]}),
            ("anna", {"groups": ["Day", "Night"]}, {"groups": ["Day"]}),
            ("bob", {"groups": ["Night"]}, {"groups": []}),
        ]

    def test_who_is_in_already_is_not_told(self) -> None:
        anna, night = User.objects.create_user("anna"), Group.objects.create(name="Night")
        anna.groups.add(night)
        count = len(told())
        anna.groups.add(night)
        anna.groups.set([night])
        assert len(told()) == count

    def test_who_is_given_a_permission_is_told(self) -> None:
        group, anna = Group.objects.create(name="Night"), User.objects.create_user("anna")
        permission = Permission.objects.get(codename="change_run")
        group.permissions.add(permission)
        anna.user_permissions.add(permission)
        assert change_of(newest(kind="Group")) == ({"permissions": []}, {"permissions": ["devices.change_run"]})
        assert change_of(newest(kind="User"))[1] == {"user_permissions": ["devices.change_run"]}


class TestTheProduct:
    def test_changes_these_rows_in_no_way_that_is_not_told(self) -> None:
        """`update()` and its like send no signal. The moment of a key's last call is not told anyway."""
        names = "|".join(model.__name__ for model in RELATED)
        silent = re.compile(
            rf"\b(?:{names})\.objects\b[^\n]*\.(?:a?update|a?bulk_create|a?bulk_update|_raw_delete)\(.*"
        )
        found = [hit[0] for path in (ROOT / "devices").rglob("*.py") for hit in silent.finditer(path.read_text())]
        assert [line for line in found if "last_used_at" not in line] == []
