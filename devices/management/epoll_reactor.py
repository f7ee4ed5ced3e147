"""Twisted's reactor on an event loop that does not watch its sockets, since uvloop loses some. Linux only."""

import asyncio

from twisted.internet.asyncioreactor import AsyncioSelectorReactor
from twisted.internet.epollreactor import EPollReactor
from twisted.internet.main import installReactor


class Reactor(EPollReactor, AsyncioSelectorReactor):
    """Sockets are watched by an epoll of Twisted's own, and the loop watches that; timers and threads are the loop's.

    uvloop calls a reader once at its descriptor's first error, as when a caller resets, and then never again
    (`UVPoll._fatal_error`). Twisted reads once a call: where the caller's last bytes were still to be read, it got them
    and waited forever for the end. The socket stayed open, and whoever got its number next could not watch it. An epoll
    tells of an error until somebody has acted on it, and has none itself.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        EPollReactor.__init__(self)  # type: ignore[no-untyped-call]
        # The state of AsyncioSelectorReactor's timers: what else it makes is for watching sockets.
        self._asyncioEventloop, self._scheduledAt, self._timerHandle = loop, None, None
        loop.add_reader(self._poller.fileno(), self.doPoll, 0)


def install(loop: asyncio.AbstractEventLoop) -> None:
    """For this process; Twisted raises where there is another already."""
    installReactor(Reactor(loop))  # type: ignore[no-untyped-call]
