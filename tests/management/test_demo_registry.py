"""What the demo adds to an empty database, and that it leaves everything else alone."""

import stat
from pathlib import Path

import pytest
from django.contrib.auth import authenticate
from django.contrib.auth.models import User
from django.db import models
from django.test import RequestFactory

from devices.control.rights import may_enter_admin, rights_of_user
from devices.management import demo_access, demo_registry
from devices.models import PLC, APIKey, Command, Parameter, Profile, Right, Step, Tag
from devices.models.access import digest_of
from devices.simulator import batch_map

pytestmark = pytest.mark.django_db(transaction=True)


def rows(*kinds: type[models.Model]) -> list[dict[str, object]]:
    return [row for kind in kinds for row in kind.objects.order_by("pk").values()]


REGISTRY = (Profile, Tag, Command, Parameter, Step, PLC)


class TestRegistry:
    def test_has_the_profile_its_tags_and_five_plcs(self):
        demo_registry.create()
        assert Profile.objects.get().name == "batch-machine"
        assert Tag.objects.count() == len(batch_map.TAGS)
        plcs = {plc.name: (plc.host, plc.port, plc.max_connections) for plc in PLC.objects.all()}
        assert plcs == {
            "press-1": ("127.0.0.1", 15021, 1),
            "press-2": ("127.0.0.1", 15022, 1),
            "oven-1": ("127.0.0.1", 15023, 1),
            "packer-1": ("127.0.0.1", 15024, 1),
            "mixer-1": ("127.0.0.1", 15025, 1),
        }

    def test_has_a_start_with_handshake(self):
        demo_registry.create()
        command = Command.objects.get(name="start_batch")
        steps = [
            (s.phase, s.tag.name, s.operator, s.value, s.parameter and s.parameter.name) for s in command.steps.all()
        ]
        assert steps == [
            ("check", "fault", "==", "0", None),
            ("check", "start_ack", "==", "0", None),
            ("write", "batch_size", "set", "", "batch_size"),
            ("write", "nok_num", "set", "", "nok_num"),
            ("trigger", "start", "set", "1", None),
            ("wait", "start_ack", "==", "1", None),
            ("read", "batch_number", "get", "", None),
            ("cleanup", "start", "set", "0", None),
            ("cleanup", "start_ack", "==", "0", None),
        ]
        parameters = [(p.name, p.label, p.default, p.minimum, p.maximum) for p in command.parameters.all()]
        assert parameters == [
            ("batch_size", "batch size", 15, 1, 10000),
            ("nok_num", "maximum consecutive failures", 3, 0, 1000),
        ]

    def test_has_a_plain_command(self):
        demo_registry.create()
        steps = Command.objects.get(name="reset_fault").steps.all()
        assert [(step.phase, step.tag.name, step.value) for step in steps] == [("trigger", "reset_fault", "1")]

    def test_watches_the_machines_and_records_what_trends_show(self):
        demo_registry.create()
        recorded = {tag.name: tag.dead_band for tag in Tag.objects.filter(is_recorded=True)}
        assert recorded == {"good_count": 0.0, "nok_count": 0.0, "temperature": 0.1}
        assert Tag.objects.get(name="heartbeat").poll_interval_ms == 500
        assert set(Tag.objects.values_list("poll_interval_ms", flat=True)) == {500, 1000}
        assert set(demo_registry.WATCHED) <= {tag.name for tag in batch_map.TAGS}
        assert {plc.watched_tag.name for plc in PLC.objects.all()} == {"heartbeat"}
        assert {plc.heartbeat_tag for plc in PLC.objects.all()} == {None}

    def test_passes_the_checks_of_the_admin(self):
        demo_registry.create()
        for kind in REGISTRY:
            for row in kind.objects.all():
                row.full_clean()

    def test_is_the_same_after_the_second_time(self):
        demo_registry.create()
        before = rows(*REGISTRY)
        demo_registry.create()
        assert rows(*REGISTRY) == before

    def test_keeps_what_the_engineer_changed(self):
        demo_registry.create()
        PLC.objects.filter(name="press-1").update(port=502, title="Mine", watched_tag=None)
        Tag.objects.filter(name="temperature").update(is_recorded=False, poll_interval_ms=0, dead_band=2.0)
        Step.objects.filter(phase="wait").update(timeout_s=9.0)
        Tag.objects.create(profile=Profile.objects.get(), name="mine", table="coil", address=50, data_type="bool")
        before = rows(*REGISTRY)
        demo_registry.create()
        assert rows(*REGISTRY) == before

    def test_brings_back_what_was_deleted(self):
        demo_registry.create()
        PLC.objects.get(name="press-2").delete()
        demo_registry.create()
        assert PLC.objects.filter(name="press-2", port=15022).exists()

    def test_describes_every_tag(self):
        assert set(demo_registry.DESCRIPTIONS) == {tag.name for tag in batch_map.TAGS}


