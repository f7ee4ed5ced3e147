"""An engineer of Hall A works on the machines of Hall A, and on what they alone share."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from devices.models import PLC, APIKey, Command, Grant, LockOut, Profile, Right, Run, Step, Tag
from tests.access import grant
from tests.admin import pages
from tests.admin.people import browser_of, engineer_of
from tests.models import rows

pytestmark = pytest.mark.usefixtures("roles")

ADMIN = "/admin/devices/"


@pytest.fixture
def here(profile) -> PLC:
    return rows.stored(rows.plc(profile, area="Hall A"))


@pytest.fixture
def there(here) -> PLC:
    """Of another machine type, in another hall."""
    oven = rows.stored(rows.profile(name="oven"))
    rows.stored(rows.coil(oven, name="heat"))
    return rows.stored(rows.plc(oven, name="oven-1", area="Hall B", host="oven-1.plant"))


@pytest.fixture
def anna(here, there) -> User:
    return engineer_of(area="Hall A")


@pytest.fixture
def site(anna) -> Client:
    return browser_of(anna)


def address_of(row: Any) -> str:
    return f"{row._meta.model_name}/{row.pk}/change/"


def text_of(site: Client, address: str) -> str:
    answer = site.get(ADMIN + address)
    assert answer.status_code == 200
    return answer.content.decode()


class TestPLC:
    def test_of_the_area_is_listed_and_no_other(self, site):
        text = text_of(site, "plc/")
        assert "press-1" in text
        assert "oven-1" not in text
        assert "Hall B" not in text

    def test_of_the_area_is_changed(self, site, here):
        fields = pages.fields_of(site, address_of(here))
        assert pages.send(site, address_of(here), fields | {"title": "Mine"}) == []
        assert PLC.objects.get(pk=here.pk).title == "Mine"

    @pytest.mark.parametrize("page", ["change", "delete", "history"])
    def test_of_another_area_is_not_there(self, site, there, page):
        address = f"{ADMIN}plc/{there.pk}/{page}/"
        before = PLC.objects.filter(pk=there.pk).values().get()
        for answer in (site.get(address), site.post(address, {"post": "yes", "title": "Mine"})):
            assert (answer.status_code, answer.get("Location")) in [(302, "/admin/"), (404, None), (405, None)]
        assert PLC.objects.filter(pk=there.pk).values().get() == before

    def test_that_may_only_be_looked_at_is_shown_and_says_why(self, site, anna, there):
        grant(anna, Right.VIEW, plc=there)
        text = text_of(site, address_of(there))
        assert "You may look at oven-1, and do not administer it." in text
        assert 'name="_save"' not in text
        for page in ("change", "delete"):
            answer = site.post(f"{ADMIN}plc/{there.pk}/{page}/", {"post": "yes", "title": "Mine"})
            assert answer.status_code == 403
        assert PLC.objects.get(pk=there.pk).title == ""

    def test_is_added_in_the_area(self, site, here):
        fields = pages.fields_of(site, "plc/add/")
        new = {"name": "press-2", "host": "192.168.0.11", "profile": here.profile_id, "area": "Hall A"}
        assert pages.send(site, "plc/add/", fields | new) == []
        assert PLC.objects.filter(name="press-2", area="Hall A").exists()

    @pytest.mark.parametrize(("area", "place"), [("Hall B", "the area Hall B"), ("", "no area")])
    def test_is_not_added_elsewhere(self, site, here, area, place):
        fields = pages.fields_of(site, "plc/add/")
        new = {"name": "press-2", "host": "192.168.0.11", "profile": here.profile_id, "area": area}
        complaints = pages.send(site, "plc/add/", fields | new)
        assert complaints == [f"area: You do not administer PLCs of {place}. Yours: Hall A."]
        assert not PLC.objects.filter(name="press-2").exists()

    @pytest.mark.parametrize(
        "reached_by",
        [
            {"host": "oven-1.plant"},
            {"host": "OVEN-1.Plant"},
            {"host": "oven-1.plant", "unit_id": 7},
        ],
    )
    def test_leads_to_no_machine_of_another_area(self, site, anna, here, there, reached_by):
        """Most PLCs ignore the unit id: with another one it is the same machine."""
        words = "is registered at this host and port: who administers both may use them here too."
        change = pages.fields_of(site, address_of(here)) | reached_by
        assert pages.send(site, address_of(here), change) == [f"host: A PLC that you do not administer {words}"]
        new = {"name": "press-2", "profile": here.profile_id, "area": "Hall A"} | reached_by
        add = pages.fields_of(site, "plc/add/") | new
        assert pages.send(site, "plc/add/", add) == [f"host: A PLC that you do not administer {words}"]
        copied = site.post(ADMIN + address_of(here), {**change, "name": "press-2", "_saveasnew": "Save as new"})
        assert "A PLC that you do not administer is registered" in copied.content.decode()
        assert [plc.host for plc in PLC.objects.order_by("id")] == ["192.168.0.10", "oven-1.plant"]
        grant(anna, Right.VIEW, plc=there)
        complaints = pages.send(site, address_of(here), change)
        assert complaints == [f"host: oven-1, which you do not administer, {words}"]

    def test_leads_to_no_address_of_another_area_written_otherwise(self, site, here, there):
        PLC.objects.filter(pk=there.pk).update(host="192.168.0.11")
        fields = pages.fields_of(site, address_of(here)) | {"host": "::ffff:192.168.0.11"}
        (complaint,) = pages.send(site, address_of(here), fields)
        assert complaint.startswith("host: A PLC that you do not administer is registered at this host and port")

    def test_shares_host_and_port_with_ones_own(self, site, here):
        fields = pages.fields_of(site, "plc/add/") | {"profile": here.profile_id, "area": "Hall A", "host": here.host}
        for name, unit in (("press-2", 2), ("press-3", 2)):
            assert pages.send(site, "plc/add/", fields | {"name": name, "unit_id": unit}) == []

    def test_that_shares_them_with_anothers_since_before_is_edited_and_disabled_all_the_same(self, site, here, there):
        PLC.objects.filter(pk=there.pk).update(host=here.host)
        fields = pages.fields_of(site, address_of(here)) | {"title": "Mine"}
        del fields["is_enabled"]
        assert pages.send(site, address_of(here), fields) == []
        (complaint,) = pages.send(site, address_of(here), fields | {"is_enabled": "on"})
        assert complaint.startswith("host: A PLC that you do not administer")

    def test_is_not_copied_elsewhere(self, site, here):
        fields = pages.fields_of(site, address_of(here)) | {"name": "press-2", "area": "Hall B"}
        answer = site.post(ADMIN + address_of(here), {**fields, "_saveasnew": "Save as new"})
        assert "You do not administer PLCs of the area Hall B." in answer.content.decode()
        assert PLC.objects.count() == 2

    def test_stays_in_the_area(self, site, here):
        fields = pages.fields_of(site, address_of(here))
        complaints = pages.send(site, address_of(here), fields | {"area": "Hall B"})
        answer = site.post(ADMIN + address_of(here), fields | {"area": "Hall B"})
        assert 'name="_save"' in answer.content.decode()
        assert complaints == ["area: You do not administer PLCs of the area Hall B. Yours: Hall A."]
        assert PLC.objects.get(pk=here.pk).area == "Hall A"

    def test_that_is_administered_alone_is_changed_where_it_stands(self, here, there):
        site = browser_of(engineer_of(plc=here))
        fields = pages.fields_of(site, address_of(here))
        assert pages.send(site, address_of(here), fields | {"title": "Mine"}) == []
        moved = pages.send(site, address_of(here), fields | {"area": "Hall B"})
        assert moved == ["area: You do not administer PLCs of the area Hall B. Yours: no area."]
        assert site.get(f"{ADMIN}plc/add/").status_code == 403

    def test_is_deleted_with_what_was_granted_on_it(self, site, anna, here):
        grant(User.objects.create_user("otto"), Right.VIEW, plc=here)
        LockOut.objects.create(plc=here, by="user otto", reason="a new belt")
        site.post(f"{ADMIN}plc/{here.pk}/delete/", {"post": "yes"})
        assert not PLC.objects.filter(pk=here.pk).exists()
        assert {row.user for row in Grant.objects.filter(user__isnull=False)} == {anna}

    def test_needs_a_right_and_a_permission(self, site, anna, here):
        anna.groups.clear()
        assert site.get(ADMIN + address_of(here)).status_code == 403
        assert site.post(ADMIN + address_of(here), {"title": "Mine"}).status_code == 403

    def test_is_lost_at_once_with_the_right(self, site, anna, here):
        fields = pages.fields_of(site, address_of(here))
        anna.grants.all().delete()
        answer = site.post(ADMIN + address_of(here), fields | {"title": "Mine"})
        assert answer.status_code == 302
        assert answer["Location"] == "/admin/"
        assert PLC.objects.get(pk=here.pk).title == ""


class TestWhatMachinesShare:
    """The PLC of Hall B is of this type too, so what is changed here would change it."""

    @pytest.fixture
    def shared(self, profile, command, there) -> list[Any]:
        there.profile = profile
        there.save()
        return [profile, profile.tags.get(name="start"), command]

    def test_is_changed_while_all_its_machines_are_ones_own(self, site, profile, command):
        for row in (profile, profile.tags.get(name="start"), command):
            fields = pages.fields_of(site, address_of(row))
            assert pages.send(site, address_of(row), fields | {"description": "Mine"}) == []
            assert type(row).objects.get(pk=row.pk).description == "Mine"

    def test_is_looked_at_only_and_says_why(self, site, shared):
        for row in shared:
            text = text_of(site, address_of(row))
            assert "The profile batch-machine describes PLCs that you do not administer, too" in text
            assert 'name="_save"' not in text

    def test_is_neither_changed_nor_deleted(self, site, shared, command):
        for row in shared:
            for page in ("change", "delete"):
                answer = site.post(f"{ADMIN}{row._meta.model_name}/{row.pk}/{page}/", {"post": "yes", "name": "mine"})
                assert answer.status_code == 403
            assert type(row).objects.get(pk=row.pk) == row
        assert Step.objects.filter(command=command).count() == 3

    def test_gets_no_tag_and_no_command(self, site, shared, profile):
        tag = {"profile": profile.pk, "name": "mine", "table": "coil", "address": 9, "data_type": "bool"}
        complaints = pages.send(site, "tag/add/", pages.fields_of(site, "tag/add/") | tag)
        assert [text.partition(" describes")[0] for text in complaints] == ["profile: The profile batch-machine"]
        add = f"command/add/?profile={profile.pk}"
        fields = pages.fields_of(site, add) | {"name": "mine"}
        start = {"phase": "trigger", "tag": profile.tags.get(name="start").pk, "operator": "set", "value": "true"}
        pages.change_row(fields, "steps", 0, **start)
        assert pages.send(site, add, fields)[0].startswith("profile: The profile batch-machine describes PLCs")
        assert site.get(f"{ADMIN}command/add/pattern/?profile={profile.pk}").status_code == 403
        assert not Tag.objects.filter(name="mine").exists()
        assert not Command.objects.filter(name="mine").exists()

    def test_is_not_offered_for_a_new_command(self, site, shared):
        rows.stored(rows.profile(name="packer"))
        rows.stored(rows.profile(name="mixer"))
        assert b"batch-machine" not in site.get(f"{ADMIN}command/add/").content

    def test_of_no_machine_yet_is_free_to_who_administers_something(self, site, anna):
        packer = rows.stored(rows.profile(name="packer"))
        fields = pages.fields_of(site, address_of(packer))
        assert pages.send(site, address_of(packer), fields | {"description": "Mine"}) == []
        anna.grants.filter(right=Right.ADMINISTER).delete()
        assert site.post(ADMIN + address_of(packer), fields).status_code == 403
        assert site.get(f"{ADMIN}profile/add/").status_code == 403

    def test_names_only_the_machines_that_one_may_see(self, site, shared, profile):
        text = text_of(site, address_of(profile))
        assert "press-1" in text
        assert "oven-1" not in text
        assert "/plc/add/" in text
        assert "/command/add/" not in text


class TestListOfTags:
    """The intervals are edited in the list, where tags of all machine types stand side by side."""

    def fields(self, site: Client) -> tuple[Any, dict[str, Any]]:
        page = site.get(f"{ADMIN}tag/")
        formset = page.context["cl"].formset
        fields = {f"form-{name}": value for name, value in formset.management_form.initial.items()}
        for form in formset.forms:
            fields[f"{form.prefix}-id"] = form.instance.pk
            if not form["poll_interval_ms"].field.disabled:
                fields[f"{form.prefix}-poll_interval_ms"] = form["poll_interval_ms"].value()
                fields[f"{form.prefix}-dead_band"] = 0
        return formset, fields

    def prefix_of(self, formset: Any, name: str) -> str:
        return next(form.prefix for form in formset.forms if form.instance.name == name)

    def test_changes_those_of_ones_own(self, site):
        formset, fields = self.fields(site)
        fields[self.prefix_of(formset, "start") + "-poll_interval_ms"] = 750
        answer = site.post(f"{ADMIN}tag/", {**fields, "_save": "Save"})
        assert answer.status_code == 302
        assert Tag.objects.get(name="start").poll_interval_ms == 750

    def test_refuses_to_change_others(self, site, there):
        before = Tag.objects.filter(name="heat").values().get()
        formset, fields = self.fields(site)
        fields[self.prefix_of(formset, "start") + "-poll_interval_ms"] = 750
        fields[self.prefix_of(formset, "heat") + "-poll_interval_ms"] = 750
        answer = site.post(f"{ADMIN}tag/", {**fields, "_save": "Save"})
        assert answer.status_code == 200
        assert "The profile oven describes PLCs that you do not administer, too" in answer.content.decode()
        assert Tag.objects.filter(name="heat").values().get() == before
        assert Tag.objects.get(name="start").poll_interval_ms != 750

    def test_has_no_field_for_others(self, site):
        formset, _ = self.fields(site)
        shut = {form.instance.name: form["is_recorded"].field.disabled for form in formset.forms}
        assert shut == {"ack": False, "batch_size": False, "start": False, "heat": True}


class TestRuns:
    @pytest.fixture
    def runs(self, here, there) -> dict[str, Run]:
        asked = {"command": "make", "accepted_at": timezone.now()}
        return {plc.name: Run.objects.create(plc=plc, plc_name=plc.name, **asked) for plc in (here, there)}

    def test_are_listed_of_ones_own_machines(self, site, runs):
        text = text_of(site, "run/")
        assert "press-1" in text
        assert "oven-1" not in text
        assert "oven-1" not in text_of(site, "run/?plc__id__exact=999999")

    def test_of_others_have_no_page(self, site, runs):
        assert site.get(f"{ADMIN}run/{runs['press-1'].pk}/change/").status_code == 200
        for page in ("change", "history"):
            answer = site.get(f"{ADMIN}run/{runs['oven-1'].pk}/{page}/")
            assert (answer.status_code, answer.get("Location")) in [(302, "/admin/"), (404, None)]

    def test_are_not_shown_to_who_may_only_say_how_they_ended(self, site, anna, runs):
        anna.groups.get().permissions.remove(*anna.groups.get().permissions.filter(codename="view_run"))
        assert site.get(f"{ADMIN}run/").status_code == 403


class TestEngineer:
    @pytest.mark.parametrize("kind", ["auth/user", "auth/group", "devices/grant", "devices/apikey"])
    def test_grants_nothing(self, site, kind):
        for page in ("", "add/"):
            assert site.get(f"/admin/{kind}/{page}").status_code in (403, 404)
            assert site.post(f"/admin/{kind}/{page}", {"name": "mine", "username": "mine"}).status_code in (403, 404)
        assert not APIKey.objects.exists()
        assert User.objects.count() == 1

    def test_of_all_places_works_everywhere(self, there):
        site = browser_of(engineer_of())
        fields = pages.fields_of(site, address_of(there))
        assert pages.send(site, address_of(there), fields | {"area": "Hall C", "title": "Mine"}) == []
        assert pages.send(site, address_of(there.profile), pages.fields_of(site, address_of(there.profile))) == []
        assert Profile.objects.count() == 2
