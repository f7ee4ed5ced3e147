"""One TCP connection to one PLC, and checked exchanges over it. The only file that talks to pymodbus.

pymodbus alone would send writes again, believe any answer and wait out the limit after a hang-up
(docs/adr/0002): here every request goes out once, every answer is checked, and a lost peer is noticed at once.
"""

import asyncio
import contextlib
import logging
import ssl
import struct
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any, Self

from pymodbus import FramerType
from pymodbus.client import AsyncModbusTcpClient
from pymodbus.exceptions import ConnectionException, ModbusException
from pymodbus.pdu import ModbusPDU

from devices.modbus import answers, names, ranges, tls
from devices.modbus.connecting import Attempt
from devices.modbus.errors import DeviceException, LinkUnavailable, TLSRefused, Unconfirmed, WrongAnswer
from devices.modbus.types import Endpoint, Table, Words, WriteFunctions

GOODBYE_S = 0.25  # how long a PLC may take to close its side
LARGEST_READ = 1 << 20  # bytes; more than asyncio hands over at once, so that a flood is seen and not thrown away

# It logs the frames of all PLCs from one buffer of the whole process (modbus-facts 14).
logging.getLogger("pymodbus").setLevel(logging.CRITICAL)

_READERS = {
    Table.COIL: "read_coils",
    Table.DISCRETE_INPUT: "read_discrete_inputs",
    Table.HOLDING_REGISTER: "read_holding_registers",
    Table.INPUT_REGISTER: "read_input_registers",
}
_WRITERS = {
    (Table.COIL, True): "write_coil",
    (Table.HOLDING_REGISTER, True): "write_register",
    (Table.COIL, False): "write_coils",
    (Table.HOLDING_REGISTER, False): "write_registers",
}


