"""The groups that the product brings, as an installation gets them by `migrate`."""

from collections.abc import Iterator
from importlib import import_module
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import Group, Permission, User
from django.db import connection

from devices.models import Grant, Right, Role
from devices.models.roles import ROLES, create_roles

pytestmark = pytest.mark.django_db(transaction=True)

migration = import_module("devices.migrations.0007_roles")


class Editor:
    """All that the migration asks of a schema editor."""

    connection = connection


def found() -> dict[str, Any]:
    """Group to its rights on all PLCs and its permissions."""
    return {
        group.name: (
            {grant.right for grant in group.grants.all() if grant.place == "all PLCs" and not grant.commands},
            {f"{row.content_type.app_label}.{row.codename}" for row in group.permissions.all()},
        )
        for group in Group.objects.all()
    }


def expected() -> dict[str, Any]:
    return {role.value: (set(spec.rights), set(spec.permissions)) for role, spec in ROLES.items()}


@pytest.fixture
def empty(db: None) -> Iterator[None]:
    """No groups, and none of Django's permissions: as on a new database before the migration."""
    permissions = list(Permission.objects.all())
    Group.objects.all().delete()
    Permission.objects.all().delete()
    yield
    # Other tests know them by their numbers.
    Permission.objects.all().delete()
    Permission.objects.bulk_create(permissions)


class TestMigration:
    def test_makes_what_the_table_says_on_a_new_database(self, empty):
        migration.make_roles(apps, Editor)
        assert found() == expected()

    def test_makes_them_beside_what_is_there(self):
        Group.objects.all().delete()
        User.objects.create_user("anna").groups.add(Group.objects.create(name="Night shift"))
        migration.make_roles(apps, Editor)
        assert found() == expected() | {"Night shift": (set(), set())}
        assert [group.name for group in User.objects.get().groups.all()] == ["Night shift"]

    def test_keeps_what_an_installation_changed(self, roles):
        operators = Group.objects.get(name=Role.OPERATOR)
        operators.grants.filter(right=Right.EXECUTE).update(area="Hall A")
        operators.permissions.add(Permission.objects.get(codename="view_run"))
        before = found()
        migration.make_roles(apps, Editor)
        assert found() == before
        assert Grant.objects.filter(group=operators).count() == 2

    def test_gives_nothing_to_a_group_that_has_such_a_name_already(self):
        Group.objects.all().delete()
        Group.objects.create(name="Operator")
        migration.make_roles(apps, Editor)
        assert found()["Operator"] == (set(), set())

    def test_is_taken_back(self, roles):
        Group.objects.create(name="Night shift")
        migration.remove_roles(apps, Editor)
        assert found() == {"Night shift": (set(), set())}
        assert not Grant.objects.exists()
        migration.make_roles(apps, Editor)
        assert found() == expected() | {"Night shift": (set(), set())}


class TestRoles:
    def test_made_for_tests_are_those_of_the_migration(self, roles):
        assert found() == expected()

    def test_name_permissions_that_exist(self):
        known = {f"{row.content_type.app_label}.{row.codename}" for row in Permission.objects.all()}
        assert [name for spec in ROLES.values() for name in spec.permissions if name not in known] == []

    def test_are_made_once(self, roles):
        create_roles()
        assert found() == expected()
        assert Grant.objects.count() == sum(len(spec.rights) for spec in ROLES.values())

    def test_let_nobody_change_records_or_the_audit(self):
        kept = ("auditentry", "run", "lockout")
        changing = {
            name for spec in ROLES.values() for name in spec.permissions if "view_" not in name and name.endswith(kept)
        }
        assert changing == {"devices.change_run"}

    def test_part_who_gives_rights_from_who_uses_them(self):
        engineer, security = ROLES[Role.ENGINEER], ROLES[Role.SECURITY]
        assert not engineer.permissions & security.permissions
        assert security.rights == ()
        assert not [name for name in engineer.permissions if name.endswith(("user", "group", "grant", "apikey"))]
