"""What goes over the WebSocket of a page, both ways, and the codes that it is closed with. Pure.

Two kinds of pages: the overview (`/ws/live/`) and one PLC's page (`/ws/plcs/<name or number>/`). All moments are ISO
8601 with their zone. To a page go three kinds of frames:

* `{"type": "beat", "now"}` every 2 s: the gateway lives; `now` is its clock, whatever a page believed before. The page
  answers with any short text, `{"type": "reading"}`; one that does not is sent nothing else after 6 s, and closed
  after 15.
* A snapshot, all that the page shows; `now` lets it tell ages by our clock. Of the overview:
  `{"type": "snapshot", "n", "now", "plcs": [{id, name, title, area, profile, last_run_id, state, reason, since,
  next_try_at, mark, lock_out}], "runs": [run]}` (the newest 50, and the last one of each PLC). Of a PLC:
  `{"type": "snapshot", "n", "may": {ask, run: [name], write, administer}, "now", "plc": {id, name, title, area,
  profile, is_enabled, state, reason, since, next_try_at, mark, lock_out}, "tags": [control/pictures.tag_row],
  "runs": [run] (its newest 30, newest first),
  "trace": {"<run id>": [entry]} (of those that are not final)}`.
  A viewer gets what he may see: on the overview his PLCs and their runs, here and in the news. `may` says what is
  offered to him of a PLC: to ask the API about it, to run these commands, to write its tags, to lock it out.
  `lock_out` is null or `{by, reason, since, until}`; it changes with a new snapshot, or by itself at `until`.
* `{"n", "news": [item, ...]}`, at most a few a second; what changed several times meanwhile comes once, as it is last:
  - `{"kind": "run", "run": run}`, to both kinds of pages. A run has a `version`: the higher one is the truth.
  - `{"kind": "plc", "plc": {id, name, state, reason, since, next_try_at, mark}}`, to both.
  - `{"kind": "value", "value": {name, value, label, quality, reason, read_at, changed_at}}`, to the PLC's page.
  - `{"kind": "read", "interval_s": 1.0, "at"}`, to the PLC's page: all tags of this poll interval were read then. Each
    that is neither bad nor unread, and did not come as a `value`, still holds what it held, and is good as of `at`.
    The page itself calls a value old once it was read longer ago than the tag's `old_after_s`.
  - `{"kind": "steps", "run": <run id>, "trace": [entry]}`, to the PLC's page: the whole timeline of a run so far.

`n` counts the snapshots and news of one connection from 1: a page that sees a gap says `{"type": "resync"}` and gets
a snapshot. Anything else that is short says no more than that the page still reads. What a snapshot and later news say
of the same thing: the later frame is the newer, but of a run the higher version.
"""

import json
from collections import deque
from collections.abc import Iterable
from datetime import datetime
from enum import IntEnum
from typing import Any

LENGTH_LIMIT = 200  # characters of a page's message; ours have 17
FLOOD_COUNT = 40  # messages of a page
FLOOD_S = 10.0


class CloseCode(IntEnum):
    """Why the socket was closed; 4000 to 4999 are for applications (RFC 6455 section 7.4.2)."""

    LOG_IN = 4401
    GONE = 4404
    """No PLC is registered under this address, or no longer: it was deleted or renamed."""
    LAGS = 4408
    """The page has not read for a while: what it was sent piles up in our memory."""
    TOO_LONG = 4413
    NOT_TEXT = 4415
    FLOOD = 4429
    CROWDED = 4430
    """The caller has as many pages open as he may: see PAGES_PER_CALLER."""
    COME_BACK = 4503
    """The server ends, or cannot serve the page now."""


def beat(now: datetime) -> str:
    """A sign of life; `now` lets a page tell ages by our clock, also after somebody set it."""
    return f'{{"type":"beat","now":"{now.isoformat()}"}}'


def news(number: int, items: Iterable[str]) -> str:
    """Pieces of news as a frame; the text of each was written once, for all pages."""
    return f'{{"n":{number:d},"news":[{",".join(items)}]}}'


def snapshot(number: int, content: str) -> str:
    """A snapshot as a frame; its content was `written` once, for all pages that show the same."""
    return f'{{"type":"snapshot","n":{number:d},{content[1:]}'


def personal(content: str, **own: Any) -> str:
    """The content of a snapshot, with what holds for one viewer only in front."""
    return f"{json.dumps(own, separators=(',', ':'))[:-1]},{content[1:]}"


def written(*, now: datetime, **content: Any) -> str:
    """The content of a snapshot; `now` lets the page tell ages by our clock."""
    return json.dumps({"now": now.isoformat(), **content}, separators=(",", ":"))


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
