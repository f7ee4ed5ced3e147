"""The list of lock-outs: to look at, nothing more; a PLC that was once locked can still be deleted."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from devices.models import PLC, LockOut
from tests.admin.people import browser_of, engineer_of
from tests.models import rows

LIST = "/admin/devices/lockout/"


@pytest.fixture
def press(profile) -> PLC:
    return rows.stored(rows.plc(profile))


def lock_out(plc: PLC, **more: object) -> LockOut:
    return LockOut.objects.create(plc=plc, by="user eva", reason="<b>belt</b>", **more)


class TestTheList:
    def test_shows_who_and_why_and_which_of_them_hold(self, engineer: Client, press: PLC):
        now = timezone.now()
        lock_out(press, lifted_at=now, lifted_by="user otto")
        lock_out(press, until=now - timedelta(hours=1))
        page = engineer.get(LIST).content.decode()
        assert "&lt;b&gt;belt&lt;/b&gt;" in page
        assert "user otto" in page
        assert page.count('alt="False"') == 2
        LockOut.objects.all().delete()
        lock_out(press)
        assert engineer.get(LIST).content.decode().count('alt="True"') == 1

    def test_changes_nothing(self, engineer: Client, press: PLC):
        row = lock_out(press)
        assert engineer.get(f"{LIST}{row.pk}/change/").status_code == 200
        for page in (f"{LIST}{row.pk}/change/", f"{LIST}{row.pk}/delete/", f"{LIST}add/"):
            assert engineer.post(page, {"reason": "mine", "post": "yes"}).status_code == 403
        row.refresh_from_db()
        assert (row.reason, row.lifted_at) == ("<b>belt</b>", None)


class TestWhoSeesOnePLC:
    @pytest.fixture
    def others(self, press: PLC) -> LockOut:
        """Of a PLC that this person does not see."""
        return lock_out(rows.stored(rows.plc(press.profile, name="oven-7")))

    def test_sees_its_lock_outs_alone(self, press: PLC, others: LockOut, roles):
        own = lock_out(press)
        site = browser_of(engineer_of(plc=press))
        answer = site.get(LIST)
        assert list(answer.context["cl"].queryset) == [own]
        assert "oven-7" not in answer.content.decode()  # nor in the choice of PLCs
        assert press.name in answer.content.decode()
        assert site.get(f"{LIST}{own.pk}/change/").status_code == 200

    @pytest.mark.parametrize("page", ["change/", "history/"])
    def test_finds_no_page_of_others(self, press: PLC, others: LockOut, roles, page):
        answer = browser_of(engineer_of(plc=press)).get(f"{LIST}{others.pk}/{page}", follow=True)
        assert "belt" not in answer.content.decode()
        assert "oven-7" not in answer.content.decode()

    def test_gets_none_of_others_by_an_address_that_asks_for_them(self, press: PLC, others: LockOut, roles):
        answer = browser_of(engineer_of(plc=press)).get(f"{LIST}?plc__id__exact={others.plc_id}")
        assert list(answer.context["cl"].queryset) == []