OnFrame = Callable[[bool, bytes], None]
"""Hears what is sent (True) and what comes (False), as raw bytes."""


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
        self._client: AsyncModbusTcpClient | None = None
        self._waiting: AsyncModbusTcpClient | None = None
        self._has_heard = False
        self._request = b""
        self._gone = asyncio.Event()
        self._lost_to: Exception | None = None
        self._attempt = Attempt(endpoint, endpoint.host, None)

    def __str__(self) -> str:
        return f"{self.endpoint.host}:{self.endpoint.port}"

    @property
    def is_usable(self) -> bool:
        """Connected, and every exchange so far was answered and matched: a doubtful link is closed at once."""
        return self._client is not None and self._client.connected

    async def open(self) -> None:
        """Connect within the endpoint's limit, to where a PLC may be; LinkUnavailable says why it failed."""
        if self._client is not None:
            raise RuntimeError(f"the link to {self} was opened twice")
        at = self.endpoint
        try:
            async with asyncio.timeout(at.connect_timeout_s):
                addresses = await names.allowed_addresses(at.host, at.port, at.networks)
                await self._connect_to_any(addresses, await tls.context(at.tls) if at.tls else None)
            await asyncio.sleep(at.pause_after_connect_s)
        except BaseException as error:  # also cancelled amid the pause: the caller has no link yet that he could close
            self.abort()
            await asyncio.sleep(0)
            if isinstance(error, TimeoutError):
                raise self._attempt.why_late(self) from error
            raise

    async def read(self, table: Table, address: int, count: int) -> Words:
        """Read bits (0 or 1) or registers; `count` is addresses, at most the protocol's limit."""
        ranges.require_readable(table, address, count)
        answer = await self._exchange(f"read of {count} {table} at {address}", _READERS[table], address, count=count)
        words = answer.bits if table.is_bits else answer.registers
        return tuple(int(word) for word in words[:count])

    async def write(
        self, table: Table, address: int, words: Words, functions: WriteFunctions = WriteFunctions.BOTH
    ) -> None:
        """Write bits or registers in one request and check the echo."""
        ranges.require_writable(table, address, len(words))
        single = len(words) == 1 and functions is not WriteFunctions.MULTIPLE
        if functions is WriteFunctions.SINGLE and not single:
            raise ValueError("this PLC writes one register at a time; the value needs several at once")
        values = [bool(word) for word in words] if table.is_bits else list(words)
        what = f"write of {len(words)} {table} at {address}"
        await self._exchange(what, _WRITERS[table, single], address, values[0] if single else values)

    async def close(self) -> None:
        """Close within GOODBYE_S, whatever the peer does; the descriptor is free when this returns."""
        client, self._client = self._client, None  # nobody sends anything any more
        if client is not None:
            try:
                await self._say_goodbye(client)
            finally:
                self._abort(client)
        await asyncio.sleep(0)  # the loop gives the descriptor back one turn later

    def abort(self) -> None:
        """Close without a wait; the descriptor is free one turn of the loop later."""
        client, self._client = self._client, None
        if client is not None:
            self._abort(client)

    def _abort(self, client: AsyncModbusTcpClient) -> None:
        self._fail_waiting(ConnectionAbortedError("closed by the gateway"))
        # pymodbus's close() would first send what is buffered, and a mute peer keeps that waiting.
        if client.ctx.transport is not None:
            client.ctx.transport.abort()  # type: ignore[attr-defined]
        client.close()

    def __del__(self) -> None:
        if self._client is not None:
            warnings.warn(f"link to {self} was not closed", ResourceWarning, source=self, stacklevel=2)

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _say_goodbye(self, client: AsyncModbusTcpClient) -> None:
        """Wait until the PLC has closed its side, so that its slot is free before our next connection comes."""
        if not client.connected:
            return
        transport: Any = client.ctx.transport
        with contextlib.suppress(TimeoutError, OSError):
            # TLS has no half-closed connection: its goodbye is an alert, after which nothing comes any more.
            (transport.write_eof if transport.can_write_eof() else transport.close)()
            async with asyncio.timeout(GOODBYE_S):
                await self._gone.wait()

    async def _connect_to_any(self, addresses: tuple[str, ...], security: ssl.SSLContext | None) -> None:
        """Try each address in turn; the last one's failure is the one to tell."""
        for address in addresses:
            self._attempt = Attempt(self.endpoint, address, security)
            try:
                await self._connect(address)
            except OSError as error:
                await self.close()
                failure = self._attempt.why_failed(error, self)
                failure.__cause__ = error
            else:
                return
        raise failure

    async def _connect(self, address: str) -> None:
        self._gone.clear()
        client = self._client = AsyncModbusTcpClient(
            address,
            port=self.endpoint.port,
            framer=FramerType.SOCKET,  # over TLS too: its own framer breaks where an answer spans two records
            # Ours are total, around every wait. Its own also swallows a cancellation (wait_for before Python 3.12).
            timeout=None,  # type: ignore[arg-type]
            retries=0,  # a positive number sends writes again
            reconnect_delay=0,  # a positive one reconnects in the background
            trace_packet=self._note_packet,
            trace_connect=self._note_connection,
        )
        client.ctx.max_buffer_size = LARGEST_READ
        # Not trace_packet: it gets all that came since the request, again with each further piece.
        client.ctx.data_received = self._hearing(client.ctx.data_received)  # type: ignore[assignment, method-assign]
        client.ctx.connection_lost = self._losing(client.ctx.connection_lost)  # type: ignore[assignment, method-assign]
        client.ctx.call_create = partial(self._attempt.connect, client.ctx.handle_new_connection)
        # connect() answers False and drops the reason.
        if not await client.connect():
            raise self._attempt.failure or ConnectionResetError
        if self._client is not client:  # another task closed the link meanwhile; pymodbus would connect all the same
            client.ctx.transport.abort()  # type: ignore[attr-defined]
            raise ConnectionAbortedError
        if self._gone.is_set():  # lost before connect() returned: pymodbus would take it for connected
            raise ConnectionResetError

    async def _exchange(self, what: str, name: str, *arguments: Any, **named: Any) -> ModbusPDU:
        """Send one request and return its answer, already checked; anything doubtful closes the link."""
        client = self._require_client(what)
        await asyncio.sleep(self.endpoint.pause_between_s if self.has_answered else 0)
        try:
            async with asyncio.timeout(self.endpoint.response_timeout_s):
                self._waiting, self._has_heard = client, False
                answer: ModbusPDU = await getattr(client, name)(*arguments, device_id=self.endpoint.unit, **named)
        except ConnectionException as error:  # pymodbus's words for it are no plant words
            await self.close()
            raise LinkUnavailable(f"{what}: not sent, {self} had closed the connection") from error
        except (struct.error, ValueError, TypeError, OverflowError) as error:
            await self.close()
            raise LinkUnavailable(f"{what}: not sent, {error}") from error
        except (TimeoutError, OSError, ModbusException, WrongAnswer) as error:
            raise self._doubt(self._failure(what, error)) from error
        except BaseException:  # cancelled: the answer may still come, and must not meet the next request
            self.abort()
            raise
        finally:
            self._waiting = None
        self.has_answered = True
        if answer.isError():
            raise DeviceException(answer.exception_code, what)
        return answer

    def _require_client(self, what: str) -> AsyncModbusTcpClient:
        if self._client is None or not self.is_usable:
            if refusal := self._refusal():
                raise refusal
            raise LinkUnavailable(f"{what}: the connection to {self} is gone")
        return self._client

    def _doubt(self, error: Exception) -> Exception:
        """Close the link for good: what comes over it next could be anybody's answer."""
        self.abort()
        return error

    def _failure(self, what: str, error: Exception) -> Exception:
        if isinstance(error, WrongAnswer):
            return WrongAnswer(f"{what}: {error}")
        if isinstance(error, TimeoutError) and not self._has_heard:
            return Unconfirmed(f"{what}: no answer within {self.endpoint.response_timeout_s:g} s")
        if isinstance(error, OSError) and not isinstance(error, TimeoutError):
            if refusal := self._refusal():
                return refusal
            return Unconfirmed(f"{what}: the connection was lost before an answer came")
        return WrongAnswer(f"{what}: what came was not an answer to it")

    def _refusal(self) -> TLSRefused | None:
        """With TLS 1.3 a PLC looks at our certificate when we are connected: until it said yes, it does nothing."""
        if self.endpoint.tls is None or self.has_answered or not tls.is_about_us(self._lost_to):
            return None
        return TLSRefused(f"{self}: {tls.why_refused(self._lost_to, self.endpoint.tls)}")

    def _note_packet(self, is_sending: bool, frame: bytes) -> bytes:
        """See each request before it goes and all that came before pymodbus believes it."""
        if is_sending:
            self._tell(True, frame)
            self._request = frame
            return frame
        self._has_heard = True
        wrong = answers.mismatch(self._request, frame) if self._waiting else "nobody waits"
        if wrong is None:
            return frame
        self._fail_waiting(WrongAnswer(wrong))
        return b""

    def _hearing(self, receive: Callable[[bytes], None]) -> Callable[[bytes], None]:
        """Tell what comes before anybody judges it."""

        def received(raw: bytes) -> None:
            self._tell(False, raw)
            receive(raw)

        return received

    def _losing(self, lose: Callable[[Exception | None], None]) -> Callable[[Exception | None], None]:
        """Keep the reason of a loss, which pymodbus drops, before anybody is woken by it."""

        def lost(error: Exception | None) -> None:
            self._lost_to = error
            lose(error)

        return lost

    def _tell(self, is_sent: bool, raw: bytes) -> None:
        if self.on_frame is not None and not self.is_aside:
            self.on_frame(is_sent, raw)

    def _note_connection(self, is_connected: bool) -> None:
        """Wake the waiting request: pymodbus lets it run to its limit after the peer hung up."""
        if not is_connected:
            self._gone.set()
            self._fail_waiting(ConnectionResetError("closed by the peer"))

    def _fail_waiting(self, error: Exception) -> None:
        if self._waiting is not None:
            with contextlib.suppress(asyncio.InvalidStateError):
                self._waiting.ctx.response_future.set_exception(error)
                self._waiting.ctx.response_future.exception()  # seen: who waits may be cancelled before it wakes
