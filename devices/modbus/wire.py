"""One connection as asyncio sees it: a request goes out once, all that comes is judged, whoever waits is woken.

Why not pymodbus's client: see docs/adr/0002.
"""

import asyncio
import contextlib
from collections.abc import Callable
from typing import cast

from devices.modbus import answers
from devices.modbus.errors import WrongAnswer

OnFrame = Callable[[bool, bytes], None]
"""Hears what is sent (True) and what comes (False), as raw bytes."""


class Wire(asyncio.Protocol):
    """A connection to a PLC, over TCP or TLS; one request at a time."""

    def __init__(self, tell: OnFrame) -> None:
        self._tell = tell
        self._transport: asyncio.Transport | None = None
        self._request = b""
        self._received = bytearray()
        """Since the request went out. What comes while nobody waits is told and dropped."""
        self._answer: asyncio.Future[bytes] | None = None
        self.has_heard = False
        """Something came since the request went out."""
        self.gone = asyncio.Event()
        """The connection is no more, by whosever will."""
        self._late: asyncio.TimerHandle | None = None
        self.lost_to: Exception | None = None
        """The reason of a loss, where there is one."""

    @property
    def is_open(self) -> bool:
        """The peer has not hung up, as far as is known, and nor have we."""
        return self._transport is not None and not self._transport.is_closing() and not self.gone.is_set()

    async def ask(self, request: bytes, limit_s: float) -> bytes:
        """Send a frame and return the body of its answer, from the function code on.

        Raises WrongAnswer, TimeoutError, or OSError where the connection ends. The wire is to be ended then: the
        answer may still come.
        """
        loop = asyncio.get_running_loop()
        transport = cast("asyncio.Transport", self._transport)
        self._request, self._received, self.has_heard = request, bytearray(), False
        answer: asyncio.Future[bytes] = loop.create_future()
        self._answer = answer
        late = loop.call_later(limit_s, self._fail, TimeoutError())
        self._tell(True, request)
        try:
            transport.write(request)
            return await answer
        finally:
            late.cancel()
            self._answer = None

    def hang_up(self, limit_s: float) -> None:
        """Close our side; the PLC, which then closes its own, has so long for it."""
        if self._transport is None or self.gone.is_set():
            return
        if self._late is None:
            self._late = asyncio.get_running_loop().call_later(limit_s, self._transport.abort)
        if self.is_open:
            with contextlib.suppress(OSError):
                # TLS has no half-closed connection: its goodbye is an alert, after which nothing comes any more.
                (self._transport.write_eof if self._transport.can_write_eof() else self._transport.close)()

    async def until_gone(self) -> None:
        """After `hang_up`: until the connection is no more, at both ends, and it is known why.

        TLS tells the reason of a loss some turns of the loop later.
        """
        if self._late is not None:
            await self.gone.wait()

    def end(self) -> None:
        """Close without a wait, whatever is still buffered; the descriptor is free one turn of the loop later."""
        self._fail(ConnectionAbortedError("closed by the gateway"))
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Connected, over TLS with the handshake done."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Tell what came before anybody judges it; then hand over the answer, or what is wrong with it."""
        self._tell(False, data)
        if self._answer is None or self._answer.done():
            return
        self.has_heard = True
        self._received += data
        try:
            body = answers.take(self._request, self._received)
        except WrongAnswer as error:
            self._fail(error)
        else:
            if body is not None:
                self._answer.set_result(body)

    def connection_lost(self, error: Exception | None) -> None:
        """Keep the reason before anybody is woken by it."""
        self.lost_to = error
        if self._late is not None:
            self._late.cancel()
        self.gone.set()
        self._fail(ConnectionResetError("closed by the peer"))

    def _fail(self, error: Exception) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)
            self._answer.exception()  # seen: who waits may be cancelled before it wakes
