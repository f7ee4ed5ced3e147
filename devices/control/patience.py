"""How long a run may stand in the queue: until its command's time is over, or somebody ends its wait."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from devices.control.errors import Expired, PLCLockedOut, Withdrawn
from devices.plc.errors import DeadlinePassed
from devices.plc.pool import Pool
from devices.plc.specs import PLCSpec
from devices.plc.turn import Turn


class Patience:
    """Of one run, counted from its making."""

    def __init__(self, expires_after_s: float | None) -> None:
        self._expires_after_s = expires_after_s
        self._clock = asyncio.get_running_loop().time
        self._end = None if expires_after_s is None else self._clock() + expires_after_s
        self._wait: asyncio.Timeout | None = None
        self._ended: Withdrawn | PLCLockedOut | None = None

    @asynccontextmanager
    async def turn(self, pool: Pool, plc: PLCSpec) -> AsyncIterator[Turn]:
        """The pool's turn, if it comes in time: Expired, or what ended the wait, where it does not, and then never."""
        async with AsyncExitStack() as held:
            async with self.waiting():
                turn = await held.enter_async_context(pool.turn(plc))
            yield turn

    @asynccontextmanager
    async def waiting(self) -> AsyncIterator[None]:
        """Cut the block where patience ends in it: Expired, or what ended the wait."""
        try:
            async with asyncio.timeout_at(self._end) as self._wait:
                self._require_any()
                yield
        except TimeoutError:
            self._require_any(is_over=True)
            raise
        finally:
            self._wait = None
        self._require_any()

    def require_not_late(self) -> None:
        """DeadlinePassed where storing that the turn has come took so long that the run has expired meanwhile."""
        if self._end is not None and self._clock() >= self._end:
            raise DeadlinePassed(f"storing it took longer than the {self._expires_after_s:g} s after which it expires")

    def end(self, why: Withdrawn | PLCLockedOut) -> None:
        """Wait no more; without effect once the turn has come."""
        self._ended = self._ended or why
        if self._wait is not None and not self._wait.expired():  # it ends by itself otherwise
            self._wait.reschedule(self._clock())

    def _require_any(self, *, is_over: bool = False) -> None:
        if self._ended is not None:
            raise self._ended
        if self._end is not None and (is_over or self._clock() >= self._end):
            raise Expired(f"its turn did not come within the {self._expires_after_s:g} s after which it expires")
