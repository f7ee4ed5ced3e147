"""Daphne, able to start and stop from a coroutine: with no request cut, no body too long, no context leaked."""

import devices.management.reactor  # noqa: F401  # isort: skip  # first: Daphne takes the reactor that is there

import asyncio
import contextvars
import socket
import time
from collections.abc import Callable
from typing import Any

from daphne.http_protocol import HTTPFactory
from daphne.server import Server, reactor
from daphne.ws_protocol import WebSocketProtocol
from twisted.internet import defer
from twisted.internet.error import CannotListenError
from twisted.logger import STDLibLogObserver, globalLogPublisher

from devices.management.errors import CannotStart
from devices.management.web_requests import SERVER, Channel, Request

BACKLOG = 1024  # connections that wait in the kernel; Daphne's 50 refuse a burst of callers
MESSAGE_LIMIT = 64 * 2**10  # bytes of a message from a page
SNAPSHOT_LIMIT = 8 * 2**20  # bytes of a message to a page; autobahn has one limit for both ways
PAGE_GOODBYE = 4503  # WebSocket close codes, like the HTTP status plus 4000: the server ends, come back
PAGE_TOO_LONG = 4413
LAG_S = 15.0  # a page that has not taken what waits for it is dropped; it comes back and takes a snapshot
SILENT_S = 60  # a connection on which so long nothing is asked is closed
GLANCE_S = 0.02


class Page(WebSocketProtocol):  # type: ignore[misc]
    """The WebSocket of one live page. Daphne keeps all that a page does not read in memory, without an end."""

    _behind_since: float | None = None

    def onOpen(self) -> None:  # noqa: N802
        """Be told when the page stops reading, instead of the HTTP channel that this socket was before."""
        super().onOpen()
        self.transport.unregisterProducer()
        self.transport.registerProducer(self, True)

    def onMessageFrameBegin(self, length: int) -> None:  # noqa: N802
        """A frame is announced: what makes its message too long is not read into memory. Our pages say little."""
        super().onMessageFrameBegin(length)
        if not self.failedByMe and self.message_data_total_length > MESSAGE_LIMIT:
            self.serverClose(code=PAGE_TOO_LONG)
            self.failedByMe: bool = True  # autobahn drops what still comes, and the connection where it goes on coming

    def pauseProducing(self) -> None:  # noqa: N802
        """The page does not read: 64 KiB wait for it."""
        self._behind_since = time.monotonic()

    def resumeProducing(self) -> None:  # noqa: N802
        """The page has taken all."""
        self._behind_since = None

    def stopProducing(self) -> None:  # noqa: N802
        """The connection is gone; onClose says so too."""

    def check_timeouts(self) -> None:
        """Called by Daphne every two seconds."""
        super().check_timeouts()
        if self._behind_since is not None and time.monotonic() - self._behind_since > LAG_S:
            self.transport.abortConnection()


class Factory(HTTPFactory):  # type: ignore[misc]
    """Makes the requests of new connections."""

    protocol = Channel  # not Twisted's, which looks at each piece for HTTP/2

    def buildProtocol(self, addr: Any) -> Any:  # noqa: N802
        """The protocol of one connection, with our requests."""
        protocol = super().buildProtocol(addr)
        protocol.requestFactory, protocol.timeOut = Request, SILENT_S
        return protocol

    def log(self, request: Request) -> None:
        """No access log: Twisted would format one for every request, to be thrown away."""


