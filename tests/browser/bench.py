"""The page of a PLC to which a test speaks in the server's place."""

import json
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from playwright.sync_api import Locator, Page, WebSocketRoute, expect

NOW = datetime.fromisoformat("2026-01-01T12:00:00+00:00")
PLC = {
    "id": 1,
    "name": "press-1",
    "title": "Press 1",
    "area": "Hall A",
    "profile": "batch-machine",
    "is_enabled": True,
    "state": "online",
    "reason": "",
    "since": None,
    "next_try_at": None,
    "mark": "",
}
HELD = {
    "value": 1,
    "label": "",
    "quality": "good",
    "reason": "",
    "read_at": NOW.isoformat(),
    "changed_at": None,
}


def ago(seconds: float) -> str:
    """A moment before the snapshot."""
    return (NOW - timedelta(seconds=seconds)).isoformat()


def tag(name: str = "speed", **fields: Any) -> dict[str, Any]:
    """A tag that was read just now, and does not grow old while a test runs."""
    described = {"description": "", "type": "uint16", "unit": "", "scale": 1, "offset": 0, "labels": {}}
    polled = {"interval_s": 1.0, "old_after_s": 3600, "is_recorded": False}
    return {"name": name, **HELD, **described, **polled, **fields}


class Bench:
    """A page, and the server's end of its socket."""

    def __init__(self, page: Page, socket: WebSocketRoute) -> None:
        self.page = page
        self._socket = socket
        self._number = 0

    def show(self, *tags: dict[str, Any], **plc: Any) -> None:
        """Send a snapshot."""
        content = {"now": NOW.isoformat(), "plc": {**PLC, **plc}, "tags": tags, "runs": [], "trace": {}}
        self._send({"type": "snapshot", **content})
        expect(self.page.locator("html")).to_have_attribute("data-connection", "live")

    def tell(self, kind: str, **said: Any) -> None:
        """Send one piece of news."""
        self._send({"news": [{"kind": kind, **said}]})

    def tell_value(self, name: str = "speed", **held: Any) -> None:
        self.tell("value", value={"name": name, **HELD, **held})

    def row(self, name: str = "speed") -> Locator:
        return row(self.page, name)

    def held(self, name: str = "speed") -> Locator:
        return self.row(name).locator(".held")

    def quality(self, name: str = "speed") -> Locator:
        return self.row(name).locator(".quality")

    def _send(self, frame: dict[str, Any]) -> None:
        self._number += 1
        self._socket.send(json.dumps({"n": self._number, **frame}))


def row(page: Page, name: str) -> Locator:
    """Of a tag."""
    return page.locator(f"#tags [data-tag={name}]")


def eventually(page: Page, is_so: Callable[[], bool], limit_s: float = 10.0) -> None:
    """Wait until what no locator can tell is so."""
    deadline = time.monotonic() + limit_s
    while not is_so():
        assert time.monotonic() < deadline, "it did not become so"
        page.wait_for_timeout(50)
