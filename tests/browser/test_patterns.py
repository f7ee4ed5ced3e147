"""From a pattern to the steps of a command, as an engineer clicks it together; and the command then works."""

import re

import pytest
from playwright.sync_api import Page, expect

from devices.models import Command, Step

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("engineer")]

STEPS = [
    ("check", "fault", "==", "0"),
    ("check", "start_ack", "==", "0"),
    ("trigger", "start", "set", "1"),
    ("wait", "start_ack", "==", "1"),
    ("fail_if", "fault", "==", "1"),
    ("cleanup", "start", "set", "0"),
    ("cleanup", "start_ack", "==", "0"),
]


@pytest.fixture
def environment(environment, press):
    """With a machine."""
    return environment


def choose(page: Page, label: str, tag: str) -> None:
    """Pick a tag by its name; the list shows its place and type too."""
    field = page.get_by_label(f"{label}:", exact=True)
    shown = field.locator("option").filter(has_text=re.compile(rf"^\s*{tag} ·")).first.inner_text()
    field.select_option(label=shown)


def rows_of(page: Page) -> list[tuple[str, ...]]:
    """Phase, tag, operator and value of each step, as they stand in their inputs."""
    rows = page.locator("tr.has_original[id^=steps-]")
    return [
        (
            row.locator("[name$=-phase]").input_value(),
            row.locator("[name$=-tag] option:checked").inner_text().partition(" · ")[0],
            row.locator("[name$=-operator]").input_value(),
            row.locator("[name$=-value]").input_value(),
        )
        for row in rows.all()
    ]


class TestAFourPhaseHandshake:
    def test_is_chosen_given_its_tags_and_lands_on_the_command_with_its_steps(self, page, server, watch, mes):
        page.goto(f"{server.url}/admin/devices/command/add/")
        page.get_by_role("link", name="Start from a pattern").click()
        page.get_by_role("link", name="Four-phase handshake").click()
        page.get_by_label("Name:", exact=True).fill("start_plain")
        for label, tag in {"Request": "start", "Acknowledge": "start_ack", "Fault": "fault"}.items():
            choose(page, label, tag)
        page.get_by_role("button", name="Write the steps").click()

        expect(page.locator(".messagelist .success")).to_contain_text("The steps of “Four-phase handshake” are written")
        expect(page.get_by_label("Name:", exact=True)).to_have_value("start_plain")
        assert rows_of(page) == STEPS
        page.get_by_role("button", name="Save", exact=True).click()
        expect(page.locator(".messagelist .success")).to_contain_text("start_plain")
        expect(page.locator(".messagelist .warning")).to_have_count(0)

        answer = mes.post(f"{server.url}/api/plcs/press-1/commands/start_plain", json={})
        assert (answer.status_code, answer.json()["state"]) == (200, "succeeded")
        assert Step.objects.filter(command__name="start_plain").count() == len(STEPS)
        assert watch.complaints == []

    def test_that_takes_its_own_request_for_an_answer_is_told_and_nothing_is_stored(self, page, server):
        before = Command.objects.count()
        page.goto(f"{server.url}/admin/devices/command/add/")
        page.get_by_role("link", name="Start from a pattern").click()
        page.get_by_role("link", name="Four-phase handshake").click()
        page.get_by_label("Name:", exact=True).fill("start_plain")
        choose(page, "Request", "start")
        choose(page, "Acknowledge", "start")
        page.get_by_role("button", name="Write the steps").click()
        told = page.locator(".form-row.field-ack .errorlist")
        expect(told).to_contain_text("the machine's answer needs a place of its own")
        expect(page.get_by_label("Name:", exact=True)).to_have_value("start_plain")
        assert Command.objects.count() == before


class TestThePages:
    def test_are_never_wider_than_their_window(self, page, server):
        for pattern in ("", "handshake/", "status-word/", "packml/"):
            command = Command.objects.create(profile_id=Command.objects.first().profile_id, name=f"go{len(pattern)}")
            page.goto(f"{server.url}/admin/devices/command/{command.pk}/pattern/{pattern}")
            expect(page.locator("h1")).to_be_visible()
            for width in (390, 768, 1280):
                page.set_viewport_size({"width": width, "height": 844})
                assert page.evaluate("document.documentElement.scrollWidth") <= width
