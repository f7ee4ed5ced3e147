"""The stamp of each kind moves with every change of what is kept of it in memory, and with nothing else."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone

from devices.models import PLC, APIKey, Command, Grant, LockOut, Parameter, Profile, Right, Stamp, Step, Tag, stamps
from devices.models.stamps import Kind, Stamped, version
from tests.access import grant
from tests.control.databases import elsewhere
from tests.control.rows import make_plc, make_profile
from tests.serving.process import manage

pytestmark = pytest.mark.django_db(transaction=True)


def key(name: str = "mes") -> APIKey:
    row = APIKey(name=name)
    row.issue()
    row.save()
    return row


def moves(change: Callable[[], object]) -> dict[str, bool]:
    """Which stamps a change moves."""
    before = stamps.versions()
    change()
    return {kind: stamps.versions().get(kind, 0) > before.get(kind, 0) for kind in Kind}


def only(*moved: Kind) -> dict[str, bool]:
    return {kind: kind in moved for kind in Kind}


class TestTheStampOfAccess:
    def test_is_0_before_the_first_change(self):
        assert version(Kind.ACCESS) == 0

    def test_moves_when_a_key_is_made_changed_and_deleted(self):
        row = key()
        row.revoked_at = timezone.now()
        row.save()
        row.delete()
        assert version(Kind.ACCESS) == 3
        assert Stamp.objects.count() == 1

    def test_moves_when_a_right_is_given_changed_and_taken_away(self):
        row = key()
        before = version(Kind.ACCESS)
        (given,) = grant(row, Right.VIEW)
        given.area = "hall 1"
        given.save()
        given.delete()
        assert version(Kind.ACCESS) == before + 3

    def test_moves_when_rights_go_with_their_plc_or_their_holder(self):
        press, anna = make_plc(make_profile()), User.objects.create_user("anna")
        grant(anna, Right.VIEW, plc=press)
        grant(anna, Right.WRITE)
        for row in (PLC.objects.get(), anna):
            before = version(Kind.ACCESS)
            row.delete()
            assert version(Kind.ACCESS) > before
        assert not Grant.objects.exists()

    def test_moves_when_many_rights_are_deleted_at_once(self):
        grant(key())
        before = version(Kind.ACCESS)
        Grant.objects.all().delete()
        assert version(Kind.ACCESS) == before + len(Right)


class TestTheStampOfTheRegistry:
    @pytest.mark.parametrize("model", [Profile, Tag, PLC, Command, Parameter, Step])
    def test_moves_with_each_change_of_each_part(self, model: Any):
        make_plc(make_profile())
        row = model.objects.first()
        assert moves(row.save) == only(Kind.REGISTRY)

    @pytest.mark.parametrize(
        "gone",
        [
            lambda: PLC.objects.get().delete(),
            lambda: Step.objects.first().delete(),
            lambda: Tag.objects.filter(steps=None).first().delete(),
            lambda: Command.objects.all().delete(),
            lambda: Parameter.objects.filter(steps=None).delete(),
        ],
        ids=["plc", "step", "tag", "commands", "parameters"],
    )
    def test_moves_with_each_deletion(self, gone: Callable[[], object]):
        press = make_plc(make_profile())
        Command.objects.get(name="start_batch").parameters.create(name="unused", data_type="integer")
        press.profile.tags.create(name="unused", table="coil", address=99, data_type="bool")
        assert moves(gone) == only(Kind.REGISTRY)

    def test_moves_with_what_goes_along_with_another_row(self):
        make_profile()
        before = version(Kind.REGISTRY)
        rows = [Profile, Tag, Command, Parameter, Step]
        count = sum(model.objects.count() for model in rows)
        Profile.objects.get().delete()
        assert sum(model.objects.count() for model in rows) == 0
        assert version(Kind.REGISTRY) == before + count


class TestTheStampOfLockOuts:
    def test_moves_when_a_plc_is_locked_unlocked_and_deleted(self):
        press = make_plc(make_profile())
        row = LockOut(plc=press, by="user eva", reason="I replace the belt")
        assert moves(row.save) == only(Kind.LOCK_OUTS)
        row.lifted_at = timezone.now()
        assert moves(row.save) == only(Kind.LOCK_OUTS)
        assert moves(press.delete) == only(Kind.LOCK_OUTS, Kind.REGISTRY)


class TestAStamp:
    def test_is_watched_of_every_row_that_is_stamped(self):
        """A class of rows that has forgotten `watch` would move nothing."""
        stamped = {model for model in apps.get_models() if issubclass(model, Stamped)}
        assert stamped == set(stamps._kinds)

    def test_is_seen_elsewhere_together_with_the_change_and_not_before(self):
        row = key()
        with transaction.atomic():
            row.revoked_at = timezone.now()
            row.save()
            assert elsewhere(lambda: (version(Kind.ACCESS), APIKey.objects.get().revoked_at)) == (1, None)
        assert elsewhere(lambda: (version(Kind.ACCESS), APIKey.objects.get().revoked_at)) == (2, row.revoked_at)

    def test_is_in_the_transaction_of_a_change_that_asked_for_none(self, monkeypatch: pytest.MonkeyPatch):
        """A process that dies between the two would leave a revocation that nobody hears of."""
        row = key()
        row.revoked_at = timezone.now()
        Stamp.objects.all().delete()
        monkeypatch.setattr(Stamp.objects, "get_or_create", _die)
        with pytest.raises(SystemError):
            row.save()
        assert APIKey.objects.get().revoked_at is None

    def test_does_not_move_when_a_change_is_undone(self):
        with transaction.atomic():
            key()
            transaction.set_rollback(True)
        assert stamps.versions() == {}

    def test_is_told_in_this_process_once_it_is_committed(self):
        told: list[str] = []
        listener = lambda kind, **_: told.append(kind)  # noqa: E731
        stamps.moved.connect(listener)
        with transaction.atomic():
            key()
            assert told == []
        assert told == [Kind.ACCESS]
        with transaction.atomic():
            key("another")
            transaction.set_rollback(True)
        assert told == [Kind.ACCESS]


class TestTheUpgrade:
    def test_keeps_the_stamp_of_keys_and_grants_where_it_stands(self, tmp_path: Path):
        """A process that has not ended yet must not take the next change for the one that it knows."""
        assert manage(tmp_path, "migrate", "devices", "0007_roles").returncode == 0
        with closing(sqlite3.connect(next(tmp_path.glob("*.sqlite3")))) as database, database:
            database.execute("DELETE FROM devices_accessstamp")
            database.execute("INSERT INTO devices_accessstamp (id, version) VALUES (1, 4711)")
        assert manage(tmp_path, "migrate").returncode == 0
        with closing(sqlite3.connect(next(tmp_path.glob("*.sqlite3")))) as database:
            assert database.execute("SELECT kind, version FROM devices_stamp").fetchall() == [("access", 4711)]


def _die(**_: object) -> None:
    raise SystemError
