"""A PLC over real TCP that can be told to misbehave, and remembers all that reached it.

Plain asyncio and sockets, nothing of pymodbus and nothing of devices/simulator: what the product gets wrong, this does
not get wrong in the same way.
"""

import asyncio
import contextlib
import socket
import ssl
from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from typing import Self

from devices.modbus.types import Table
from tests.doubles import faults
from tests.doubles.listener import Full, Listener
from tests.doubles.pdu import TABLES, WRITES, Memory, OnWrite, Request, Where, parse
from tests.doubles.tls_wire import TLSConnection
from tests.doubles.wire import Connection, Exchange, Fault


@dataclass
class Order:
    """A fault for those requests that match, after `skip` of them, `times` times (None: always)."""

    fault: Fault
    functions: Collection[int]
    """Empty: all."""
    at: tuple[Table | None, int] | None
    skip: int
    times: int | None

    def takes(self, request: Request) -> bool:
        if (self.functions and request.function not in self.functions) or (self.at and not request.covers(*self.at)):
            return False
        if self.skip or self.times == 0:
            self.skip -= self.skip > 0
            return False
        self.times = None if self.times is None else self.times - 1
        return True


class FaultServer:
    """`async with FaultServer(serves=5) as plc:` listens on a free port and behaves until told otherwise."""

    host = "127.0.0.1"

    def __init__(
        self,
        *,
        serves: int | None = None,
        when_full: Full = Full.QUEUE,
        size: int = 1000,
        answer_delay_s: float = 0.0,
        names: dict[str, tuple[Table, int]] | None = None,
        security: ssl.SSLContext | None = None,
    ) -> None:
        self.security = security
        """Speaks TLS with what stands here; the next connection does, if it is changed."""
        self.serves = serves
        """Connections at once; None is as many as come."""
        self.when_full = when_full
        self.answer_delay_s = answer_delay_s
        """The PLC's own slowness, before each answer."""
        self.names = names or {}
        self.requests: list[Request] = []
        """All that came, in order, carried out or not."""
        self.wire: list[tuple[str, bytes]] = []
        """Each request as it `came` and each piece of an answer as it `went`, in order."""
        self.connects = 0
        """Connections that were taken in, served or turned away."""
        self.turned_away = 0
        """Connections that were reset or closed because the PLC was full."""
        self.peak_connections = 0
        self._memory = Memory(size)
        self._orders: list[Order] = []
        self._hooks: dict[tuple[Table, int], list[OnWrite]] = defaultdict(list)
        self._served: list[Connection] = []
        self._serving: set[asyncio.Task[None]] = set()
        self._accepting: asyncio.Task[None] | None = None
        self._is_deaf = False
        self._has_room = asyncio.Event()

    # --- the machine

    @property
    def coils(self) -> list[int]:
        return self._memory.tables[Table.COIL]

    @property
    def discrete_inputs(self) -> list[int]:
        return self._memory.tables[Table.DISCRETE_INPUT]

    @property
    def holding_registers(self) -> list[int]:
        return self._memory.tables[Table.HOLDING_REGISTER]

    @property
    def input_registers(self) -> list[int]:
        return self._memory.tables[Table.INPUT_REGISTER]

    def on_write(self, at: str | tuple[Table, int], react: OnWrite) -> None:
        """Call `react(value)` each time a write that covers the address was carried out."""
        table, address = self._place(at)
        assert table is not None, "a reaction needs a table"
        self._hooks[table, address].append(react)

    def acknowledge(self, at: str | tuple[Table, int], *, on: str | tuple[Table, int]) -> None:
        """Copy each value written to one address to another at once: a handshake."""
        table, address = self._place(on)
        assert table is not None, "an acknowledge needs a table"
        self.on_write(at, lambda value: self._memory.tables[table].__setitem__(address, value))

    def carry_out(self, request: Request) -> bytes:
        """Apply a request, let the machine react, and return the PDU of the answer."""
        pdu = self._memory.carry_out(request)
        for i, value in enumerate(request.values):
            for react in self._hooks.get((TABLES[request.function], request.address + i), ()):
                react(value)
        return pdu

    # --- what reached it

    @property
    def port(self) -> int:
        return self._listener.port

    @property
    def open_connections(self) -> int:
        return len(self._served)

    @property
    def tasks(self) -> set[asyncio.Task[None]]:
        """The double's own, not to be counted as left behind."""
        return self._serving | ({self._accepting} if self._accepting else set())

    @property
    def writes(self) -> list[Request]:
        return [request for request in self.requests if request.is_write]

    def writes_to(self, at: Where) -> list[int]:
        """The values that came for an address, in order, carried out or not."""
        place = self._place(at)
        return [w.values[place[1] - w.address] for w in self.writes if w.covers(*place) and w.values]

    # --- misbehaving

    def next(self, fault: Fault) -> None:
        """Misbehave with the next request."""
        self.misbehave(fault)

    def misbehave(
        self,
        fault: Fault,
        *,
        functions: Collection[int] = (),
        at: Where | None = None,
        skip: int = 0,
        times: int | None = 1,
    ) -> None:
        """Misbehave with requests of these functions and at this address, where given; see Order."""
        self._orders.append(Order(fault, functions, None if at is None else self._place(at), skip, times))

    def swallow_answer_to(self, at: Where) -> None:
        """Carry out the next write to an address and never answer it."""
        self.misbehave(faults.mute, functions=WRITES, at=at)

    def drop_connects(self) -> None:
        """Let every SYN fall from now on."""
        self._is_deaf = True
        self._make_room()

    async def refuse_connects(self) -> None:
        """Stop listening; who is connected stays so."""
        await self._stop_accepting()
        self._listener.refuse()

    def hang_up(self) -> None:
        """Close every connection, as a PLC that restarts does."""
        for connection in self._served:
            connection.hang_up()

    def behave(self) -> None:
        """Forget all faults and listen again; limits and what was recorded stay."""
        self._orders.clear()
        self._is_deaf = False
        if self._accepting is None:
            self._listener.listen()
            self._accepting = asyncio.create_task(self._accept_all())
        self._make_room()

    # --- serving

    async def __aenter__(self) -> Self:
        self._listener = Listener()
        self._accepting = asyncio.create_task(self._accept_all())
        self._make_room()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stop_accepting()
        self._listener.close()
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)
        for connection in self._served:  # those whose task was cancelled before it began
            connection.close()

    @property
    def _is_full(self) -> bool:
        return self.serves is not None and len(self._served) >= self.serves

    def _make_room(self) -> None:
        self._listener.drop(self._is_deaf or (self._is_full and self.when_full is Full.DROP))
        if self._is_full and self.when_full in (Full.QUEUE, Full.DROP):
            self._has_room.clear()
        else:
            self._has_room.set()

    async def _stop_accepting(self) -> None:
        if self._accepting is not None:
            self._accepting.cancel()
            await asyncio.gather(self._accepting, return_exceptions=True)
        self._accepting = None

    async def _accept_all(self) -> None:
        while True:
            await self._has_room.wait()
            connection = self._connection(await self._listener.accept())
            self.connects += 1
            if self._is_full and self.when_full in (Full.RESET, Full.CLOSE):
                self.turned_away += 1
                (connection.reset if self.when_full is Full.RESET else connection.close)()
                continue
            if self._is_full and self.when_full is Full.KICK_OLDEST:
                self._kick(self._served[0])
            await self._wait_for_room(connection)
            self._take_in(connection)

    def _connection(self, sock: socket.socket) -> Connection:
        return Connection(sock, self.wire) if self.security is None else TLSConnection(sock, self.wire, self.security)

    async def _wait_for_room(self, connection: Connection) -> None:
        """Leave it unserved; only where the limit was set after the accepting began, for else it is not accepted."""
        try:
            while self._is_full:
                self._has_room.clear()
                await self._has_room.wait()
        except asyncio.CancelledError:
            connection.close()
            raise

    def _take_in(self, connection: Connection) -> None:
        self._served.append(connection)
        self.peak_connections = max(self.peak_connections, len(self._served))
        self._make_room()
        task = asyncio.create_task(self._serve(connection))
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    async def _serve(self, connection: Connection) -> None:
        try:
            with contextlib.suppress(EOFError, OSError):
                while not connection.is_closed:
                    await self._respond(*await connection.receive(), connection)
        finally:
            # The slot first and the goodbye then: a client that sees the goodbye finds room.
            self._free(connection)
            connection.close()

    def _free(self, connection: Connection) -> None:
        if connection in self._served:
            self._served.remove(connection)
            self._make_room()

    def _kick(self, connection: Connection) -> None:
        self._free(connection)
        connection.hang_up()

    async def _respond(self, transaction: int, unit: int, pdu: bytes, connection: Connection) -> None:
        request = parse(pdu, unit)
        self.requests.append(request)
        exchange = Exchange(request, transaction, connection, self)
        fault = next((order.fault for order in self._orders if order.takes(request)), None)
        if self.answer_delay_s:
            await asyncio.sleep(self.answer_delay_s)
        await (fault(exchange) if fault else exchange.answer())

    def _place(self, at: Where) -> tuple[Table | None, int]:
        if isinstance(at, str):
            return self.names[at]
        return (None, at) if isinstance(at, int) else at
