"""A PLC double that knows which process of this computer connects to it."""

import os
import socket
import struct
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path

from tests.doubles.fault_server import FaultServer
from tests.doubles.wire import Connection

NETLINK_SOCK_DIAG, SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST = 4, 20, 1  # linux/netlink.h, linux/sock_diag.h
INODE_AT = 16 + 4 + 48 + 16  # after the header, in struct inet_diag_msg of linux/inet_diag.h


class VisitedPLC(FaultServer):
    """Notes who comes, in order."""

    def __init__(self, pids: Iterable[int] = (), **more: object) -> None:
        super().__init__(**more)
        self.pids = pids
        """Processes whose visits count."""
        self.visits: list[int] = []

    def visitors(self, since: int = 0) -> list[int]:
        """Who came after so many visits, each once for as long as nobody else came."""
        return [pid for pid, _ in groupby(self.visits[since:])]

    def _take_in(self, connection: Connection) -> None:
        # Who wants something waits for our answer. One that has gone already was told to leave us while it connected.
        if pid := _owner_of(connection._sock.getpeername()[1], self.port, self.pids):
            self.visits.append(pid)
        super()._take_in(connection)


def _owner_of(theirs: int, ours: int, pids: Iterable[int]) -> int:
    wanted = f"socket:[{_inode_of(theirs, ours)}]"
    return next((pid for pid in pids if wanted in _open_in(pid)), 0)


def _inode_of(theirs: int, ours: int) -> int:
    """Of a client's socket, by both ports; Linux answers at once, however many connections there are (sock_diag(7))."""
    host, no_cookie, any_state = socket.inet_aton("127.0.0.1").ljust(16, b"\0"), 0xFFFFFFFF, 0xFFFFFFFF
    asked = struct.pack("=BBBBI", socket.AF_INET, socket.IPPROTO_TCP, 0, 0, any_state)
    asked += struct.pack(">HH", theirs, ours) + 2 * host + struct.pack("=III", 0, no_cookie, no_cookie)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_SOCK_DIAG) as kernel:
        kernel.send(struct.pack("=IHHII", 16 + len(asked), SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST, 0, 0) + asked)
        told = kernel.recv(4096)
    (kind,) = struct.unpack_from("=H", told, 4)
    return struct.unpack_from("=I", told, INODE_AT)[0] if kind == SOCK_DIAG_BY_FAMILY else 0


def _open_in(pid: int) -> set[str]:
    found = set()
    try:
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            try:
                found.add(os.readlink(descriptor))
            except OSError:
                continue  # closed meanwhile
    except OSError:
        pass  # the process has ended
    return found
