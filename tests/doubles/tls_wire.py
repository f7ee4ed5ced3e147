"""A connection of the PLC double over TLS, as Modbus/TCP Security has it.

Not asyncio's own TLS: that drops the alert by which a server says why it refuses a client, and a PLC sends it.
"""

import socket
import ssl
from typing import Any

from tests.doubles.wire import Connection


class TLSConnection(Connection):
    """Shakes hands when the first request is waited for; each `send` is a record of its own."""

    def __init__(self, sock: socket.socket, wire: list[tuple[str, bytes]], security: ssl.SSLContext) -> None:
        super().__init__(sock, wire)
        self._came, self._to_go = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = security.wrap_bio(self._came, self._to_go, server_side=True)
        self._is_ready = False

    async def send(self, raw: bytes) -> None:
        self._wire.append(("went", raw))
        self._tls.write(raw)
        await self._flush()

    async def _some(self) -> bytes:
        try:
            if not self._is_ready:
                await self._stepping(self._tls.do_handshake)
                self._is_ready = True
            return await self._stepping(lambda: self._tls.read(4096))
        except ssl.SSLZeroReturnError:
            return b""
        except ssl.SSLError as error:
            await self._flush()  # the alert that says why
            raise EOFError from error

    async def _stepping(self, step: Any) -> Any:
        """Take a step as often as it wants to hear more."""
        while True:
            try:
                result = step()
            except ssl.SSLWantReadError:
                await self._flush()
                if not (octets := await super()._some()):
                    raise EOFError from None
                self._came.write(octets)
            else:
                await self._flush()
                return result

    async def _flush(self) -> None:
        if octets := self._to_go.read():
            await self._loop.sock_sendall(self._sock, octets)
