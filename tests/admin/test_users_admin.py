"""Who keeps the users gives groups and grants: never to himself, and never more than these."""

import re
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.test import Client

from devices.control.rights import rights_of_user
from devices.models import Grant, Right, Role
from tests.access import grant
from tests.admin import pages
from tests.admin.people import browser_of, member
from tests.models import rows

pytestmark = pytest.mark.usefixtures("roles")

ADMIN = "/admin/auth/"
ADD = {
    "username": "otto",
    "usable_password": "true",
    "password1": "a long pass phrase",
    "password2": "a long pass phrase",
}


@pytest.fixture
def keeper(roles) -> User:
    return member(Role.SECURITY, "sven")


@pytest.fixture
def site(keeper) -> Client:
    return browser_of(keeper)


@pytest.fixture
def otto(roles) -> User:
    return User.objects.create_user("otto", password="a long pass phrase")


@pytest.fixture
def boss(roles) -> User:
    return User.objects.create_superuser("boss", password="a long pass phrase")


def address_of(row: Any, page: str = "change") -> str:
    return f"{ADMIN}{row._meta.model_name}/{row.pk}/{page}/"


def form_of(site: Client, row: Any) -> dict[str, Any]:
    """What the row's page would send if nothing were typed."""
    fields = pages.fields_of(site, address_of(row))
    return {name: value for name, value in fields.items() if name != "password"}


def send(site: Client, row: Any, **typed: Any) -> int:
    return site.post(address_of(row), {**form_of(site, row), **typed, "_save": "Save"}).status_code


def everything_of(user: User) -> Any:
    """All by which a person may do something."""
    row = User.objects.get(pk=user.pk)
    return (
        row.is_superuser,
        row.is_staff,
        row.is_active,
        row.password,
        sorted(row.groups.values_list("name", flat=True)),
        sorted(row.user_permissions.values_list("codename", flat=True)),
        list(row.grants.values()),
    )


class TestSecurityAdmin:
    def test_makes_a_user_and_puts_him_into_a_group(self, site):
        assert site.post(f"{ADMIN}user/add/", ADD).status_code == 302
        otto = User.objects.get(username="otto")
        operators = Group.objects.get(name=Role.OPERATOR)
        assert send(site, otto, groups=[operators.pk], first_name="Otto") == 302
        assert [group.name for group in otto.groups.all()] == ["Operator"]
        assert User.objects.get(username="otto").first_name == "Otto"

    def test_gives_a_user_rights_on_his_page(self, site, otto, profile, command):
        rows.stored(rows.plc(profile, area="Hall A"))
        fields = form_of(site, otto)
        pages.add_row(
            fields, "grants", right="execute", area="Hall A", commands="start_batch", ceilings="batch_size 500"
        )
        assert site.post(address_of(otto), {**fields, "_save": "Save"}).status_code == 302
        given = Grant.objects.get(user=otto)
        assert (given.right, given.area, given.commands) == ("execute", "Hall A", "start_batch")
        assert given.ceilings == {"batch_size": 500}

    def test_makes_nobody_a_superuser(self, site, otto):
        assert send(site, otto, is_superuser="on") == 302
        assert not User.objects.get(username="otto").is_superuser
        site.post(f"{ADMIN}user/add/", ADD | {"username": "olga", "is_superuser": "on", "is_staff": "on"})
        assert not User.objects.get(username="olga").is_superuser

    def test_gives_nobody_permissions_of_his_own(self, site, otto):
        every = list(Permission.objects.values_list("pk", flat=True))
        assert send(site, otto, user_permissions=every) == 302
        assert not otto.user_permissions.exists()
        page = site.get(address_of(otto)).content.decode()
        assert "user_permissions" not in page
        assert "is_superuser" not in page

    @pytest.mark.parametrize("page", ["change", "delete", "password"])
    def test_does_not_touch_a_superuser(self, site, boss, page):
        before = everything_of(boss)
        typed = {
            "username": "boss",
            "is_staff": "",
            "post": "yes",
            "password1": "mine mine mine",
            "password2": "mine mine mine",
        }
        assert site.post(address_of(boss, page), {**typed, "usable_password": "true"}).status_code == 403
        assert everything_of(boss) == before

    def test_raises_himself_in_no_way(self, site, keeper):
        engineers = Group.objects.get(name=Role.ENGINEER)
        before = everything_of(keeper)
        fields = form_of(site, keeper)
        crafted: dict[str, Any] = {
            "is_superuser": "on",
            "groups": [engineers.pk],
            "user_permissions": list(Permission.objects.values_list("pk", flat=True)),
            "grants-TOTAL_FORMS": 1,
            "grants-INITIAL_FORMS": 0,
            "grants-0-right": "execute",
            "grants-0-user": keeper.pk,
        }
        site.post(address_of(keeper), {**fields, **crafted, "_save": "Save"})
        assert everything_of(keeper) == before

    def test_does_not_leave_his_group_or_a_grant(self, site, keeper):
        grant(keeper, Right.VIEW)
        before = everything_of(keeper)
        row = keeper.grants.get()
        fields = form_of(site, keeper) | {"groups": [], "is_active": "", "is_staff": ""}
        fields |= {"grants-TOTAL_FORMS": 1, "grants-INITIAL_FORMS": 1, "grants-0-id": row.pk, "grants-0-DELETE": "on"}
        site.post(address_of(keeper), {**fields, "_save": "Save"})
        assert everything_of(keeper) == before

    def test_is_told_why_on_his_own_page(self, site, keeper, otto):
        told = "What you may do yourself is for another security admin to change."
        assert told in site.get(address_of(keeper)).content.decode()
        assert told in site.get(address_of(keeper.groups.get())).content.decode()
        assert told not in site.get(address_of(otto)).content.decode()

    def test_changes_his_own_password(self, site, keeper):
        fields = {"usable_password": "true", "password1": "another long one", "password2": "another long one"}
        assert site.post(address_of(keeper, "password"), fields).status_code == 302
        assert User.objects.get(pk=keeper.pk).check_password("another long one")

    def test_never_executes_whatever_he_was_given(self, keeper, command, profile):
        from tests.models import rows

        plc = rows.stored(rows.plc(profile))
        keeper.groups.add(Group.objects.get(name=Role.ENGINEER))
        grant(keeper)
        rights = rights_of_user(keeper)
        assert [right.value for right in Right if rights.may(right, plc)] == ["view"]

    def test_has_no_page_of_the_registry_or_of_runs(self, site):
        for kind in ("plc", "profile", "tag", "command", "run"):
            assert site.get(f"/admin/devices/{kind}/").status_code == 403

    def test_deletes_nobody_whose_name_stands_in_records(self, site, otto):
        assert site.post(address_of(otto, "delete"), {"post": "yes"}).status_code == 403
        assert User.objects.filter(username="otto").exists()

    def test_renames_nobody(self, site, otto):
        assert send(site, otto, username="anna") == 302
        assert User.objects.get(pk=otto.pk).username == "otto"


