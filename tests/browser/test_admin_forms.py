"""The admin as an engineer fills it in."""

import time
from itertools import pairwise

import pytest
from django.contrib.auth.models import User
from django.utils import timezone
from playwright.sync_api import Locator, Page, expect

from devices.api.keys import LOOK_S
from devices.models import PLC, APIKey, Command, Profile, Run, Tag
from tests.access import grant

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("engineer")]


@pytest.fixture
def environment(environment, press):
    """With a machine."""
    return environment


def save(page: Page) -> None:
    page.get_by_role("button", name="Save", exact=True).click()


def complaint_at(field: Locator) -> Locator:
    """What stands in a form's row beside its field."""
    return field.locator("xpath=ancestor::div[contains(@class, 'form-row')]").locator(".errorlist")


class TestAWrongValue:
    def test_of_a_plc_is_told_at_its_field_and_nothing_is_stored(self, page, server):
        page.goto(f"{server.url}/admin/devices/plc/add/")
        page.get_by_label("Name:", exact=True).fill("press-2")
        page.get_by_label("Profile:").select_option("batch-machine")
        page.get_by_label("Host:").fill("http://10.0.0.7/")
        page.get_by_label("Port:").fill("70000")
        save(page)
        expect(complaint_at(page.get_by_label("Host:"))).to_contain_text("without http://")
        expect(complaint_at(page.get_by_label("Port:"))).to_contain_text("Must be 1 to 65535.")
        expect(complaint_at(page.get_by_label("Name:", exact=True))).to_have_count(0)
        expect(page.get_by_label("Host:")).to_have_value("http://10.0.0.7/")
        assert not PLC.objects.filter(name="press-2").exists()

    def test_of_a_tag_is_told_above_its_row_and_marks_its_field(self, page, server):
        profile = Profile.objects.get()
        before = Tag.objects.count()
        page.goto(f"{server.url}/admin/devices/profile/{profile.pk}/change/")
        for address, table, data_type in (("70000", "4x holding", "uint16"), ("8", "0x coil", "float32")):
            page.get_by_text("Add another Tag").click()
            row = page.locator("tr.dynamic-tags").last
            row.locator("[name$=-name]").fill(f"tag_{address}")
            row.locator("[name$=-table]").select_option(table)
            row.locator("[name$=-address]").fill(address)
            row.locator("[name$=-data_type]").select_option(data_type)
        save(page)
        told = page.locator(".row-form-errors")
        expect(told.nth(0)).to_contain_text("Address: Must be 0 to 65535: addresses count from zero")
        expect(told.nth(1)).to_contain_text("Type: ")
        expect(page.locator("td.field-address .errorlist")).to_have_count(1)
        expect(page.locator("td.field-data_type .errorlist")).to_have_count(1)
        assert Tag.objects.count() == before

    def test_of_a_new_profile_can_be_mended_in_place(self, page, server):
        page.goto(f"{server.url}/admin/devices/profile/add/")
        page.get_by_label("Name:", exact=True).fill("Mixer 2000")
        save(page)
        expect(complaint_at(page.get_by_label("Name:", exact=True))).to_contain_text("for example")
        page.get_by_label("Name:", exact=True).fill("mixer-2000")
        save(page)
        expect(page.locator(".messagelist .success")).to_contain_text("mixer-2000")
        assert Profile.objects.filter(name="mixer-2000").exists()


