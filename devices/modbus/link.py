"""One TCP connection to one PLC, and checked exchanges over it. The only file that talks to pymodbus.

pymodbus builds the requests (docs/adr/0002). Every request goes out once, every answer is checked, and a lost peer is
noticed at once.
"""

import asyncio
import ssl
import struct
import warnings
from itertools import count as numbered
from typing import Self

from pymodbus.exceptions import ModbusException
from pymodbus.framer import FramerSocket
from pymodbus.pdu import DecodePDU, ModbusPDU
from pymodbus.pdu import bit_message as bits
from pymodbus.pdu import register_message as registers

from devices.modbus import answers, names, ranges, tls
from devices.modbus.connecting import Attempt
from devices.modbus.errors import DeviceException, LinkUnavailable, TLSRefused, Unconfirmed, WrongAnswer
from devices.modbus.pauses import pause
from devices.modbus.types import Endpoint, Table, Words, WriteFunctions
from devices.modbus.wire import OnFrame, Wire

__all__ = ["Link", "OnFrame"]

GOODBYE_S = 0.25  # how long a PLC may take to close its side

_FRAMER = FramerSocket(DecodePDU(is_server=False))  # over TLS too: pymodbus's own for it breaks across two records
_READS: dict[Table, type[ModbusPDU]] = {
    Table.COIL: bits.ReadCoilsRequest,
    Table.DISCRETE_INPUT: bits.ReadDiscreteInputsRequest,
    Table.HOLDING_REGISTER: registers.ReadHoldingRegistersRequest,
    Table.INPUT_REGISTER: registers.ReadInputRegistersRequest,
}


