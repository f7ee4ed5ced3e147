"""The policy that forbids whatever is not the gateway's own file breaks none of its pages, and stops what got in."""

import re

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page, expect

from devices.models import Run
from tests.browser.watch import Watch

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

PASSWORD = "a long word 17"


@pytest.fixture
def environment(environment, press):
    """With a machine that has run."""
    asked = {
        "plc_name": press.name,
        "command": "start_batch",
        "caller": "key mes",
        "accepted_at": "2026-01-01T12:00:00Z",
    }
    Run.objects.create(plc=press, **asked)
    return environment


def links_of(page: Page, pattern: str) -> list[str]:
    """Addresses in the admin to which the page leads, each once, in its order."""
    found = page.locator("a").evaluate_all("links => links.map(link => link.getAttribute('href') || '')")
    return list(dict.fromkeys(link for link in found if re.fullmatch(pattern, link)))


def visit(page: Page, address: str) -> None:
    answer = page.goto(address)
    assert answer is not None
    assert answer.status == 200, address
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    page.wait_for_load_state("networkidle")


class TestTheAdmin:
    def test_is_entered_by_its_own_form(self, page: Page, server, watch: Watch):
        User.objects.create_superuser("boss", password=PASSWORD)
        visit(page, f"{server.url}/admin/")
        page.get_by_label("Username").fill("boss")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Log in").click()
        expect(page.locator("#user-tools")).to_contain_text("boss")
        assert page.evaluate("document.cookie") == ""
        page.get_by_role("button", name="Log out").click()
        expect(page).to_have_url(f"{server.url}/")
        assert watch.complaints == []

    def test_has_no_page_that_breaks_the_policy(self, page: Page, server, engineer, watch: Watch):
        visit(page, f"{server.url}/admin/")
        lists = links_of(page, r"/admin/\w+/\w+/")
        assert len(lists) >= 5
        for address in lists:
            visit(page, server.url + address)
            forms = links_of(page, rf"{address}add/(\?.*)?") + links_of(page, rf"{address}[^/]+/change/(\?.*)?")[:1]
            for form in forms:
                visit(page, server.url + form)
            for more in links_of(page, rf"{address}[^/]+/(history|delete)/(\?.*)?"):
                visit(page, server.url + more)
        assert watch.complaints == []

    def test_keeps_its_widgets(self, page: Page, server, engineer, watch: Watch):
        """Whatever Django's own scripts draw."""
        visit(page, f"{server.url}/admin/devices/apikey/add/")
        page.locator("#id_expires_at_0").fill("")
        page.locator("a", has_text="Today").first.click()
        expect(page.locator("#id_expires_at_0")).not_to_have_value("")
        page.locator(".datetimeshortcuts a").nth(1).click()
        expect(page.locator(".calendarbox").first).to_be_visible()
        page.keyboard.press("Escape")
        visit(page, f"{server.url}/admin/auth/group/add/")
        page.locator("#id_permissions_from option").first.dblclick()
        expect(page.locator("#id_permissions_to option")).to_have_count(1)
        assert watch.complaints == []

    def test_shows_a_new_key(self, page: Page, server, engineer, watch: Watch):
        visit(page, f"{server.url}/admin/devices/apikey/add/")
        page.get_by_label("Name:").fill("mes-line-1")
        page.get_by_label("Owner:").select_option(index=1)
        page.get_by_role("button", name="Save", exact=True).click()
        expect(page.locator("#content")).to_contain_text("pgw_live_")
        assert watch.complaints == []

    def test_says_that_somebody_has_to_wait(self, page: Page, server, watch: Watch):
        visit(page, f"{server.url}/admin/login/")
        for _ in range(5):
            page.get_by_label("Username").fill("boss")
            page.get_by_label("Password").fill("wrong")
            page.get_by_role("button", name="Log in").click()
        expect(page.locator("main")).to_contain_text("Wait 15 minutes")
        assert [complaint for complaint in watch.complaints if "429" not in complaint] == []


class TestMarkupThatGotIn:
    """As if some page forgot to escape what a PLC said."""

    def test_runs_no_script_and_loads_nothing(self, page: Page, server, engineer, watch: Watch):
        cut: list[tuple[str, str | None]] = []
        page.on("requestfailed", lambda request: cut.append((request.url, request.failure)))
        for address in ("/", "/admin/", "/api/docs"):
            visit(page, server.url + address)
            page.evaluate("""() => {
                const place = document.createElement("div");
                place.innerHTML = '<img src="x" onerror="window.wasRun = true"><i style="color: red">'
                    + '<link rel="stylesheet" href="https://evil.test/x.css">';
                document.body.append(place);
                const script = document.createElement("script");
                script.textContent = "window.wasRun = true";
                document.body.append(script);
            }""")
            page.wait_for_timeout(300)
            assert page.evaluate("window.wasRun") is None
            assert sum("Content Security Policy" in complaint for complaint in watch.complaints) >= 3
            assert cut == [("https://evil.test/x.css", "csp")]
            watch.complaints.clear()
            cut.clear()


class TestAnotherLogin:
    def test_in_another_tab_does_not_stop_a_page_from_sending_commands(
        self, page: Page, server, engineer, machine, watch: Watch
    ):
        User.objects.create_superuser("boss", password=PASSWORD)
        page.goto(f"{server.url}/plcs/press-1")
        other = page.context.new_page()
        other.goto(f"{server.url}/admin/")
        other.get_by_role("button", name="Log out").click()
        other.goto(f"{server.url}/admin/login/?next=/admin/")
        other.get_by_label("Username").fill("boss")
        other.get_by_label("Password").fill(PASSWORD)
        other.get_by_role("button", name="Log in").click()
        expect(other.locator("#user-tools")).to_contain_text("boss")
        status = page.evaluate("""async () => {
            const { call } = await import("/static/live/calls.js");
            const body = JSON.stringify({ batch_size: 7 });
            return (await call("/api/plcs/press-1/commands/start_batch", { method: "POST", body })).status;
        }""")
        assert status == 200
        assert Run.objects.filter(caller="user boss").count() == 1