class TestGroup:
    @pytest.fixture
    def shift(self, roles) -> Group:
        return Group.objects.create(name="Night shift")

    def test_is_made_and_given_rights(self, site):
        assert site.post(f"{ADMIN}group/add/", {"name": "Press 1"}).status_code == 302
        group = Group.objects.get(name="Press 1")
        fields = form_of(site, group)
        pages.add_row(fields, "grants", right="view", area="Hall A")
        assert site.post(address_of(group), {**fields, "_save": "Save"}).status_code == 302
        assert [str(row) for row in group.grants.all()] == ["group Press 1 may view on the area Hall A"]

    def test_opens_no_more_pages_of_the_admin(self, site, shift):
        every = list(Permission.objects.values_list("pk", flat=True))
        assert send(site, shift, permissions=every) == 302
        site.post(f"{ADMIN}group/add/", {"name": "Mine", "permissions": every})
        assert [group.permissions.count() for group in Group.objects.filter(name__in=["Night shift", "Mine"])] == [0, 0]

    @pytest.mark.parametrize("role", Role)
    def test_of_the_product_keeps_its_name_and_stays(self, site, boss, role):
        group = Group.objects.get(name=role)
        for browser in (site, browser_of(boss)):
            browser.post(address_of(group), {**form_of(browser, group), "name": "Mine", "_save": "Save"})
            assert browser.post(address_of(group, "delete"), {"post": "yes"}).status_code == 403
        assert Group.objects.get(pk=group.pk).name == role.value

    def test_that_one_is_in_gets_nothing(self, site, keeper, shift):
        keeper.groups.add(shift)
        crafted = {"grants-TOTAL_FORMS": 1, "grants-INITIAL_FORMS": 0, "grants-0-right": "view"}
        site.post(address_of(shift), {**form_of(site, shift), **crafted, "grants-0-group": shift.pk, "_save": "Save"})
        assert not shift.grants.exists()
        assert site.post(address_of(shift, "delete"), {"post": "yes"}).status_code == 403

    def test_is_deleted_otherwise(self, site, shift):
        assert site.post(address_of(shift, "delete"), {"post": "yes"}).status_code == 302
        assert not Group.objects.filter(name="Night shift").exists()


class TestAuditor:
    def test_reads_users_and_groups_and_changes_nothing(self, otto):
        site = browser_of(member(Role.AUDITOR))
        for row in (otto, Group.objects.get(name=Role.OPERATOR)):
            page = site.get(address_of(row))
            assert page.status_code == 200
            assert 'name="_save"' not in page.content.decode()
            for kind in ("change", "delete"):
                assert (
                    site.post(address_of(row, kind), {"post": "yes", "name": "x", "username": "x"}).status_code == 403
                )
        assert site.post(address_of(otto, "password"), {"password1": "x"}).status_code == 403
        assert site.get(f"{ADMIN}user/add/").status_code == 403

    def test_does_not_read_how_a_password_is_stored(self, otto):
        page = browser_of(member(Role.AUDITOR)).get(address_of(otto)).content.decode()
        stored = User.objects.get(pk=otto.pk).password
        assert stored not in page
        assert stored.rpartition("$")[2][:6] not in page
        assert "password" not in page.partition('id="content-main"')[2]


class TestSuperuser:
    def test_makes_another(self, boss, otto):
        assert send(browser_of(boss), otto, is_superuser="on") == 302
        assert User.objects.get(username="otto").is_superuser

    def test_opens_pages_to_a_group(self, boss):
        group = Group.objects.create(name="Planners")
        permission = Permission.objects.get(codename="view_run")
        assert send(browser_of(boss), group, permissions=[permission.pk]) == 302
        assert list(group.permissions.all()) == [permission]


class TestListOfUsers:
    def test_says_who_is_in_which_group(self, site, boss):
        member(Role.ENGINEER, "anna")
        text = site.get(f"{ADMIN}user/").content.decode()
        assert re.search(r"anna.*Controls engineer", text, re.DOTALL)
        assert "superuser" in text