class GatewayServer(Server):  # type: ignore[misc]
    """Runs until `end()`; listens and stops listening when it is told to."""

    def __init__(self, application: Any) -> None:
        super().__init__(
            application,
            endpoints=["unused"],  # Daphne would listen at once; `listen` does so when the gateway is ready
            signal_handlers=False,
            # No limit of the server's on a request: its 503 would say "nothing was done" of a command that runs.
            http_timeout=None,
            websocket_max_message_size=SNAPSHOT_LIMIT,
            websocket_max_frame_size=SNAPSHOT_LIMIT,
            server_name=SERVER.decode(),
        )
        self.endpoints: list[str] = []
        self.is_ending = False
        self._port: Any = None

    def run(self) -> None:
        """Run the event loop until `end`."""
        observer: Any = STDLibLogObserver("twisted")
        globalLogPublisher.addObserver(observer)
        super().run()

    def listen(self, host: str, port: int) -> int:
        """Accept callers from now on; the port, chosen by the kernel for 0. Raises CannotStart."""
        self.ws_factory.protocol = Page
        try:
            self._port = reactor.listenTCP(port, Factory(self), backlog=BACKLOG, interface=host)
        except CannotListenError as error:
            why = getattr(error.socketError, "strerror", None) or error.socketError
            raise CannotStart(
                f"Cannot listen on {host}:{port}: {why}. Stop the program that has this port, or choose another "
                "with --port."
            ) from error
        return int(self._port.getHost().port)

    def listen_on(self, inherited: socket.socket) -> None:
        """Accept callers of a socket that listens already, and may be shared with other processes."""
        self.ws_factory.protocol = Page
        inherited.setblocking(False)
        # A duplicate, which is closed at the end and not shut down: the others go on.
        self._port = reactor.adoptStreamPort(inherited.fileno(), inherited.family, Factory(self))

    async def stop_listening(self) -> None:
        """Refuse new connections; open ones go on and are told to close with their next answer."""
        self.is_ending = True
        port, self._port = self._port, None
        if port is not None:
            await defer.maybeDeferred(port.stopListening).asFuture(asyncio.get_running_loop())

    async def finish_requests(self) -> None:
        """Return when every HTTP request has its whole answer on the wire."""
        await _until(lambda: not self._is_answering() and not reactor.getWriters())

    async def close_pages(self) -> None:
        """Send the live pages away, to come back when the next server is up."""
        for page in self._pages():
            page.serverClose(code=PAGE_GOODBYE)
        await _until(lambda: not self._pages(closing=True))

    def end(self) -> None:
        """Close what is open and let `run` return."""
        if reactor.running:
            reactor.stop()

    @staticmethod
    def check_headers_type(_message: dict[str, Any]) -> None:
        """Of ours all are bytes."""

    def create_application(self, protocol: Any, scope: dict[str, Any]) -> Any:
        """Start the application in a context of its own.

        A pipelined request is read inside the task of the one before it, whose database thread has ended.
        """
        return contextvars.Context().run(super().create_application, protocol, scope)

    def kill_all_applications(self) -> Any:
        """Cancel what is left; Daphne's own fails over a connection that has no application yet."""
        tasks = [task for task in self._tasks() if not task.done()]
        for task in tasks:
            task.cancel()
        return defer.Deferred.fromFuture(asyncio.gather(*tasks, return_exceptions=True))

    def _is_answering(self) -> bool:
        return any(
            isinstance(protocol, Request) and not details.get("disconnected") and not _is_done(details)
            for protocol, details in self.connections.items()
        )

    def _pages(self, *, closing: bool = False) -> list[Any]:
        states = {WebSocketProtocol.STATE_OPEN} | ({WebSocketProtocol.STATE_CLOSING} if closing else set())
        return [page for page in self.connections if isinstance(page, WebSocketProtocol) and page.state in states]

    def _tasks(self) -> list[asyncio.Task[None]]:
        return [details[_TASK] for details in self.connections.values() if _TASK in details]


_TASK = "application_instance"  # Daphne's name for the task that answers a request


def _is_done(details: dict[str, Any]) -> bool:
    # A request whose head or body is still on its way has no task: nothing was begun, its caller may ask again.
    return _TASK not in details or details[_TASK].done()


async def _until(is_so: Callable[[], bool]) -> None:
    while not is_so():  # noqa: ASYNC110  # what it looks at is Daphne's and the reactor's, which tell nobody
        await asyncio.sleep(GLANCE_S)
