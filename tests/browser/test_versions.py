"""News that come late, twice or out of order: a page shows the newest that it ever heard."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, WebSocketRoute, expect

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

AT = "2026-01-01T12:00:00+00:00"
PLC = {"id": 1, "name": "press-1", "title": "Press 1", "area": "", "state": "online", "reason": "", "last_run_id": None}

Say = Callable[[dict[str, Any]], None]


def run(number: int, version: int, state: str, **fields: Any) -> dict[str, Any]:
    told = {"detail": "", "result": {}, "retry": "", "effect": "", "started_at": AT, "finished_at": AT}
    asked = {"plc": "press-1", "command": "start_batch", "parameters": {}, "caller": "key mes", "accepted_at": AT}
    return {"id": number, "version": version, "state": state, **asked, **told, **fields}


def news(of: dict[str, Any]) -> dict[str, Any]:
    return {"n": 2, "news": [{"kind": "run", "run": of}]}


def snapshot(*runs: dict[str, Any], **plc: Any) -> dict[str, Any]:
    return {"type": "snapshot", "now": AT, "plcs": [{**PLC, **plc}], "runs": list(runs)}


@pytest.fixture
def say(watch, page: Page, server) -> Say:
    """Speak to an open page in the server's place."""
    sockets: list[WebSocketRoute] = []
    page.route_web_socket("**/ws/live/", lambda socket: sockets.append(socket))  # noqa: PLW0108 - Playwright sets attributes on it
    page.goto(server.url)
    expect(page.locator("#connection")).to_have_text("Connecting")

    def speak(message: dict[str, Any]) -> None:
        sockets[-1].send(json.dumps(message))

    speak(snapshot())
    expect(page.locator("#connection")).to_have_text("Live")
    return speak


def states(page: Page) -> dict[str, str]:
    rows = page.locator("#rows tr").evaluate_all("rows => rows.map(row => [row.dataset.run, row.dataset.state])")
    return dict(rows)


class TestARun:
    def test_never_goes_back(self, page, say):
        say(news(run(7, 3, "succeeded")))
        say(news(run(7, 2, "running")))
        say(snapshot(run(7, 1, "queued"), run(6, 3, "failed")))
        say(news(run(8, 1, "queued")))  # the last word: what came before it is drawn by then
        expect(page.locator("#rows tr")).to_have_count(3)
        assert states(page) == {"8": "queued", "7": "succeeded", "6": "failed"}
        expect(page.locator(".card .last")).to_have_attribute("data-run", "8")

    def test_is_told_once_however_often_it_comes(self, page, say):
        for _ in range(3):
            say(news(run(7, 3, "succeeded")))
        say(news(run(5, 3, "unknown", retry="after_reconcile")))
        expect(page.locator("#rows tr")).to_have_count(2)
        assert list(states(page)) == ["7", "5"], "newest first, whatever came first"

    def test_that_a_newer_version_settles_is_shown_as_settled(self, page, say):
        say(news(run(7, 4, "unknown", retry="after_reconcile")))
        expect(page.locator("#rows .advice")).to_have_text("Look before you repeat.")
        say(news(run(7, 5, "succeeded")))
        expect(page.locator("#rows .pill")).to_have_text("Succeeded")
        expect(page.locator("#rows .advice")).to_have_count(0)


class TestAPLC:
    def test_shows_what_it_does_now_and_how_many_wait(self, page, say):
        say(news(run(7, 2, "running", finished_at=None)))
        for number in (8, 9):
            say(news(run(number, 1, "queued", started_at=None, finished_at=None)))
        card = page.locator(".card")
        expect(card.locator(".last-state .pill")).to_have_text("Running")
        expect(card).to_contain_text("2 more are waiting")

    def test_that_failed_just_now_is_not_shown_as_fine(self, page, say):
        reason = "127.0.0.1:502: the connection was refused"
        say({"n": 2, "news": [{"kind": "plc", "plc": {"id": 1, "state": "online", "reason": reason}}]})
        expect(page.locator(".card-state .pill")).to_have_text("Not reached")
        expect(page.locator(".reason")).to_have_text(reason)
        expect(page.get_by_role("button", name="Not reached 1")).to_be_visible()

    def test_of_a_state_from_the_future_is_shown_as_nothing_to_rely_on(self, page, say):
        say(snapshot(run(7, 9, "paused"), state="asleep"))
        expect(page.locator("#rows .pill")).to_have_attribute("data-tone", "look")
        expect(page.locator(".card-state .pill")).to_have_text("asleep")


class TestAConnection:
    def test_that_falls_silent_is_said_to_be_lost(self, page, say):
        expect(page.locator("#connection")).to_have_text("Not connected", timeout=20_000)
