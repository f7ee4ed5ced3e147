"""An overview to which a test speaks in the server's place, and the plant that it shows."""

import json
import re
from typing import Any

from playwright.sync_api import Locator, Page, WebSocketRoute, expect

NOW = "2026-01-01T12:00:00+00:00"
REFUSED = "10.0.0.7:502: the connection was refused"


def plc(number: int, name: str, area: str, state: str = "online", **fields: Any) -> dict[str, Any]:
    told = {"state": state, "reason": "", "since": None, "next_try_at": None, "mark": "", "last_run_id": None}
    return {"id": number, "name": name, "title": "", "area": area, "profile": "batch-machine", **told, **fields}


def run(number: int, plc_name: str) -> dict[str, Any]:
    told = {"detail": "", "result": {}, "retry": "", "effect": "applied", "started_at": NOW, "finished_at": NOW}
    asked = {"plc": plc_name, "command": "start_batch", "parameters": {}, "caller": "key mes", "accepted_at": NOW}
    return {"id": number, "version": 1, "state": "succeeded", **asked, **told}


PLCS = [
    plc(1, "press-10", "Line 10", title="Press 10"),
    plc(2, "press-2", "Line 2", title="Press 2", last_run_id=7),
    plc(3, "press-1", "Line 2", title="Press 1", state="offline", reason=REFUSED, last_run_id=8),
    plc(4, "oven", "Line 2", state="degraded", title="Kettle", reason="2 of 9 tags cannot be read", profile="kiln"),
    plc(5, "spare", "", state="disabled"),
]
RUNS = [run(8, "press-1"), run(7, "press-2")]


class Plant:
    """A page to which the test speaks in the server's place."""

    def __init__(self, page: Page, sockets: list[WebSocketRoute]) -> None:
        self.page = page
        self._sockets = sockets

    def show(self, plcs: list[dict[str, Any]], runs: list[dict[str, Any]] = RUNS) -> None:
        snapshot = {"type": "snapshot", "n": 1, "now": NOW, "plcs": plcs, "runs": runs}
        self._sockets[-1].send(json.dumps(snapshot))
        expect(self.page.locator("html")).to_have_attribute("data-connection", "live")
        self._wait_until_drawn()

    def _wait_until_drawn(self) -> None:
        """A page draws with the next frame: what was asked of it before stands there one frame later."""
        self.page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def tell(self, **plc: Any) -> None:
        self._sockets[-1].send(json.dumps({"n": 2, "news": [{"kind": "plc", "plc": plc}]}))

    def leave(self) -> None:
        """The server is gone."""
        self._sockets[-1].close()
        expect(self.page.locator("html")).to_have_attribute("data-connection", "lost")

    def names(self) -> list[str]:
        """Of the PLCs shown, in their order."""
        self._wait_until_drawn()
        cards: list[str] = self.page.locator(".card").evaluate_all("cards => cards.map(card => card.dataset.plc)")
        return cards

    def button(self, word: str) -> Locator:
        return self.page.get_by_role("group", name="Show only").get_by_role("button", name=re.compile(f"^{word} "))

    @property
    def search(self) -> Locator:
        return self.page.get_by_role("searchbox")

    @property
    def asked(self) -> str:
        """What the address says of the filter."""
        asked: str = self.page.evaluate("location.search")
        return asked
