"""Grants by themselves: who may do what, where, how far."""

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client

from devices.models import PLC, APIKey, Grant, Right, Role
from tests.access import grant
from tests.admin import pages
from tests.admin.people import browser_of, member
from tests.models import rows

pytestmark = pytest.mark.usefixtures("roles")

ADMIN = "/admin/devices/"


@pytest.fixture
def keeper(roles) -> User:
    return member(Role.SECURITY, "sven")


@pytest.fixture
def site(keeper) -> Client:
    return browser_of(keeper)


@pytest.fixture
def otto(roles) -> User:
    return User.objects.create_user("otto")


@pytest.fixture
def press(profile):
    return rows.stored(rows.plc(profile))


def give(site: Client, **typed: object) -> list[str]:
    """Fill in the page; its complaints."""
    return pages.send(site, "grant/add/", pages.fields_of(site, "grant/add/") | typed)


class TestGrant:
    def test_holds_on_all_plcs_where_no_place_is_named(self, site, otto):
        assert give(site, user=otto.pk, right="view") == []
        assert str(Grant.objects.get(user=otto)) == "user otto may view on all PLCs"

    def test_holds_on_one_plc_for_some_commands_up_to_ceilings(self, site, press, command):
        rows.stored(rows.parameter(command, name="nok_num", data_type="number"))
        key = APIKey(name="mes")
        key.issue()
        key.save()
        limits = "batch_size 500\r\nnok_num: 2.5\r\n"
        typed = {"key": key.pk, "right": "execute", "plc": press.pk, "commands": "start_batch", "ceilings": limits}
        assert give(site, **typed) == []
        given = Grant.objects.get(key=key)
        assert str(given) == "key mes may execute commands on press-1"
        assert (given.command_names, given.ceilings) == ({"start_batch"}, {"batch_size": 500, "nok_num": 2.5})

    def test_shows_its_ceilings_as_they_were_typed(self, site, otto):
        (row,) = grant(otto, Right.EXECUTE, ceilings={"batch_size": 500, "speed": 2.5})
        fields = pages.fields_of(site, f"grant/{row.pk}/change/")
        assert "batch_size 500\nspeed 2.5" in site.get(f"{ADMIN}grant/{row.pk}/change/").content.decode()
        fields["ceilings"] = "batch_size 500\nspeed 2.5"
        assert pages.send(site, f"grant/{row.pk}/change/", fields) == []
        assert Grant.objects.get(pk=row.pk).ceilings == {"batch_size": 500, "speed": 2.5}

    @pytest.mark.parametrize(
        ("ceilings", "complaint"),
        [
            ("batch_size", "“batch_size” is not a parameter and its highest value, such as batch_size 500."),
            ('{"batch_size": 500}', '“{"batch_size": 500}” is not a parameter and its highest value'),
            ("batch_size nan", "“batch_size nan” is not a parameter and its highest value"),
            ("batch_size 1e999", "“batch_size 1e999” is not a parameter and its highest value"),
            ("batch_size 5\nbatch_size 6", "batch_size stands here twice."),
        ],
    )
    def test_with_ceilings_that_cannot_be_read_is_refused(self, site, otto, ceilings, complaint):
        (told,) = give(site, user=otto.pk, right="execute", ceilings=ceilings)
        assert told.startswith(f"ceilings: {complaint}")
        assert not Grant.objects.filter(user=otto).exists()

    @pytest.mark.parametrize("place", ["plc", "area", "all"])
    def test_with_names_that_nothing_there_has_is_refused_and_told_which_there_are(
        self, site, otto, press, command, place
    ):
        """A ceiling of no parameter would be no ceiling."""
        rows.stored(rows.parameter(command, name="recipe", data_type="text"))
        oven = rows.stored(rows.profile(name="oven"))
        rows.stored(rows.plc(oven, name="oven-1", area="Hall B", host="192.168.0.11"))
        rows.stored(rows.parameter(rows.stored(rows.command(oven, name="heat")), name="degrees"))
        PLC.objects.filter(pk=press.pk).update(area="Hall A")
        where, words = {
            "plc": ({"plc": press.pk}, "press-1"),
            "area": ({"area": "Hall A"}, "the area Hall A"),
            "all": ({}, "all PLCs"),
        }[place]
        commands, numbers = (
            ("heat, start_batch", "batch_size, degrees") if place == "all" else ("start_batch", "batch_size")
        )
        typed = {"user": otto.pk, "right": "execute"} | where
        assert give(site, **typed, commands="start_bath") == [
            f"commands: No command on {words} is named start_bath. There: {commands}."
        ]
        assert give(site, **typed, ceilings="batsize 500\nrecipe 5") == [
            f"ceilings: No number that the commands on {words} take is named {name}. There: {numbers}."
            for name in ("batsize", "recipe")
        ]
        assert give(site, **typed, commands="start_batch", ceilings="degrees 500") == [
            f"ceilings: No number that these commands on {words} take is named degrees. There: batch_size."
        ]
        assert not Grant.objects.filter(user=otto).exists()
        assert give(site, **typed, commands="start_batch", ceilings="batch_size 500") == []

    def test_in_an_area_without_plcs_names_no_commands(self, site, otto, command):
        typed = {"user": otto.pk, "right": "execute", "area": "Hall C"}
        assert give(site, **typed, commands="start_batch") == [
            "commands: No command on the area Hall C is named start_batch. There: none."
        ]
        assert give(site, **typed) == []

    def test_whose_names_have_gone_since_is_no_obstacle_beside_it(self, otto, command):
        grant(otto, Right.EXECUTE, commands="gone", ceilings={"lost": 5})
        site = browser_of(User.objects.create_superuser("boss"))
        address = f"/admin/auth/user/{otto.pk}/change/"
        fields = pages.fields_of(site, address)
        fields = {name: value for name, value in fields.items() if value is not None} | {"first_name": "Otto"}
        assert site.post(address, {**fields, "_save": "Save"}).status_code == 302
        assert User.objects.get(pk=otto.pk).first_name == "Otto"

    def test_says_what_does_not_go_together(self, site, otto, press):
        operators = Group.objects.get(name=Role.OPERATOR)
        two = give(site, user=otto.pk, group=operators.pk, right="view")
        assert two == ["group: Fill in exactly one of user, group and key."]
        nobody = give(site, right="view")
        assert nobody == ["key: Fill in exactly one of user, group and key."]
        assert give(site, user=otto.pk, right="view", plc=press.pk, area="Hall A") == [
            "area: Choose a PLC or an area, not both."
        ]
        assert give(site, user=otto.pk, right="view", ceilings="batch_size 5") == [
            "ceilings: Goes with “execute commands” only."
        ]
        assert not Grant.objects.filter(user=otto).exists()

    def test_is_taken_away(self, site, otto):
        (row,) = grant(otto, Right.VIEW)
        assert site.post(f"{ADMIN}grant/{row.pk}/delete/", {"post": "yes"}).status_code == 302
        assert not Grant.objects.filter(pk=row.pk).exists()


