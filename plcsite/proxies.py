"""For whom a proxy calls: believed only of the proxies that TRUSTED_PROXIES lists.

Anybody can write X-Forwarded-For, and X-Forwarded-Proto too: of strangers neither is believed, nor left for anybody
further in to believe.
"""

import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Any

logger = logging.getLogger(__name__)

Scope = dict[str, Any]
Application = Callable[..., Awaitable[Any]]
Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address

FORWARDED_FOR = b"x-forwarded-for"
FORWARDED_PROTO = b"x-forwarded-proto"
SAID_BY_PROXIES = frozenset({FORWARDED_FOR, FORWARDED_PROTO, b"x-forwarded-host", b"x-forwarded-port", b"forwarded"})
OVER_TLS = {"http": "https", "ws": "wss"}


class BehindProxies:
    """The application, told who calls and how, whoever stands between."""

    def __init__(self, application: Application, trusted: Sequence[Network]) -> None:
        self._application = application
        self._trusted = trusted
        self._has_warned = False

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> Any:
        """One request, or one WebSocket."""
        if scope["type"] in ("http", "websocket"):
            scope = self._told(scope)
        return await self._application(scope, receive, send)

    def _told(self, scope: Scope) -> Scope:
        headers = scope.get("headers", ())
        said = [(name, value) for name, value in headers if name.lower() in SAID_BY_PROXIES]
        if not said:
            return scope
        kept = {**scope, "headers": [header for header in headers if header not in said]}
        peer = (scope.get("client") or ("", 0))[0]
        if self._is_trusted(_address(peer)):
            return {**kept, **self._believed(scope, peer, said)}
        self._warn(peer, said)
        return kept

    def _believed(self, scope: Scope, peer: str, said: Sequence[tuple[bytes, bytes]]) -> Scope:
        scheme = scope.get("scheme", "http")
        protos = _values(said, FORWARDED_PROTO)  # the last one is the nearest proxy's
        if protos and protos[-1].lower() in ("https", "wss"):
            scheme = OVER_TLS.get(scheme, scheme)
        return {"client": (self._caller(peer, _values(said, FORWARDED_FOR)), 0), "scheme": scheme}

    def _caller(self, peer: str, path: Sequence[str]) -> str:
        """The last address before the trusted proxies; what stands left of it was written by whoever wanted to."""
        caller = peer
        for text in reversed(path):
            address = _address(text)
            if address is None:
                break
            caller = str(address)
            if not self._is_trusted(address):
                break
        return caller

    def _is_trusted(self, address: Address | None) -> bool:
        return address is not None and any(address in network for network in self._trusted)

    def _warn(self, peer: str, said: Sequence[tuple[bytes, bytes]]) -> None:
        """Once: a proxy that nobody told the gateway of would redirect browsers in a circle, with no hint why."""
        if not self._has_warned and "https" in _values(said, FORWARDED_PROTO):
            self._has_warned = True
            logger.warning("%s says that it calls for somebody over HTTPS; TRUSTED_PROXIES does not list it", peer)


def _values(said: Iterable[tuple[bytes, bytes]], wanted: bytes) -> list[str]:
    """From left to right; a header may come several times, and hold several values."""
    texts = [value.decode("latin-1") for name, value in said if name.lower() == wanted]
    return [part.strip() for text in texts for part in text.split(",") if part.strip()]


def _address(text: str) -> Address | None:
    """Some proxies add a port, and a socket for both protocols writes IPv4 as IPv6."""
    host = text[1:].partition("]")[0] if text.startswith("[") else text
    if host.count(":") == 1:
        host = host.partition(":")[0]
    try:
        address = ip_address(host)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
