"""What goes over the WebSocket, both ways, and the codes that it is closed with. Pure.

To the page: `{"type": "snapshot", "now", "plcs", "runs"}`, `{"type": "beat"}` and
`{"seq", "source", "news": {"kind": "run", "run"} | {"kind": "plc", "plc"}}`.
From the page: `{"type": "resync"}`; anything else that is short says no more than that the page still reads.
"""

import json
from collections import deque
from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import IntEnum
from typing import Any

BEAT = '{"type":"beat"}'
LENGTH_LIMIT = 200  # characters of a page's message; ours have 17
FLOOD_COUNT = 40  # messages of a page
FLOOD_S = 10.0


class CloseCode(IntEnum):
    """Why the socket was closed; 4000 to 4999 are for applications (RFC 6455 section 7.4.2)."""

    LOG_IN = 4401
    LAGS = 4408
    """The page has not read for a while: what it was sent piles up in our memory."""
    TOO_LONG = 4413
    NOT_TEXT = 4415
    FLOOD = 4429
    COME_BACK = 4503
    """The server ends, or cannot serve the page now."""


def news(event: Mapping[str, Any]) -> str:
    """One announcement as a frame; its text was serialised once, for all pages."""
    return f'{{"seq":{event["seq"]:d},"source":{json.dumps(event["source"])},"news":{event["text"]}}}'


def snapshot(*, now: datetime, plcs: Sequence[Mapping[str, Any]], runs: Sequence[Mapping[str, Any]]) -> str:
    """All that a page shows; `now` lets it tell ages by our clock."""
    content = {"type": "snapshot", "now": now.isoformat(), "plcs": plcs, "runs": runs}
    return json.dumps(content, separators=(",", ":"))


def asks_for_snapshot(text: str) -> bool:
    """Whether the page has noticed that it lacks something."""
    try:
        message = json.loads(text)
    except ValueError:
        return False
    return isinstance(message, dict) and message.get("type") == "resync"


class Inbox:
    """What one page may send: short texts, now and then."""

    def __init__(self) -> None:
        self._moments: deque[float] = deque(maxlen=FLOOD_COUNT)

    def judge(self, text: str | None, now: float) -> CloseCode | None:
        """Why a message that came `now` (seconds, monotonic) ends the connection; None if it may come."""
        if text is None:
            return CloseCode.NOT_TEXT
        if len(text) > LENGTH_LIMIT:
            return CloseCode.TOO_LONG
        self._moments.append(now)
        is_flood = len(self._moments) == FLOOD_COUNT and now - self._moments[0] < FLOOD_S
        return CloseCode.FLOOD if is_flood else None
