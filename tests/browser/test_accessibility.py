"""Nobody is kept out: axe-core finds nothing grave on any page, by day, by night, on a desk and on a phone."""

import itertools

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect

from devices.models import Run, State
from tests.browser.axe import violations
from tests.browser.plant import PLCS, RUNS, run
from tests.serving.process import running_server

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

DESK, PHONE = (1280, 800), (390, 844)
LOOKS = list(itertools.product(("light", "dark"), (DESK, PHONE)))
looks = pytest.mark.parametrize(("scheme", "size"), LOOKS, ids=[f"{scheme}-{size[0]}" for scheme, size in LOOKS])

OUTCOMES = ("queued", "running", "succeeded", "rejected", "failed", "expired", "cancelled", "faulted", "timed_out")


def put_on(page: Page, scheme: str, size: tuple[int, int]) -> None:
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type]
    page.set_viewport_size({"width": size[0], "height": size[1]})


@looks
class TestTheOverview:
    def test_with_plcs_and_runs_in_every_state(self, scheme, size, visit, page):
        put_on(page, scheme, size)
        plant = visit()
        outcomes = [{**run(number, "press-2"), "state": state} for number, state in enumerate(OUTCOMES, start=20)]
        plant.show(PLCS, [*outcomes, *RUNS])
        plant.button("Online").click()
        assert violations(page) == []

    def test_that_finds_nothing(self, scheme, size, visit, page):
        put_on(page, scheme, size)
        visit("?q=nothing")
        assert violations(page) == []

    def test_that_is_not_connected(self, scheme, size, visit, page):
        put_on(page, scheme, size)
        visit().leave()
        assert violations(page) == []


@looks
class TestThePageOfAPLC:
    @pytest.fixture
    def environment(self, environment, press):
        """With a run that failed at an interlock."""
        at = timezone.now()
        asked = {
            "plc_name": press.name,
            "command": "start_batch",
            "caller": "key mes",
            "parameters": {"batch_size": 15},
        }
        trace = [
            {"at_ms": 3.1, "phase": "check", "tag": "fault", "operator": "==", "wanted": 0, "read": 1, "is_met": False}
        ]
        run = {"state": State.REJECTED, "detail": "the machine has a fault, reset it", "retry": "after_fix"}
        Run.objects.create(plc=press, accepted_at=at, started_at=at, finished_at=at, trace=trace, **asked, **run)
        return environment

    @pytest.fixture
    def server(self, environment, tmp_path):
        """It polls, so that there are values to look at."""
        with running_server(tmp_path, env=environment, migrate=False, polls=True) as running:
            yield running

    def test_with_values_trends_and_steps_and_with_its_question_before_a_run(
        self, scheme, size, page, server, engineer
    ):
        put_on(page, scheme, size)
        page.goto(f"{server.url}/plcs/press-1")
        expect(page.locator("#tags [data-tag=ready] .quality")).to_have_text("Good")
        expect(page.locator("#curves canvas")).to_have_count(2)
        page.get_by_role("button", name="Steps of run").click()
        expect(page.locator(".timeline li")).to_have_count(1)
        form = page.locator("[data-command=start_batch]")
        form.locator("summary").click()
        form.get_by_role("button", name="Check").click()
        expect(form.locator(".interlocks li").first).to_be_visible()
        assert violations(page) == []

        form.get_by_role("button", name="Run…").click()
        expect(page.get_by_role("dialog")).to_contain_text("interlocks hold")
        assert violations(page) == []


class TestAxe:
    def test_finds_what_is_wrong(self, visit, page):
        visit()
        page.evaluate("document.querySelector('main').append(document.createElement('button'))")
        (found,) = violations(page)
        assert found.startswith("critical, button-name")
