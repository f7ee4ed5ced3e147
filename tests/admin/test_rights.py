"""Who may only look sees everything and changes nothing."""

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from devices.models import APIKey, Command, Right, Step
from tests.access import grant
from tests.admin import pages
from tests.models import rows


@pytest.fixture
def viewer(transactional_db):
    user = User.objects.create_user("operator", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__startswith="view_"))
    grant(user, Right.VIEW)
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def addresses(profile, command):
    plc, tag, key = rows.stored(rows.plc(profile)), profile.tags.first(), rows.stored(_key())
    kinds = {"profile": profile, "tag": tag, "command": command, "plc": plc, "apikey": key}
    return [f"/admin/devices/{kind}/{row.pk}/" for kind, row in kinds.items()]


def _key():
    key = APIKey(name="mes")
    key.issue()
    return key


class TestViewer:
    def test_sees_every_page(self, viewer, addresses):
        for address in addresses:
            assert viewer.get(f"{address}change/").status_code == 200
        page = viewer.get(addresses[2] + "change/").content.decode()
        assert "write batch_size set {batch_size}" in page

    def test_changes_nothing(self, viewer, addresses):
        for address in addresses:
            add = address.rstrip("/").rpartition("/")[0] + "/add/"
            for page in (f"{address}change/", f"{address}delete/", add):
                assert viewer.post(page, {"name": "mine", "post": "yes"}).status_code == 403
        assert viewer.get("/admin/devices/command/add/").status_code == 403

    def test_revokes_no_key(self, viewer, addresses):
        revoke = {"action": "revoke", "_selected_action": [APIKey.objects.get().pk], "post": "yes"}
        viewer.post("/admin/devices/apikey/", revoke)
        assert APIKey.objects.get().revoked_at is None


class TestStepsOnly:
    def test_may_use_the_parameters_that_are_there(self, viewer, command, profile):
        user = User.objects.get()
        rights = ["change_command", "change_step", "add_step"]
        grant(user, Right.ADMINISTER)
        user.user_permissions.add(*Permission.objects.filter(codename__in=rights))
        address = f"command/{command.pk}/change/"
        fields = pages.fields_of(viewer, address)
        tag = profile.tags.get(name="batch_size")
        pages.add_row(fields, "steps", phase="write", tag=tag.pk, operator="set", value="{batch_size}")
        assert pages.send(viewer, address, fields) == []
        assert Step.objects.filter(parameter__name="batch_size").count() == 2
        assert Command.objects.get().parameters.get().default == 15