class TestGiver:
    def test_gives_nothing_to_himself(self, site, keeper):
        complaints = give(site, user=keeper.pk, right="view")
        assert complaints == ["user: You cannot give rights to yourself: ask another security admin."]
        assert not keeper.grants.exists()

    def test_gives_nothing_to_a_group_that_he_is_in(self, site, keeper):
        keeper.groups.add(Group.objects.create(name="Night shift"))
        for group in keeper.groups.all():
            (complaint,) = give(site, group=group.pk, right="view")
            assert complaint.startswith("group: You are in this group")
        assert not Grant.objects.filter(group__in=keeper.groups.all()).exists()

    def test_does_not_turn_anothers_grant_into_his_own(self, site, keeper, otto):
        (row,) = grant(otto, Right.VIEW)
        address = f"grant/{row.pk}/change/"
        complaints = pages.send(site, address, pages.fields_of(site, address) | {"user": keeper.pk})
        assert complaints == ["user: You cannot give rights to yourself: ask another security admin."]
        assert Grant.objects.get(pk=row.pk).user == otto

    def test_changes_nothing_of_his_own(self, site, keeper):
        (row,) = grant(keeper, Right.VIEW, area="Hall A")
        for page in ("change", "delete"):
            answer = site.post(f"{ADMIN}grant/{row.pk}/{page}/", {"post": "yes", "user": keeper.pk, "right": "execute"})
            assert answer.status_code == 403
        assert str(Grant.objects.get(pk=row.pk)) == "user sven may view on the area Hall A"


class TestOthers:
    @pytest.mark.parametrize("role", [Role.ENGINEER, Role.OPERATOR, Role.VIEWER, Role.MES])
    def test_have_no_page_of_grants(self, role):
        site = browser_of(member(role))
        for page in ("", "add/"):
            assert site.get(f"{ADMIN}grant/{page}").status_code in (302, 403)
        before = Grant.objects.count()
        site.post(f"{ADMIN}grant/add/", {"user": User.objects.get().pk, "right": "execute"})
        assert Grant.objects.count() == before

    def test_who_audit_read_them_only(self, otto):
        site = browser_of(member(Role.AUDITOR))
        (row,) = grant(otto, Right.VIEW)
        assert "otto" in site.get(f"{ADMIN}grant/").content.decode()
        assert site.get(f"{ADMIN}grant/{row.pk}/change/").status_code == 200
        assert site.post(f"{ADMIN}grant/{row.pk}/change/", {"right": "execute"}).status_code == 403
        assert site.post(f"{ADMIN}grant/{row.pk}/delete/", {"post": "yes"}).status_code == 403
        assert Grant.objects.get(pk=row.pk).right == "view"
