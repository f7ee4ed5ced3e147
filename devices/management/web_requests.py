"""One connection of a caller, and its requests: no body too long, and an answer that leaves at once, in one piece."""

import json
import time
from collections.abc import Iterable
from functools import partial
from typing import Any

from daphne.http_protocol import WebRequest
from django.conf import settings
from twisted.internet.protocol import connectionDone
from twisted.web.http import NO_BODY_CODES, RESPONSES, HTTPChannel
from twisted.web.http_headers import Headers

SERVER = b"plc-gateway"
LOOK_AGAIN_S = 0.05
DISCARD_LIMIT = 64 * 2**20  # bytes of a body too long that are read and dropped, so that the 413 can be heard
TOO_LONG = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Content too large</title></head>
<body><h1>Content too large</h1><p>{} Go back and send it in several parts.</p></body></html>
"""


class Channel(HTTPChannel):
    """One connection of a caller.

    Stock, the head of an answer and its body are queued in many pieces, and the event loop is asked when they may be
    sent: two calls of the kernel and a turn of the loop, where the socket has room for all of it. And each request
    makes and cancels a timer for a caller who says nothing more; here a timer looks now and then when he was heard.
    """

    _head = b""
    _heard_at = 0.0
    _timer: Any = None

    def begin(self, head: bytes) -> None:
        """Keep the head of an answer for the first piece of its body."""
        self._head = head

    def writeHeaders(self, version: bytes, code: bytes, reason: bytes, headers: Headers) -> None:  # noqa: N802
        """The same, by Twisted's requests."""
        lines = [b"%s: %s\r\n" % (name, value) for name, values in headers.getAllRawHeaders() for value in values]
        self.begin(b"%s %s %s\r\n%s\r\n" % (version, code, reason, b"".join(lines)))

    def write(self, data: bytes) -> None:
        """Send what the socket takes at once; the rest when it can."""
        waiting, self._head = self._head + data, b""
        transport: Any = self.transport
        if not transport.dataBuffer and not transport._tempDataBuffer and transport.connected:  # noqa: SLF001
            sent = transport.writeSomeData(waiting)
            # Of a connection that is lost the transport is to find out by itself.
            waiting = waiting[sent:] if isinstance(sent, int) else waiting
        transport.write(waiting)

    def writeSequence(self, iovec: Iterable[bytes]) -> None:  # noqa: N802
        """The same of several pieces."""
        self.write(b"".join(iovec))

    def requestDone(self, request: Any) -> None:  # noqa: N802
        """What has no body has a head all the same."""
        if self._head:
            self.write(b"")
        super().requestDone(request)  # type: ignore[no-untyped-call]

    def setTimeout(self, period: int | None) -> int | None:  # noqa: N802
        """For so many seconds from now on the caller may say nothing; None: he waits for his answer."""
        before, self.timeOut = self.timeOut, period
        self.resetTimeout()
        if period is not None and self._timer is None:
            self._timer = self.callLater(period, self._hang_up_if_silent)  # type: ignore[no-untyped-call]
        return before

    def resetTimeout(self) -> None:  # noqa: N802
        """He has said something."""
        self._heard_at = time.monotonic()

    def connectionLost(self, reason: Any = connectionDone) -> None:  # noqa: N802
        """Nobody is left to be heard."""
        super().connectionLost(reason)  # type: ignore[no-untyped-call]
        if self._timer is not None:
            self._timer.cancel()

    def _hang_up_if_silent(self, *, was_silent: bool = False) -> None:
        self._timer = None
        if self.timeOut is None:
            return
        rest_s = self._heard_at + self.timeOut - time.monotonic()
        if rest_s > 0:
            self._timer = self.callLater(rest_s, self._hang_up_if_silent)  # type: ignore[no-untyped-call]
        elif was_silent:
            self.timeoutConnection()  # type: ignore[no-untyped-call]
        else:
            # What he said in time may still wait to be read, behind others.
            again = partial(self._hang_up_if_silent, was_silent=True)
            self._timer = self.callLater(LOOK_AGAIN_S, again)  # type: ignore[no-untyped-call]


class Request(WebRequest):  # type: ignore[misc]  # Daphne has no types
    """One HTTP request."""

    _received = 0
    __hash__, __eq__ = object.__hash__, object.__eq__  # as Daphne's are, which are written in Python

    def __init__(self, *args: Any) -> None:
        # Forms are Django's to read; Twisted would have the email package look for them in each POST.
        super().__init__(*args, parsePOSTFormSubmission=False)

    def handleContentChunk(self, data: bytes) -> None:  # noqa: N802
        """Keep the body up to the limit; the rest is read, counted and dropped."""
        self._received += len(data)
        if self._received <= settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
            super().handleContentChunk(data)
        elif self._received > DISCARD_LIMIT:
            self.channel.forceAbortClient()

    def process(self) -> Any:
        """Hand over to the application, unless the body was too long."""
        # Daphne takes the script prefix from this header, whoever sends it.
        self.requestHeaders.removeHeader(b"daphne-root-path")
        if self._received > settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
            return self._refuse_length()
        return super().process()

    def handle_reply(self, message: dict[str, Any]) -> None:
        """While the server ends, the last answer of a connection says that it is the last."""
        if self.finished or self.channel is None:
            return
        if message["type"] == "http.response.body":
            self._go_on(message.get("body", b""), is_last=not message.get("more_body", False))
            return
        if self.server.is_ending:
            self.channel.persistent = False
            self.setHeader(b"connection", b"close")
        if not self._begin(message["status"], message["headers"]):
            super().handle_reply(message)

    def _begin(self, status: int, headers: Iterable[tuple[bytes, bytes]]) -> bool:
        """Whether it is an ordinary head, which is written as it is: Twisted looks at each header by itself."""
        own = ((name, value) for name, values in self.responseHeaders.getAllRawHeaders() for value in values)
        lines = [b"%s: %s\r\n" % header for header in (*headers, *own, (b"Server", SERVER))]
        head = b"".join(lines)
        has_more_lines = not len(lines) == head.count(b"\r") == head.count(b"\n")  # in what somebody wrote
        if has_more_lines or b"\r\nContent-Length: " not in head or self.method == b"HEAD" or status in NO_BODY_CODES:
            return False
        self._response_started, self.startedWriting = True, 1
        reason = RESPONSES.get(status, b"Unknown Status")
        self.channel.begin(b"%s %d %s\r\n%s\r\n" % (self.clientproto, status, reason, head))
        return True

    def _go_on(self, body: bytes, *, is_last: bool) -> None:
        """As Daphne does, but for the line of a log that nobody keeps."""
        self.write(body)
        if is_last:
            self.finish()

    def _refuse_length(self) -> None:
        self.request_start = time.time()  # noqa: TID251  # Daphne's own clock for this field
        detail = f"The body is longer than {settings.DATA_UPLOAD_MAX_MEMORY_SIZE} bytes: nothing was done or saved."
        body: dict[str, Any] = {"type": "about:blank", "title": "Content too large", "status": 413, "detail": detail}
        kind, text = "application/problem+json", json.dumps(body)
        if b"text/html" in (self.getHeader(b"accept") or b""):
            kind, text = "text/html; charset=utf-8", TOO_LONG.format(detail)
        headers = {"Content-Type": kind, "Cache-Control": "no-store", **settings.SECURITY_HEADERS}
        encoded = [(name.encode(), value.encode()) for name, value in headers.items()]
        self.handle_reply({"type": "http.response.start", "status": 413, "headers": encoded})
        self.handle_reply({"type": "http.response.body", "body": text.encode()})
