"""What changes quickly at one PLC, gathered: its pages get a few messages a second, whatever the polling rate."""

import asyncio
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

logger = logging.getLogger(__name__)

PAUSE_S = 0.3

Items = Mapping[str, str]
"""News by what they are about; of two about the same the later one holds. Each is JSON, written once for all pages."""


def written(news: Mapping[str, Any]) -> str:
    """One piece of news as JSON."""
    return json.dumps(news, separators=(",", ":"))


class Gathering:
    """The news of one PLC from a first message to the end of a pause in which nothing came."""

    def __init__(self, *, send: Callable[[Items], None], on_quiet: Callable[[], None]) -> None:
        self._send = send
        self._on_quiet = on_quiet
        self._changed: dict[str, dict[str, Any]] = {}
        self._reads: dict[float, datetime] = {}
        self._steps: dict[int, Sequence[Mapping[str, Any]]] = {}
        self._pause: asyncio.TimerHandle | None = None

    def add_values(self, changed: Mapping[str, dict[str, Any]], reads: Mapping[float, datetime]) -> None:
        """Tags hold something else, and whole rounds were read."""
        self._changed.update(changed)
        self._reads.update(reads)
        self._send_soon()

    def add_steps(self, run_id: int, trace: Sequence[Mapping[str, Any]]) -> None:
        """The timeline of a run has grown; `trace` is the list that grows on: what is sent is what it holds then."""
        self._steps[run_id] = trace
        self._send_soon()

    def flush(self) -> None:
        """Send what there is now, and be done."""
        if self._pause is not None:
            self._pause.cancel()
            self._pause = None
        self._send_now()

    def forget(self) -> None:
        """Send nothing more."""
        if self._pause is not None:
            self._pause.cancel()
            self._pause = None

    def _send_soon(self) -> None:
        if self._pause is None:
            self._send_now()
            self._rest()

    def _rest(self) -> None:
        self._pause = asyncio.get_running_loop().call_later(PAUSE_S, self._end_pause)

    def _end_pause(self) -> None:
        self._pause = None
        if self._send_now():
            self._rest()
        else:
            self._on_quiet()

    def _send_now(self) -> bool:
        """Whether there was anything."""
        try:
            items = self._items()
        except Exception:
            # Whoever told it runs a machine: what cannot be written for pages must not trouble him.
            logger.exception("news cannot be written down")
            items = {}
        finally:
            self._changed, self._reads, self._steps = {}, {}, {}
        if items:
            self._send(items)
        return bool(items)

    def _items(self) -> dict[str, str]:
        news: dict[str, dict[str, Any]] = {}
        for name, value in self._changed.items():
            news[f"tag:{name}"] = {"kind": "value", "value": value}
        for interval_s, at in self._reads.items():
            news[f"read:{interval_s}"] = {"kind": "read", "interval_s": interval_s, "at": at.isoformat()}
        for run_id, trace in self._steps.items():
            news[f"steps:{run_id}"] = {"kind": "steps", "run": run_id, "trace": list(trace)}
        return {key: written(one) for key, one in news.items()}