class TestAnAPIKey:
    def test_is_shown_once_and_works(self, page, server, mes):
        page.goto(f"{server.url}/admin/devices/apikey/add/")
        page.get_by_label("Name:", exact=True).fill("mes-line-1")
        page.get_by_label("Owner:").select_option(index=1)
        save(page)
        expect(page.get_by_text("This is the only time that the key is shown.")).to_be_visible()
        key = page.get_by_label("X-API-Key").input_value()
        nothing_granted = mes.put(f"{server.url}/api/start/press-1", headers={"X-API-Key": key})
        assert nothing_granted.status_code == 404
        grant(APIKey.objects.get(name="mes-line-1"))
        time.sleep(LOOK_S)  # another process granted it than the one that serves
        answer = mes.put(f"{server.url}/api/start/press-1", headers={"X-API-Key": key})
        assert (answer.status_code, answer.json()["caller"]) == (200, "key mes-line-1")

        page.get_by_role("link", name="I have copied it").click()
        page.get_by_role("link", name="mes-line-1").click()
        expect(page.locator(".field-name .readonly")).to_have_text("mes-line-1")
        secret = key.split("_")[3]
        assert secret not in page.content()
        page.go_back()
        assert secret not in page.content()


class TestTheStepsOfACommand:
    SENTENCE = "the machine still acknowledges an earlier start, whose start bit was not cleared: clear it at the panel"

    @pytest.fixture
    def steps(self, page, server):
        command = Command.objects.get(name="start_batch")
        command.steps.filter(phase="check").update(message=self.SENTENCE)
        page.goto(f"{server.url}/admin/devices/command/{command.pk}/change/")
        return page.locator("#steps-group")

    def test_show_each_message_whole_at_a_desk(self, page, steps):
        page.set_viewport_size({"width": 1280, "height": 900})
        messages = steps.locator("tr.has_original [name$=-message]")
        cut = messages.evaluate_all(
            "all => all.filter(m => m.scrollHeight > m.clientHeight || m.scrollWidth > m.clientWidth)"
        )
        assert (cut, messages.first.input_value()) == ([], self.SENTENCE)
        message, tag = (steps.locator(f"td.field-{name}").first.bounding_box()["width"] for name in ("message", "tag"))
        assert message > 1.4 * tag

    def test_say_on_a_phone_that_they_go_on_to_the_right_until_their_end_is_reached(self, page, steps):
        table = steps.locator(".wide")
        assert (arrow(page, table, 1280), arrow(page, table, 390)) == ("hidden", "visible")
        table.evaluate("table => table.scrollLeft = table.scrollWidth")
        page.wait_for_function(
            "table => getComputedStyle(table, '::after').visibility == 'hidden'", arg=table.element_handle()
        )


def arrow(page: Page, table: Locator, width: int) -> str:
    """Whether the sign that a table goes on is there, in a window of this width."""
    page.set_viewport_size({"width": width, "height": 844})
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    return table.evaluate("table => getComputedStyle(table, '::after').visibility")


class TestTheRecordOfARun:
    def test_says_on_a_phone_where_a_table_goes_on(self, page, server, press):
        trace = [{"at_ms": 1, "phase": "check", "tag": "fault", "operator": "==", "read": False, "error": "no " * 20}]
        fields = {"plc_name": "press-1", "command": "start_batch", "state": "rejected", "accepted_at": timezone.now()}
        run = Run.objects.create(plc=press, trace=trace, **fields)
        page.goto(f"{server.url}/admin/devices/run/{run.pk}/change/")
        table = page.locator(".field-steps_taken .wide")
        assert (arrow(page, table, 1280), arrow(page, table, 390)) == ("hidden", "visible")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390


class TestTheFormOfAPerson:
    @pytest.mark.parametrize("width", [1280, 390])
    def test_has_its_fields_one_under_another_in_full_width(self, page, server, width):
        page.set_viewport_size({"width": width, "height": 900})
        for address in ("add/", f"{User.objects.get().pk}/password/"):
            page.goto(f"{server.url}/admin/auth/user/{address}")
            rows = [row.bounding_box() for row in page.locator("fieldset .form-row:visible").all()]
            assert len(rows) >= 2
            assert all(above["y"] + above["height"] <= below["y"] for above, below in pairwise(rows))
            assert min(row["width"] for row in rows) >= 0.7 * width
            assert page.evaluate("document.documentElement.scrollWidth") <= width
