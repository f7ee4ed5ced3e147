"""Where PLCs may be: why an address is none that a PLC may have. Pure: no look-up, no I/O.

`ip.is_private` would be the wrong test: it lets loopback, link-local addresses and 0.0.0.0 pass.
"""

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

SETTING = "PLC_NETWORKS"
KNOWN = 10_000  # addresses that are kept in mind; as many PLCs as a gateway has


def parse(texts: Iterable[str]) -> tuple[Network, ...]:
    """Networks as a setting lists them, for example 10.20.0.0/16; a single address is a network of one."""
    return tuple(_network(text.strip()) for text in texts if text.strip())


def _network(text: str) -> Network:
    try:
        return ipaddress.ip_network(text)
    except ValueError as error:
        raise ValueError(f"{SETTING}: {text!r} is no network such as 10.20.0.0/16 ({error})") from error


LOOPBACK = parse(("127.0.0.0/8", "::1/128"))

METADATA = parse(
    (
        "169.254.169.254",  # most clouds
        "169.254.170.2",  # AWS, of containers
        "fd00:ec2::254",  # AWS
        "fd20:ce::254",  # Google
        "100.100.100.200",  # Alibaba
        "192.0.0.192",  # Oracle
        "168.63.129.16",  # Azure
    )
)
NEVER = (
    (METADATA, "is a cloud's metadata service"),
    (parse(("169.254.0.0/16", "fe80::/10")), "is link-local"),
    (parse(("0.0.0.0/8", "::/128")), "is the unspecified address"),
    (parse(("224.0.0.0/4", "ff00::/8")), "is a multicast address"),
    (parse(("255.255.255.255",)), "is the broadcast address"),
)
"""No setting lets a PLC be there."""

NAT64 = parse(("64:ff9b::/96", "64:ff9b:1::/48"))  # RFC 6052, RFC 8215; the last 32 bits are an IPv4 address
COMPATIBLE = parse(("::/96",))  # RFC 4291 section 2.5.5.1, long out of use


@dataclass(frozen=True, kw_only=True, slots=True)
class Service:
    """Something of the gateway's own that listens somewhere: no PLC is there."""

    name: str
    host: str
    """An address or a name, as its setting has it; 0.0.0.0 is each address of this computer."""
    port: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Networks:
    """Where PLCs may be. As it comes, on this computer only."""

    allowed: tuple[Network, ...] = LOOPBACK
    services: tuple[Service, ...] = ()
    _known: dict[str, str | None] = field(default_factory=dict, init=False, compare=False, repr=False)
    """What was said of an address: it is asked again with each connection."""

    def why_not(self, text: str) -> str | None:
        """Why no PLC may have this address; None if one may."""
        if text not in self._known:
            if len(self._known) >= KNOWN:
                self._known.clear()
            self._known[text] = self._why_not(text)
        return self._known[text]

    def _why_not(self, text: str) -> str | None:
        outer = _without_scope(ipaddress.ip_address(text))
        # A packet to ::ffff:10.0.0.1 goes to 10.0.0.1, whatever it is written as.
        address = _embedded(outer) or outer
        shown = text if address == outer else f"{text} (which is {address})"
        for networks, what in NEVER:
            if any(_holds(networks, one) for one in (outer, address)):
                return f"{shown} {what}, where no PLC may be, whatever {SETTING} says"
        if not _holds(self.allowed, address):
            return f"{shown} is not within the networks that the setting {SETTING} allows ({self._shown}): {WHO}"
        return None

    @property
    def _shown(self) -> str:
        return ", ".join(map(str, self.allowed)) or "none so far"


WHO = "whoever runs the gateway can add it there, and restart it"


@lru_cache(KNOWN)
def is_address(text: str) -> bool:
    """Whether it is an IP address already, and no name."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def is_everywhere(text: str) -> bool:
    """Whether who listens at it listens at each address of his computer."""
    return not text or (is_address(text) and ipaddress.ip_address(text).is_unspecified)


def plain(text: str) -> str:
    """The address that packets go to, in the one way to write it."""
    outer = _without_scope(ipaddress.ip_address(text))
    return str(_embedded(outer) or outer)


def _without_scope(address: Address) -> Address:
    """fe80::1%eth0 as fe80::1."""
    return ipaddress.IPv6Address(int(address)) if isinstance(address, ipaddress.IPv6Address) else address


def _embedded(address: Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address that an IPv6 address leads to, if it does."""
    if isinstance(address, ipaddress.IPv4Address):
        return None
    if found := address.ipv4_mapped or address.sixtofour:
        return found
    if address.teredo:
        return address.teredo[1]
    is_compatible = _holds(COMPATIBLE, address) and int(address) > 1
    return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF) if is_compatible or _holds(NAT64, address) else None


def _holds(networks: tuple[Network, ...], address: Address) -> bool:
    return any(address.version == network.version and address in network for network in networks)
