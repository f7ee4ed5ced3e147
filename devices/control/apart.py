"""Work that many wait for, in a task of its own: whoever asked first may hang up before it is done."""

import asyncio
import contextvars
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

Found = TypeVar("Found")


def apart(work: Coroutine[Any, Any, Found]) -> "asyncio.Task[Found]":
    """Begin it in a fresh context: a request's own would drag its database thread and its cancellation along."""
    task = asyncio.create_task(work, context=contextvars.Context())
    task.add_done_callback(_retrieve)
    return task


def _retrieve(task: "asyncio.Task[Any]") -> None:
    """Its error is told to those who wait, if there are any left; asyncio need not warn."""
    if not task.cancelled():
        task.exception()


class OneAtATime(Generic[Found]):
    """Work that is done once for all who want it while it is under way."""

    def __init__(self, work: Callable[[], Coroutine[Any, Any, Found]]) -> None:
        self._work = work
        self._doing: asyncio.Task[Found] | None = None

    def begin(self) -> "asyncio.Task[Found]":
        """What is under way, or begun now. To be waited for under a shield: others may wait for it too."""
        loop = asyncio.get_running_loop()
        if self._doing is None or self._doing.done() or self._doing.get_loop() is not loop:
            self._doing = apart(self._work())
        return self._doing

    async def end(self) -> None:
        """Wait for what is under way, whatever comes of it."""
        if self._doing is not None:
            await asyncio.gather(self._doing, return_exceptions=True)
