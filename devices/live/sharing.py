"""Snapshots are taken once for all pages that want the same at the same moment."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from weakref import WeakKeyDictionary, WeakValueDictionary

from devices.control.apart import apart


class Snapshots:
    """Takes snapshots of one thing, one at a time: pages that ask meanwhile share the next one.

    After a burst, a change in the admin or a restart all pages ask at once.
    """

    def __init__(self, read: Callable[[], Awaitable[str]]) -> None:
        self._read = read
        self._running: asyncio.Task[str] | None = None
        self._next: asyncio.Task[str] | None = None

    async def take(self) -> str:
        """A snapshot that was begun after this call, as JSON. Raises what reading it raises."""
        if self._next is None:
            self._next = apart(self._take_after(self._running))
        return await asyncio.shield(self._next)

    async def _take_after(self, earlier: "asyncio.Task[str] | None") -> str:
        if earlier is not None:
            await asyncio.wait([earlier])
        self._running, self._next = self._next, None
        return await self._read()


_by_loop: WeakKeyDictionary[asyncio.AbstractEventLoop, WeakValueDictionary[Hashable, Snapshots]] = WeakKeyDictionary()


def shared(shown: Hashable, read: Callable[[], Awaitable[str]]) -> Snapshots:
    """The snapshots that all pages which show the same share on this event loop; gone when nobody waits for one."""
    known = _by_loop.setdefault(asyncio.get_running_loop(), WeakValueDictionary())
    snapshots = known.get(shown)
    if snapshots is None:
        snapshots = known[shown] = Snapshots(read)
    return snapshots
