"""One TCP connection as the PLC double holds it, and one request over it with the means to answer in any way."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import Awaitable, Callable
from typing import Protocol

from tests.doubles.pdu import Refusal, Request

HEADER = struct.Struct(">HHHB")  # transaction, protocol, length, unit; Modbus TCP guide section 3.1.3


class Machine(Protocol):
    """What an exchange needs of the PLC behind it."""

    def carry_out(self, request: Request) -> bytes:
        """Apply a request and return the PDU of its answer; Refusal where the PLC says no."""


class Connection:
    """A socket of the double. Only the task that serves it may close or reset it; others make it hang up."""

    def __init__(self, sock: socket.socket, wire: list[tuple[str, bytes]]) -> None:
        self._sock = sock
        self._wire = wire
        self._buffer = b""
        self._loop = asyncio.get_running_loop()

    @property
    def is_closed(self) -> bool:
        return self._sock.fileno() == -1

    async def receive(self) -> tuple[int, int, bytes]:
        """Return transaction, unit and PDU of the next request; EOFError when the client hung up."""
        header = await self._exactly(HEADER.size)
        transaction, protocol, length, unit = HEADER.unpack(header)
        if protocol or not 2 <= length <= 254:
            raise EOFError("not Modbus")
        pdu = await self._exactly(length - 1)
        self._wire.append(("came", header + pdu))
        return transaction, unit, pdu

    async def send(self, raw: bytes) -> None:
        self._wire.append(("went", raw))
        await self._loop.sock_sendall(self._sock, raw)

    def hang_up(self) -> None:
        """Send a FIN and read no more; whoever waits for data here gets EOFError."""
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Send a FIN and give the descriptor back."""
        self._sock.close()

    def reset(self) -> None:
        """Send a RST and give the descriptor back."""
        with contextlib.suppress(OSError):
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._sock.close()

    async def _some(self) -> bytes:
        """What has come; nothing once the client hung up."""
        return await self._loop.sock_recv(self._sock, 4096)

    async def _exactly(self, size: int) -> bytes:
        while len(self._buffer) < size:
            octets = await self._some()
            if not octets:
                raise EOFError
            self._buffer += octets
        taken, self._buffer = self._buffer[:size], self._buffer[size:]
        return taken


class Exchange:
    """One request that reached the double; a fault decides what becomes of it."""

    def __init__(self, request: Request, transaction: int, connection: Connection, machine: Machine) -> None:
        self.request = request
        self.transaction = transaction
        self.connection = connection
        self._machine = machine

    def carry_out(self) -> bytes:
        """Do what was asked and return the PDU of the right answer, an exception included."""
        try:
            return self._machine.carry_out(self.request)
        except Refusal as refusal:
            return bytes([self.request.function | 0x80, refusal.code])

    def frame(
        self,
        pdu: bytes,
        *,
        transaction: int | None = None,
        unit: int | None = None,
        protocol: int = 0,
        extra_length: int = 0,
    ) -> bytes:
        """Put the header before a PDU; right where nothing else is said."""
        transaction = self.transaction if transaction is None else transaction
        unit = self.request.unit if unit is None else unit
        return HEADER.pack(transaction, protocol, len(pdu) + 1 + extra_length, unit) + pdu

    async def send(self, raw: bytes) -> None:
        await self.connection.send(raw)

    async def answer(self) -> None:
        """Behave: carry out and answer."""
        await self.send(self.frame(self.carry_out()))


Fault = Callable[[Exchange], Awaitable[None]]
"""What the double does instead of behaving, with one request."""
