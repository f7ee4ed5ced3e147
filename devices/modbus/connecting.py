"""One try to connect to one address, and why it failed in words of a plant. Knows nothing of Modbus."""

import asyncio
import ssl
from collections.abc import Callable
from typing import Any

from devices.modbus import resources, tls
from devices.modbus.errors import LinkUnavailable, NoResources, TLSRefused
from devices.modbus.types import Endpoint

_REASONS = (
    (ConnectionRefusedError, "the connection was refused: nothing listens there"),
    (ConnectionResetError, "the PLC reset the connection"),
    (ConnectionAbortedError, "it was closed while it was being connected"),
    (TimeoutError, "no answer to the connection attempt"),
    (OSError, "the network cannot reach it"),
)


class Attempt:
    """Connects once, over TLS where there is a context for it, and remembers how far it came."""

    def __init__(self, endpoint: Endpoint, address: str, security: ssl.SSLContext | None) -> None:
        self._endpoint = endpoint
        self._address = address
        self._security = security
        self.is_accepted = False
        """The TCP connection stands; over TLS the handshake is to come."""

    async def connect(self, protocol: Callable[[], Any]) -> Any:
        """Transport and protocol, as asyncio gives them; raises OSError."""
        # The certificate must be made for the PLC's name, though it is its address that we have checked and connect to.
        name = self._endpoint.tls.server_name if self._endpoint.tls else None

        def accepted() -> Any:
            self.is_accepted = True
            return protocol()

        return await asyncio.get_running_loop().create_connection(
            accepted, self._address, self._endpoint.port, ssl=self._security, server_hostname=name
        )

    def why_failed(self, error: OSError, whom: object) -> LinkUnavailable:
        """What to tell whoever wanted to connect."""
        if resources.is_shortage(error):
            return NoResources(f"{whom}: the gateway has no descriptor or port left to connect with")
        if self._endpoint.tls and self.is_accepted and not isinstance(error, ConnectionAbortedError):
            return TLSRefused(f"{whom}: {tls.why_refused(error, self._endpoint.tls)}")
        return LinkUnavailable(f"{whom}: {next(words for kind, words in _REASONS if isinstance(error, kind))}")

    def why_late(self, whom: object) -> LinkUnavailable:
        """What to tell where the time for it was over."""
        limit = f"within {self._endpoint.connect_timeout_s:g} s"
        if self._endpoint.tls and self.is_accepted:
            return TLSRefused(f"{whom}: TLS: it accepted the connection and did not finish the handshake {limit}")
        return LinkUnavailable(f"{whom} did not accept the connection {limit}")
