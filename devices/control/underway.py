"""A run of this process on its way, and how to wait for it without holding it."""

import asyncio
from dataclasses import dataclass
from typing import Any

from devices.control.errors import Draining
from devices.control.execute import Execution, Order
from devices.control.records import RunRecord


@dataclass(frozen=True, slots=True, eq=False)
class Underway:
    """What was asked for, its execution, and the task in which it runs."""

    order: Order
    execution: Execution
    task: asyncio.Task[RunRecord]

    @property
    def is_stored(self) -> bool:
        """It has a number, and whoever asks for it finds it."""
        return self.execution.accepted.done()

    @property
    def record(self) -> RunRecord:
        """As stored last; only where `is_stored`."""
        return self.execution.record

    async def outcome(self, limit_s: float | None) -> RunRecord:
        """Wait until it is stored, then `limit_s` for its end (None: however long); returns the run as it is then.

        Raises what kept it from being stored. Whoever waits here may go: the run does not notice.
        """
        if limit_s is not None:
            either: set[asyncio.Future[Any]] = {self.task, self.execution.accepted}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if not self.task.done():
            await asyncio.wait({self.task}, timeout=limit_s)
        if self.task.cancelled():
            raise Draining("the gateway was told to end at once, before this was begun")
        return self.task.result() if self.task.done() else self.record
