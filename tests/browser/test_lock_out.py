"""A machine locked out from its page: everybody reads who and why, commands are refused, and it is unlocked again."""

import re

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect

from devices.models import PLC, LockOut, Run
from tests.access import grant
from tests.browser.axe import violations
from tests.browser.test_plc_commands import form_of, lock, opened
from tests.browser.watch import Watch

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def environment(environment, press):
    """With a machine."""
    return environment


@pytest.fixture
def site(watch: Watch, page: Page, server, engineer) -> Page:
    """The PLC's page of an engineer."""
    return opened(page, server)


class TestALockOut:
    def test_is_made_and_ended_on_the_page(self, site: Page, server, mes, watch: Watch):
        form = form_of(site)
        expect(form.get_by_role("button", name="Run…")).to_be_enabled()
        lock(site)
        banner = site.locator("#lock-out .locked")
        expect(banner).to_contain_text("Locked out")
        expect(banner).to_contain_text("I replace the belt")
        expect(banner).to_contain_text("By user engineer since")
        expect(form.get_by_role("button", name="Run…")).to_be_disabled()
        expect(site.locator("#commands .said-of-all")).to_contain_text(
            "locked out for maintenance: it takes no commands"
        )
        answer = mes.put(f"{server.url}/api/start/press-1", json={})
        assert answer.status_code == 423
        assert "by user engineer" in answer.json()["detail"]
        assert "I replace the belt" in answer.json()["detail"]
        assert violations(site) == []
        site.get_by_text("Unlock…").click()
        site.get_by_role("button", name="Unlock", exact=True).click()
        expect(banner).to_be_hidden()
        expect(form.get_by_role("button", name="Run…")).to_be_enabled()
        assert mes.put(f"{server.url}/api/start/press-1", json={}).status_code == 200
        assert watch.complaints == []

    def test_is_changed_and_lengthened_by_who_made_it(self, site: Page, press: PLC):
        lock(site)
        expect(site.locator("#lock-out .locked")).to_contain_text("until it is unlocked")
        for reason, until, shown in (
            ("The belt, and oil", "2027-01-31T16:00", "Jan 31, 2027, 16:00:00"),
            ("Oil", "", ""),
        ):
            before = LockOut.objects.get()
            site.get_by_text("Change reason or end…").click()
            expect(site.get_by_label("Why")).to_have_value(before.reason)
            expect(site.get_by_label("Until when")).to_have_value("2027-01-31T16:00" if before.until else "")
            site.get_by_label("Why").fill(reason)
            site.get_by_label("Until when").fill(until)
            site.get_by_role("button", name="Change", exact=True).click()
            expect(site.locator("#lock-out .locked .why")).to_have_text(reason)
            expect(site.locator("#lock-out .locked .held-by")).to_contain_text(shown or "until it is unlocked")
            expect(site.locator("#lock-out .said-of-it")).to_have_text("Changed.")
        assert LockOut.objects.count() == 1

    def test_of_somebody_else_is_not_changed_but_ended(self, site: Page, press: PLC):
        LockOut.objects.create(plc=press, by="user eva", reason="I replace the belt")
        site.reload()
        expect(site.get_by_text("Unlock…")).to_be_visible()
        expect(site.get_by_text("Change reason or end…")).to_be_hidden()

    def test_without_a_reason_is_not_made(self, site: Page):
        lock(site, "")
        expect(site.locator("#lock-out").get_by_text("Why: is required")).to_be_visible()
        assert not LockOut.objects.exists()

    def test_is_seen_on_the_overview_too(self, site: Page, server):
        lock(site)
        expect(site.locator("#lock-out .locked")).to_be_visible()
        site.goto(server.url)
        card = site.locator("[data-plc=press-1]")
        expect(card.locator(".locked")).to_contain_text("I replace the belt")
        expect(card.locator(".locked .pill")).to_have_text("Locked out")

    def test_is_read_by_who_may_only_look(self, watch: Watch, page: Page, server, press: PLC):
        LockOut.objects.create(plc=press, by="user eva", reason="<b>belt</b>")
        opened(page, server)
        expect(page.locator("#lock-out .locked")).to_contain_text("<b>belt</b>")
        expect(page.locator("#lock-out details:visible")).to_have_count(0)
        expect(page.get_by_role("link", name="Log in to run commands.")).to_be_visible()


class TestWhoIsHere:
    def test_is_offered_only_what_he_may_do(self, watch: Watch, page: Page, server, engineer, press: PLC):
        engineer.is_superuser = engineer.is_staff = False
        engineer.save()
        grant(engineer, "view")
        opened(page, server)
        expect(page.locator("#commands .empty")).to_have_text(re.compile("Running its commands was not granted to you"))
        expect(page.locator(".command-card")).to_have_count(0)
        expect(page.locator("#lock-out details:visible")).to_have_count(0)
        expect(page.locator("header").get_by_role("link", name="Admin")).to_have_count(0)
        grant(engineer, "execute", commands="start_batch")
        page.reload()
        expect(page.locator(".command-card")).to_have_count(1)

    def test_reads_his_own_ceiling_where_it_is_lower_than_the_limit_of_the_command(
        self, watch: Watch, page: Page, server, engineer
    ):
        engineer.is_superuser = engineer.is_staff = False
        engineer.save()
        grant(engineer, "execute", commands="start_batch", ceilings={"batch_size": 10})
        form = form_of(opened(page, server))
        size = form.locator("[name=batch_size]")
        expect(size).to_have_attribute("max", "10")
        size.fill("11")
        form.get_by_role("button", name="Run…").click()
        expect(form.locator("#of-start_batch-batch_size-told")).to_contain_text("Must be at most 10")

    def test_is_not_told_to_log_in_for_what_was_not_granted_to_him(
        self, watch: Watch, page: Page, server, engineer, press: PLC
    ):
        engineer.is_superuser = engineer.is_staff = False
        engineer.save()
        at = timezone.now()
        run = Run.objects.create(
            plc=press, plc_name="press-1", state="failed", command="x", accepted_at=at, finished_at=at
        )
        opened(page, server)
        page.get_by_role("button", name=f"Steps of run {run.pk}").click()
        expect(page.locator(f"#steps-of-{run.pk}")).to_have_text("This was not granted to you.")
        expect(page.locator("#curves .note").first).to_have_text("This was not granted to you.")

    def test_logs_out_and_in_again(self, watch: Watch, page: Page, server, engineer):
        engineer.set_password("a-good-pw-1")
        engineer.save()
        page.goto(f"{server.url}/admin/login/?next=/plcs/press-1")
        page.get_by_label("Username").fill("engineer")
        page.get_by_label("Password").fill("a-good-pw-1")
        page.get_by_role("button", name="Log in").click()
        expect(page.locator("header .person")).to_contain_text("engineer")
        page.get_by_role("button", name="Log out").click()
        expect(page.locator("header").get_by_role("link", name="Log in")).to_be_visible()
        expect(page.locator("header .person")).to_have_count(0)
