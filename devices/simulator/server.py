"""A Modbus TCP server over a memory, in plain asyncio.

Not pymodbus's own: that one loses the second request of a segment, mixes up transaction ids when slow, and
knows no limit of connections.
"""

import asyncio
import socket
from types import TracebackType
from typing import Self

from devices.simulator.errors import CannotListen, FramingLost
from devices.simulator.frames import Frame, take_frames
from devices.simulator.memory import Memory
from devices.simulator.pdu import answer

SEGMENT = 4096  # bytes taken from the kernel at a time
BACKLOG = 128  # connections that the kernel keeps waiting while the server is full


class ModbusServer:
    """Listens while its `async with` block runs; afterwards no socket and no task is left."""

    def __init__(
        self,
        memory: Memory,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        answer_delay_s: float = 0.0,
        max_connections: int | None = None,
    ) -> None:
        """`port` 0 takes a free one. When full the server accepts none further: as at many PLCs, the next
        one gets its connection from the kernel's backlog and no answer until a slot is free.
        """
        self.memory = memory
        self.host = host
        self.port = port
        self.answer_delay_s = answer_delay_s
        self.max_connections = max_connections
        self.peak_connections = 0
        """The most that were open at once."""
        self._listener: socket.socket | None = None
        self._conversations: set[asyncio.Task[None]] = set()

    @property
    def connections(self) -> int:
        """Open now, without those in the backlog."""
        return len(self._conversations)

    async def __aenter__(self) -> Self:
        self._listener = await _listen(self.host, self.port)
        self.port = self._listener.getsockname()[1]
        self._accept_or_wait()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._listener is not None:
            asyncio.get_running_loop().remove_reader(self._listener)
            self._listener.close()
            self._listener = None
        talking = list(self._conversations)
        for task in talking:
            task.cancel()
        await asyncio.gather(*talking, return_exceptions=True)

    def _accept_or_wait(self) -> None:
        """Look at the listening socket only while there is a free slot."""
        if self._listener is None:
            return
        loop = asyncio.get_running_loop()
        if self.max_connections is not None and self.connections >= self.max_connections:
            loop.remove_reader(self._listener)
        else:
            loop.add_reader(self._listener, self._accept, self._listener)

    def _accept(self, listener: socket.socket) -> None:
        try:
            connection, _ = listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        task = asyncio.get_running_loop().create_task(self._converse(connection))
        self._conversations.add(task)
        # Closed here and not in the task: a task that is cancelled before its first step never reaches a `finally`.
        task.add_done_callback(lambda done: self._close(done, connection))
        self.peak_connections = max(self.peak_connections, self.connections)
        self._accept_or_wait()

    def _close(self, task: asyncio.Task[None], connection: socket.socket) -> None:
        connection.close()
        self._conversations.discard(task)
        self._accept_or_wait()

    async def _converse(self, connection: socket.socket) -> None:
        """Answer the requests of one client in their order, however they are cut into segments."""
        loop = asyncio.get_running_loop()
        received = bytearray()
        try:
            while segment := await loop.sock_recv(connection, SEGMENT):
                received += segment
                for request in take_frames(received):
                    await loop.sock_sendall(connection, await self._answer(request))
        except (OSError, FramingLost):
            return  # the client is gone, or speaks something else: close

    async def _answer(self, request: Frame) -> bytes:
        # First the delay, then the deed: a client that gave up meanwhile finds its write executed later.
        if self.answer_delay_s:
            await asyncio.sleep(self.answer_delay_s)
        return Frame(request.transaction, request.unit, answer(self.memory, request.pdu)).pack()


async def _listen(host: str, port: int) -> socket.socket:
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        family, _, _, _, address = found[0]
        listener = socket.create_server(address, family=family, backlog=BACKLOG)
    except OSError as error:
        raise CannotListen(host, port, error) from error
    listener.setblocking(False)
    return listener
