"""The listening socket of the PLC double: refuses, or serves so many and is full in one of five ways."""

import asyncio
import ctypes
import socket
import struct
from enum import StrEnum

SO_ATTACH_FILTER, SO_DETACH_FILTER = 26, 27  # asm-generic/socket.h; Python has no names for them
RETURN_NOTHING = struct.pack("HBBI", 0x06, 0, 0, 0)  # BPF: accept no byte of any packet


class Full(StrEnum):
    """What a PLC that serves all its connections does with the next one."""

    QUEUE = "queue"
    """Leaves it in the kernel's backlog: connected, and never served until another one goes."""
    DROP = "drop"
    """Lets its SYN fall: the client's connect runs into its limit."""
    RESET = "reset"
    """Takes it and resets it at once."""
    CLOSE = "close"
    """Takes it and closes it at once."""
    KICK_OLDEST = "kick oldest"
    """Closes the connection that it has had longest, as a Schneider M241 does."""


class Listener:
    """A port of 127.0.0.1 that stays ours also while nothing listens on it."""

    def __init__(self) -> None:
        self._sock = self._bound(0)
        self.port: int = self._sock.getsockname()[1]
        self._is_deaf = False
        self._sock.listen(128)

    def refuse(self) -> None:
        """Refuse connections; those that wait in the backlog are reset."""
        # Whoever accepts hears no more of it; uvloop would not close it before he does.
        asyncio.get_running_loop().remove_reader(self._sock)
        # Bound but not listening: the port stays reserved, and a SYN to it is answered with a RST.
        self._sock.close()
        self._sock = self._bound(self.port)
        self._is_deaf = False

    def listen(self) -> None:
        """Accept connections, again."""
        self._sock.listen(128)

    def drop(self, is_dropping: bool) -> None:
        """Let every SYN fall, as a full PLC or a dead cable does; or hear again."""
        if is_dropping and not self._is_deaf:
            program = ctypes.create_string_buffer(RETURN_NOTHING)
            self._sock.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HL", 1, ctypes.addressof(program)))
        elif self._is_deaf and not is_dropping:
            self._sock.setsockopt(socket.SOL_SOCKET, SO_DETACH_FILTER, 0)
        self._is_deaf = is_dropping

    async def accept(self) -> socket.socket:
        connection, _ = await asyncio.get_running_loop().sock_accept(self._sock)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def close(self) -> None:
        self._sock.close()

    def _bound(self, port: int) -> socket.socket:
        sock = socket.socket()
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(("127.0.0.1", port))
        return sock
