"""Whose turn it is at one PLC: one command at a time, at most so many connections, commands before polling.

Commands share the machine's trigger and acknowledge: two at once would each take the other's acknowledge for their
own, however many connections the PLC serves. Only readers make use of more than one.
"""

import asyncio
import bisect
from itertools import count

from devices.plc.errors import PoolClosed, TurnNotGot
from devices.plc.specs import Priority


class Turns:
    """The queue in front of one PLC, within this process."""

    def __init__(self) -> None:
        self.holders = 0
        self._limit = 1
        self._has_command = False
        self._waiting: list[tuple[Priority, int, asyncio.Future[None]]] = []
        self._arrivals = count()

    @property
    def waiting(self) -> int:
        """How many wait."""
        return sum(not future.done() for _, _, future in self._waiting)

    def is_wanted(self, priority: Priority) -> bool:
        """Somebody who goes first waits for a turn, and would get the one that is held at this priority."""
        return any(
            waits < priority and not future.done() and not (waits is Priority.COMMAND and self._has_command)
            for waits, _, future in self._waiting
        )

    def is_free(self, limit: int) -> bool:
        """A command that asks now need not wait."""
        return self.holders < limit and not self._has_command and not self.waiting

    async def take(self, *, limit: int, priority: Priority, timeout_s: float) -> None:
        """Wait for a turn and hold it until it is given back. TurnNotGot after `timeout_s` seconds."""
        self._limit = limit
        if not self._waiting and self._has_room(priority):
            self._hold(priority)
        else:
            await self._wait(priority, timeout_s)

    def give_back(self, priority: Priority) -> None:
        """The turn that was taken at this priority is over."""
        self.holders -= 1
        if priority is Priority.COMMAND:
            self._has_command = False
        self._pass_on()

    def refuse_all(self, error: Exception | None = None) -> None:
        """Send everybody home who still waits."""
        waiting, self._waiting = self._waiting, []
        for _, _, future in waiting:
            if not future.done():
                future.set_exception(error or PoolClosed("the gateway is shutting down"))

    async def _wait(self, priority: Priority, timeout_s: float) -> None:
        future = asyncio.get_running_loop().create_future()
        bisect.insort(self._waiting, (priority, next(self._arrivals), future))
        self._pass_on()
        try:
            async with asyncio.timeout(timeout_s):
                await future
        except BaseException as error:
            self._leave(future, priority)
            if isinstance(error, TimeoutError):
                raise TurnNotGot(f"the PLC was busy with other commands for {timeout_s:g} s") from error
            raise

    def _leave(self, future: asyncio.Future[None], priority: Priority) -> None:
        """A waiter goes; a turn that it was just given goes on to the next."""
        if future.done() and not future.cancelled() and future.exception() is None:
            self.give_back(priority)
        else:
            future.cancel()
            self._waiting = [waiter for waiter in self._waiting if waiter[2] is not future]

    def _pass_on(self) -> None:
        """Let in whoever may come now, in order; who must wait for a command does not hold up those behind."""
        waiting, self._waiting = self._waiting, []
        for waiter in waiting:
            priority, _, future = waiter
            if future.done():
                continue
            if not self._has_room(priority):
                self._waiting.append(waiter)
                continue
            self._hold(priority)
            future.set_result(None)

    def _has_room(self, priority: Priority) -> bool:
        return self.holders < self._limit and not (priority is Priority.COMMAND and self._has_command)

    def _hold(self, priority: Priority) -> None:
        self.holders += 1
        self._has_command = self._has_command or priority is Priority.COMMAND
