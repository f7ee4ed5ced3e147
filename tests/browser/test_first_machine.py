"""From an empty gateway to a result on the screen, as an engineer gets there."""

import time

import httpx
import pytest
from django.contrib.auth.models import User
from playwright.sync_api import BrowserContext, Locator, Page, expect

from devices.models import PLC, Run, State
from tests.browser.watch import mark, was_reloaded

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

PUSH_MS = 3000  # promised is one second; a busy computer gets more


@pytest.fixture
def environment(environment, press):
    """A login is asked for; the profile is there, the PLC is not."""
    PLC.objects.all().delete()
    User.objects.create_superuser("anna", password="correct horse battery")
    return {**environment, "LIVE_PUBLIC": ""}


def log_in(page: Page, address: str) -> None:
    page.goto(address)
    page.get_by_label("Username").fill("anna")
    page.get_by_label("Password").fill("correct horse battery")
    page.get_by_role("button", name="Log in").click()


def add_plc(admin: Page, port: int) -> None:
    admin.get_by_role("link", name="Add PLC").click()
    for label, text in {"Name": "press-1", "Title": "Press 1", "Area": "Hall A", "Host": "127.0.0.1"}.items():
        admin.get_by_label(f"{label}:", exact=True).fill(text)
    admin.get_by_label("Profile:").select_option("batch-machine")
    admin.get_by_label("Port:").fill(str(port))
    admin.get_by_role("button", name="Save", exact=True).click()
    expect(admin.locator(".messagelist .success")).to_contain_text("press-1")


def expect_soon(shown: Locator) -> None:
    """It arrives as news do; how long it took is told only where it did not."""
    asked_at = time.monotonic()
    try:
        expect(shown).to_be_visible(timeout=PUSH_MS)
    except AssertionError as error:
        raise AssertionError(f"not there after {time.monotonic() - asked_at:.2f} s: {error}") from error


class TestAnEngineer:
    def test_adds_a_plc_and_sees_it_and_its_first_result_on_a_page_that_was_open_before(
        self, context: BrowserContext, page: Page, watch, server, machine, mes: httpx.Client
    ):
        live, admin = page, context.new_page()
        log_in(live, server.url)
        expect(live.get_by_text("No PLC is registered yet.")).to_be_visible()
        expect(live.get_by_text("Nothing has run yet.")).to_be_visible()
        mark(live)

        admin.goto(f"{server.url}/admin/devices/plc/")
        add_plc(admin, machine.server.port)
        card = live.locator("[data-plc=press-1]")
        expect_soon(card)
        expect(card).to_contain_text("Not checked")

        answer = mes.put(f"{server.url}/api/start/press-1", json={"batsize": 15, "noksize": 3})
        assert answer.status_code == 200
        row = live.locator(f"#rows [data-run='{answer.json()['id']}'][data-state=succeeded]")
        expect_soon(row)
        expect(row).to_contain_text("batch_size\u00a015, nok_num\u00a03")
        expect(row).to_contain_text("batch_number\u00a01")
        expect(row).to_contain_text("key mes")
        expect(card).to_contain_text("Online")
        expect(card).to_contain_text("Succeeded")

        assert Run.objects.get().state == State.SUCCEEDED
        assert not was_reloaded(live)
        assert watch.complaints == []