class Link:
    """A connection that is opened once, used strictly in turn, and closed by the one who opened it."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.has_answered = False
        """An answer has come over this connection: the PLC serves it, it does not only hold it."""
        self.on_frame: OnFrame | None = None
        """Each request as it goes out, and all that comes, piece by piece, believed or not."""
        self.line = asyncio.Lock()
        """Held for each exchange by whoever talks: others may have something to say in between."""
        self.is_aside = False
        """What goes on is not for the ears of `on_frame`: somebody else uses the link for one exchange."""
        self._wire: Wire | None = None
        self._leaving: Wire | None = None
        """Hung up; the PLC may not have closed its side yet."""
        self._numbers = numbered()
        self._attempt = Attempt(endpoint, endpoint.host, None)

    def __str__(self) -> str:
        return f"{self.endpoint.host}:{self.endpoint.port}"

    @property
    def is_usable(self) -> bool:
        """Connected, and every exchange so far was answered and matched: a doubtful link is closed at once."""
        return self._wire is not None and self._wire.is_open

    async def open(self) -> None:
        """Connect within the endpoint's limit, to where a PLC may be; LinkUnavailable says why it failed."""
        if self._wire is not None:
            raise RuntimeError(f"the link to {self} was opened twice")
        at = self.endpoint
        try:
            async with asyncio.timeout(at.connect_timeout_s):
                addresses = await names.allowed_addresses(at.host, at.port, at.networks)
                await self._connect_to_any(addresses, await tls.context(at.tls) if at.tls else None)
            if at.pause_after_connect_s > 0:
                await pause(at.pause_after_connect_s)
        except BaseException as error:  # also cancelled amid the pause: the caller has no link yet that he could close
            self.abort()
            await asyncio.sleep(0)
            if isinstance(error, TimeoutError):
                raise self._attempt.why_late(self) from error
            raise

    async def read(self, table: Table, address: int, count: int) -> Words:
        """Read bits (0 or 1) or registers; `count` is addresses, at most the protocol's limit."""
        ranges.require_readable(table, address, count)
        request = _READS[table](address=address, count=count)
        return answers.words(await self._exchange(f"read of {count} {table} at {address}", request), count)

    async def write(
        self, table: Table, address: int, words: Words, functions: WriteFunctions = WriteFunctions.BOTH
    ) -> None:
        """Write bits or registers in one request and check the echo."""
        ranges.require_writable(table, address, len(words))
        single = len(words) == 1 and functions is not WriteFunctions.MULTIPLE
        if functions is WriteFunctions.SINGLE and not single:
            raise ValueError("this PLC writes one register at a time; the value needs several at once")
        request = _write(table, address, words, is_single=single)
        await self._exchange(f"write of {len(words)} {table} at {address}", request)

    async def close(self) -> None:
        """Close within GOODBYE_S, whatever the peer does; the descriptor is free when this returns."""
        self.hang_up()
        leaving, self._leaving = self._leaving, None
        if leaving is not None:
            try:
                await leaving.until_gone()
            finally:
                leaving.end()
        await asyncio.sleep(0)  # the loop gives the descriptor back one turn later

    def hang_up(self) -> None:
        """Begin to close, which goes on by itself, within GOODBYE_S; nobody sends anything any more."""
        wire, self._wire = self._wire, None
        if wire is not None:
            wire.hang_up(GOODBYE_S)
            self._leaving = wire

    def abort(self) -> None:
        """Close without a wait; the descriptor is free one turn of the loop later."""
        wire, self._wire = self._wire, None
        if wire is not None:
            wire.end()

    def __del__(self) -> None:
        if self._wire is not None:
            warnings.warn(f"link to {self} was not closed", ResourceWarning, source=self, stacklevel=2)

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _connect_to_any(self, addresses: tuple[str, ...], security: ssl.SSLContext | None) -> None:
        """Try each address in turn; the last one's failure is the one to tell."""
        for address in addresses:
            self._attempt = Attempt(self.endpoint, address, security)
            try:
                await self._connect()
            except OSError as error:
                await self.close()
                failure = self._attempt.why_failed(error, self)
                failure.__cause__ = error
            else:
                return
        raise failure

    async def _connect(self) -> None:
        wire = self._wire = Wire(self._tell)
        await self._attempt.connect(lambda: wire)
        if self._wire is not wire:  # another task closed the link meanwhile
            wire.end()
            raise ConnectionAbortedError
        if not wire.is_open:
            raise ConnectionResetError

    async def _exchange(self, what: str, request: ModbusPDU) -> bytes:
        """Send one request and return its answer, already checked; anything doubtful closes the link."""
        if not self.is_usable:
            raise await self._why_gone(what)
        # Also where there is none to be made: what has happened to the connection must be seen before anything is sent.
        await pause(self.endpoint.pause_between_s if self.has_answered else 0)
        wire, frame = self._wire, await self._frame_of(what, request)
        if wire is None or not wire.is_open:
            raise await self._why_gone(what)
        try:
            body = await wire.ask(frame, self.endpoint.response_timeout_s)
        except (TimeoutError, OSError, WrongAnswer) as error:
            raise self._doubt(self._failure(what, error, has_heard=wire.has_heard)) from error
        except BaseException:  # cancelled: the answer may still come, and must not meet the next request
            self.abort()
            raise
        self.has_answered = True
        if (code := answers.exception_code(body)) is not None:
            raise DeviceException(code, what)
        return body

    async def _frame_of(self, what: str, request: ModbusPDU) -> bytes:
        request.dev_id, request.transaction_id = self.endpoint.unit, next(self._numbers) % 0xFFFF + 1
        try:
            return _FRAMER.buildFrame(request)
        except (struct.error, ValueError, TypeError, OverflowError, ModbusException) as error:
            await self.close()
            raise LinkUnavailable(f"{what}: not sent, {error}") from error

    async def _why_gone(self, what: str) -> LinkUnavailable:
        """What to tell where there is no open connection, once it is known."""
        if self._wire is not None:
            self._wire.hang_up(GOODBYE_S)
            await self._wire.until_gone()
        return self._refusal() or LinkUnavailable(f"{what}: the connection to {self} is gone")

    def _doubt(self, error: Exception) -> Exception:
        """Close the link for good: what comes over it next could be anybody's answer."""
        self.abort()
        return error

    def _failure(self, what: str, error: Exception, *, has_heard: bool) -> Exception:
        if isinstance(error, WrongAnswer):
            return WrongAnswer(f"{what}: {error}")
        if isinstance(error, TimeoutError):
            if has_heard:
                return WrongAnswer(f"{what}: what came was not an answer to it")
            return Unconfirmed(f"{what}: no answer within {self.endpoint.response_timeout_s:g} s")
        return self._refusal() or Unconfirmed(f"{what}: the connection was lost before an answer came")

    def _refusal(self) -> TLSRefused | None:
        """With TLS 1.3 a PLC looks at our certificate when we are connected: until it said yes, it does nothing."""
        lost_to = self._wire.lost_to if self._wire else None
        if self.endpoint.tls is None or self.has_answered or not tls.is_about_us(lost_to):
            return None
        return TLSRefused(f"{self}: {tls.why_refused(lost_to, self.endpoint.tls)}")

    def _tell(self, is_sent: bool, raw: bytes) -> None:
        if self.on_frame is not None and not self.is_aside:
            self.on_frame(is_sent, raw)


def _write(table: Table, address: int, words: Words, *, is_single: bool) -> ModbusPDU:
    if table.is_bits:
        coils = [bool(word) for word in words]
        of_bits = bits.WriteSingleCoilRequest if is_single else bits.WriteMultipleCoilsRequest
        return of_bits(address=address, bits=coils)
    of_words = registers.WriteSingleRegisterRequest if is_single else registers.WriteMultipleRegistersRequest
    return of_words(address=address, registers=words)