def log_in(name: str, password: str) -> User | None:
    """Who the login page lets in."""
    return authenticate(RequestFactory().post("/admin/login/"), username=name, password=password)


class TestLogins:
    def test_work_and_say_what_they_may(self):
        logins = demo_access.create()
        people = {login.name: log_in(login.name, login.password) for login in logins}
        groups = {name: [group.name for group in user.groups.all()] for name, user in people.items()}
        assert groups == {
            "engineer": ["Controls engineer"],
            "operator": ["Operator"],
            "security": ["Security admin"],
            "auditor": ["Auditor"],
        }
        assert {login.name for login in logins if login.may} == set(people)
        assert not [user for user in people.values() if user.is_superuser or user.user_permissions.exists()]

    def test_let_all_but_the_operator_into_the_admin(self):
        demo_access.create()
        entering = {user.username for user in User.objects.all() if may_enter_admin(user)}
        assert entering == {"engineer", "security", "auditor"}

    def test_may_what_their_groups_may(self):
        demo_registry.create()
        demo_access.create()
        press = PLC.objects.get(name="press-1")
        may = {
            user.username: {right.value for right in Right if rights_of_user(user).may(right, press)}
            for user in User.objects.all()
        }
        assert may == {
            "engineer": {"view", "execute", "write", "administer"},
            "operator": {"view", "execute"},
            "security": set(),
            "auditor": {"view"},
        }

    def test_are_the_same_after_the_second_time(self):
        first = demo_access.create()
        before = rows(User)
        assert demo_access.create() == first
        assert rows(User) == before

    def test_keep_a_changed_password_and_do_not_show_a_false_one(self):
        demo_access.create()
        engineer = User.objects.get(username="engineer")
        engineer.set_password("mine alone")
        engineer.save()
        assert demo_access.create()[0].password == "(as you changed it)"
        assert log_in("engineer", "mine alone")

    def test_are_not_added_to_a_database_with_users_of_its_own(self):
        User.objects.create_user("anna", password="not a demo's")
        with pytest.raises(demo_access.NotADemo, match="DATA_DIR"):
            demo_access.create()
        assert User.objects.count() == 1


class TestKey:
    @pytest.fixture(autouse=True)
    def file(self, settings, tmp_path) -> Path:
        settings.DATA_DIR = tmp_path
        return tmp_path / "demo_api_key"

    def test_fits_its_row_and_lies_in_a_private_file(self, file):
        key = demo_access.key()
        assert APIKey.objects.get(name="demo").digest == digest_of(key)
        assert file.read_text().strip() == key
        assert stat.S_IMODE(file.stat().st_mode) == 0o600

    def test_belongs_to_the_demos_security_admin(self):
        demo_access.create()
        demo_access.key()
        assert APIKey.objects.get(name="demo").owner.username == "security"

    def test_is_shown_again_the_second_time(self):
        key = demo_access.key()
        before = rows(APIKey)
        assert demo_access.key() == key
        assert rows(APIKey) == before

    @pytest.mark.parametrize("spoil", [Path.unlink, lambda file: file.write_text("pgw_live_of_another_database")])
    def test_is_issued_afresh_when_its_file_does_not_fit(self, file, spoil):
        first = demo_access.key()
        spoil(file)
        second = demo_access.key()
        assert second != first
        assert APIKey.objects.get(name="demo").digest == digest_of(second)
        assert stat.S_IMODE(file.stat().st_mode) == 0o600

    def test_that_was_revoked_stays_dead(self):
        first = demo_access.key()
        APIKey.objects.update(revoked_at="2025-01-01T00:00:00Z")
        second = demo_access.key()
        assert second != first
        assert APIKey.objects.get(name="demo").revoked_at is None
