"""What one page is still to be sent: the latest of each thing, a few frames a second, whatever comes in."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from devices.live import messages


@dataclass(frozen=True, kw_only=True, slots=True)
class Pace:
    """How often one page is sent something, however much there is."""

    frame_s: float = 0.3
    """Between two frames, beats apart."""
    snapshot_s: float = 1.0
    """Between two snapshots."""
    held_limit: int = 500
    """Things that may wait to be told; for more there is a snapshot."""


class Feed:
    """Sends a snapshot, then news, and a fresh snapshot where something was lost. What waits is bounded."""

    def __init__(
        self,
        *,
        send: Callable[[str], Awaitable[None]],
        take_snapshot: Callable[[], Awaitable[str]],
        is_reading: Callable[[], bool],
        pace: Pace,
    ) -> None:
        """Nothing is sent while the page is not reading: what comes meanwhile waits."""
        self._send = send
        self._take_snapshot = take_snapshot
        self._is_reading = is_reading
        self._pace = pace
        self._held: dict[str, str] = {}
        """By what it is about; each written as JSON."""
        self._wants_snapshot = True
        self._snapshot_from = 0.0
        self._has_work = asyncio.Event()
        self._has_work.set()
        self._number = 0

    def add(self, items: Mapping[str, str]) -> None:
        """News; of what waits already, the new ones hold."""
        self._held.update(items)
        if len(self._held) > self._pace.held_limit:
            self.want_snapshot()
        self._has_work.set()

    def want_snapshot(self) -> None:
        """Something was lost, or so much is new that a snapshot says it in fewer words."""
        # What waits comes with the snapshot. Alone it would make old values look fresh.
        self._held.clear()
        self._wants_snapshot = True
        self._has_work.set()

    async def run(self) -> None:
        """Send until cancelled: at once where it was quiet, then at the pace. Raises what taking a snapshot raises."""
        while True:
            await self._has_work.wait()
            self._has_work.clear()
            if self._is_reading():
                await self._send_next()
            await asyncio.sleep(self._pace.frame_s)
            if self._wants_snapshot or self._held:
                self._has_work.set()

    async def _send_next(self) -> None:
        if not self._wants_snapshot:
            await self._send_news()
        elif _clock() >= self._snapshot_from:
            await self._send_snapshot()

    async def _send_news(self) -> None:
        if not self._held:
            return
        held, self._held = self._held, {}
        self._number += 1
        await self._send(messages.news(self._number, held.values()))

    async def _send_snapshot(self) -> None:
        # Before it is begun: what comes from now on may not be in it, and follows.
        self._wants_snapshot = False
        self._held.clear()
        content = await self._take_snapshot()
        self._number += 1
        await self._send(messages.snapshot(self._number, content))
        self._snapshot_from = _clock() + self._pace.snapshot_s


def _clock() -> float:
    return asyncio.get_running_loop().time()
