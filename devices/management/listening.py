"""Where callers come in: an address, or a socket that was opened before and is shared by several processes."""

import socket
from dataclasses import dataclass

from devices.management.errors import CannotStart
from devices.management.webserver import GatewayServer

FAMILIES = (socket.AF_INET, socket.AF_INET6)
HINT = "Start it with a TCP socket that listens on this number, as systemd does: the first of a .socket unit is 3."


@dataclass(frozen=True, kw_only=True, slots=True)
class Address:
    """Of this process alone."""

    host: str
    port: int
    """0: any that is free."""

    def listen(self, server: GatewayServer) -> int:
        """Let the server accept callers; the port. Raises CannotStart."""
        return server.listen(self.host, self.port)


class Inherited:
    """A socket that whoever started this process has opened. Raises CannotStart where it is none."""

    def __init__(self, number: int) -> None:
        self._socket = _listening_socket(number)
        self.host, self.port = self._socket.getsockname()[:2]

    def listen(self, server: GatewayServer) -> int:
        """Let the server accept callers; the port."""
        server.listen_on(self._socket)
        self._socket.close()  # the server has a duplicate: once all have closed theirs, nobody waits there in vain
        return int(self.port)


def _listening_socket(number: int) -> socket.socket:
    try:
        found = socket.socket(fileno=number)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise CannotStart(f"Cannot listen on --fd {number}: {why}. {HINT}") from error
    if found.family not in FAMILIES or found.type != socket.SOCK_STREAM:
        fault = "it is no TCP socket"
    elif not found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        fault = "it does not listen"
    else:
        return found
    found.detach()
    raise CannotStart(f"Cannot listen on --fd {number}: {fault}. {HINT}")
