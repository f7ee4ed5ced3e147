"""Tells where the event loop stood still: while it does, no PLC is spoken to and no caller is answered."""

import asyncio
import logging
import sys
import threading
import time
import traceback
from types import TracebackType
from typing import Self

logger = logging.getLogger(__name__)

SAMPLE_S = 0.05
SILENCE_S = 0.2  # with a sample every 50 ms no block of 250 ms is missed


class Watchdog:
    """`with Watchdog(loop):` in the loop's thread; logs the stack once for each block."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._watched = threading.get_ident()
        self._ended = threading.Event()
        self._asked_at = 0.0
        self._is_answered = True
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join(timeout=1)

    def _watch(self) -> None:
        # It looks and does not wait: woken by each answer, it would be most of what an idle process does.
        while not self._ended.wait(SAMPLE_S):
            if self._is_answered:
                self._ask()
            elif time.monotonic() - self._asked_at > SILENCE_S - SAMPLE_S / 2:
                logger.warning("The event loop is blocked at:\n%s", self._stack())
                self._wait()
                logger.warning("The event loop was blocked for %.0f ms", (time.monotonic() - self._asked_at) * 1000)

    def _ask(self) -> None:
        self._asked_at, self._is_answered = time.monotonic(), False
        self._loop.call_soon_threadsafe(self._answer)

    def _answer(self) -> None:
        self._is_answered = True

    def _wait(self) -> None:
        while not (self._is_answered or self._ended.wait(SAMPLE_S)):
            pass

    def _stack(self) -> str:
        frame = sys._current_frames().get(self._watched)  # noqa: SLF001  # the only way to see another thread's stack
        return "".join(traceback.format_stack(frame)) if frame else "unknown"
