"""A client that knows the bytes and nothing else, so that the simulator is not judged by its own code."""

import asyncio
import contextlib
import struct
from typing import Self


class MbapClient:
    """One connection, used by `async with`."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._last = 0

    async def __aenter__(self) -> Self:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.close()
        with contextlib.suppress(ConnectionError):
            await self._writer.wait_closed()

    def pack(self, pdu: bytes, unit: int = 1) -> tuple[int, bytes]:
        """A fresh transaction id and the whole request."""
        self._last += 1
        return self._last, struct.pack(">HHHB", self._last, 0, len(pdu) + 1, unit) + pdu

    async def send(self, raw: bytes) -> None:
        self._writer.write(raw)
        await self._writer.drain()

    async def receive(self) -> tuple[int, int, bytes]:
        """Transaction id, unit and PDU of the next answer."""
        transaction, protocol, length, unit = struct.unpack(">HHHB", await self._reader.readexactly(7))
        assert protocol == 0
        return transaction, unit, await self._reader.readexactly(length - 1)

    async def is_closed_by_server(self) -> bool:
        """Wait for the end of the stream; anything else that comes is not it."""
        try:
            return await asyncio.wait_for(self._reader.read(1), 1) == b""
        except ConnectionError:
            return True

    async def ask(self, text: str) -> str:
        """One exchange of PDUs in hex: `await client.ask("03 0000 0001")`."""
        transaction, raw = self.pack(bytes.fromhex(text))
        await self.send(raw)
        answered, unit, pdu = await self.receive()
        assert (answered, unit) == (transaction, 1)
        return pdu.hex(" ")

    async def bit(self, function: int, address: int) -> int:
        """One coil (function 1) or discrete input (2)."""
        return int((await self.ask(f"{function:02x} {address:04x} 0001"))[-2:], 16)

    async def registers(self, function: int, address: int, count: int) -> list[int]:
        """Holding (function 3) or input registers (4)."""
        answer = bytes.fromhex(await self.ask(f"{function:02x} {address:04x} {count:04x}"))
        return list(struct.unpack(f">{count}H", answer[2:]))

    async def until_bit(self, function: int, address: int, wanted: int) -> None:
        """Ask until the bit is so; two seconds at most."""
        async with asyncio.timeout(2):
            while await self.bit(function, address) != wanted:  # noqa: ASYNC110 - a PLC has to be asked
                await asyncio.sleep(0.01)
