"""A plant has no internet: no page calls anybody but the gateway, and none complains."""

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import BrowserContext, Page, expect

from devices.models import PLC, Run, State

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

MARKUP = '<img src=x onerror="alert(1)">'


@pytest.fixture
def environment(environment, press):
    """With a machine that has run."""
    text = {"plc_name": press.name, "command": "start_batch", "caller": f"user {MARKUP}", "detail": MARKUP}
    trace = [{"at_ms": 1.2, "phase": "check", "tag": MARKUP, "operator": "==", "read": MARKUP}]
    results = {"result": {MARKUP: MARKUP}, "trace": trace, "state": State.FAILED}
    Run.objects.create(plc=press, accepted_at="2026-01-01T12:00:00Z", **text, **results)
    PLC.objects.update(title=MARKUP)
    return environment


@pytest.fixture
def admin_pages(press) -> dict[str, str]:
    run, profile, command = Run.objects.get().pk, press.profile.pk, press.profile.commands.first().pk
    places = {
        "index": "",
        "PLCs": "devices/plc/",
        "a PLC": f"devices/plc/{press.pk}/change/",
        "a profile": f"devices/profile/{profile}/change/",
        "a command": f"devices/command/{command}/change/",
        "runs": "devices/run/",
        "a run": f"devices/run/{run}/change/",
        "keys": "devices/apikey/",
    }
    return {name: f"/admin/{place}" for name, place in places.items()}


@pytest.fixture(autouse=True)
def _no_internet(watch, context: BrowserContext, server) -> None:
    """Whoever is called outside does not answer."""
    context.route(lambda address: not address.startswith(server.url), lambda route: route.abort())


class TestPages:
    def test_of_the_admin_call_nobody_complain_of_nothing_and_show_text_as_text(
        self, page: Page, server, engineer, admin_pages, watch
    ):
        User.objects.update(username=MARKUP)
        for name, address in admin_pages.items():
            answer = page.goto(server.url + address)
            assert answer is not None
            assert answer.status == 200, name
            page.wait_for_load_state("networkidle")
            assert page.locator("img[src=x]").count() == 0, name
        page.goto(server.url + admin_pages["runs"])
        expect(page.locator("#result_list .field-detail")).to_have_text(MARKUP)
        expect(page.locator("#user-tools")).to_contain_text(MARKUP)
        assert watch.dialogs == []
        assert watch.complaints == []
        assert watch.hosts() == {f"127.0.0.1:{server.port}"}

    def test_for_everybody_call_nobody_and_complain_of_nothing(self, page: Page, server, watch):
        for address in ("/", "/admin/login/"):
            page.goto(server.url + address)
            page.wait_for_load_state("networkidle")
        assert watch.complaints == []
        assert watch.hosts() == {f"127.0.0.1:{server.port}"}


class TestAPIDocs:
    def test_show_how_to_start_a_batch_without_the_internet(self, page: Page, server, engineer, watch):
        page.goto(f"{server.url}/api/docs")
        start = page.locator("#operations-Commands-start_batch")
        expect(start).to_contain_text("/api/start/{id}")
        start.get_by_role("button").first.click()
        expect(start).to_contain_text("batsize")
        expect(start).to_contain_text("name or number of a PLC")
        page.wait_for_load_state("networkidle")
        assert watch.complaints == []
        assert watch.hosts() == {f"127.0.0.1:{server.port}"}

    def test_of_one_plc_run_its_command_for_who_is_logged_in(self, page: Page, server, engineer, machine, watch):
        page.goto(f"{server.url}/api/plcs/press-1/docs")
        start = page.locator("#operations-Commands-start_batch")
        expect(start).to_contain_text("/api/plcs/press-1/commands/start_batch")
        start.get_by_role("button").first.click()
        start.get_by_role("button", name="Try it out").click()
        start.locator("textarea.body-param__text").fill('{"batch_size": 7}')
        start.get_by_role("button", name="Execute").click()
        expect(start.locator(".live-responses-table .response-col_status").last).to_contain_text("200")
        expect(start.locator(".live-responses-table")).to_contain_text('"batch_number": 1')
        assert page.locator("img[src=x]").count() == 0
        assert watch.complaints == []
        assert watch.hosts() == {f"127.0.0.1:{server.port}"}
