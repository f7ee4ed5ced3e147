"""Host names to addresses, in threads of their own, and only to those that a PLC may have.

The default executor has cores + 4 threads: a name server that hangs for 30 s would fill it, and the seventh call of
anything would wait.
"""

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor

from devices.modbus import resources
from devices.modbus.errors import AddressForbidden, LinkUnavailable
from devices.modbus.networks import Networks, Service, is_address, is_everywhere, plain

LOOK_UPS = 16  # at once; more of them wait in the executor's queue, each bounded by its own caller's limit

_executor = ThreadPoolExecutor(LOOK_UPS, thread_name_prefix="plc-names")


async def allowed_addresses(host: str, port: int, networks: Networks) -> tuple[str, ...]:
    """Return the addresses of a PLC, in the order in which to try them; only these may be connected to.

    Raises LinkUnavailable where the name is not known, AddressForbidden where one of the addresses is none that a PLC
    may have: which of them a name means is for its owner to choose, at each look-up. Put a time limit around it.
    """
    addresses = await resolve(host)
    whose = f"{host}: " if addresses != (host,) else ""
    for address in addresses:
        if why := networks.why_not(address) or await _why_taken(address, port, networks):
            raise AddressForbidden(f"{whose}{why}")
    return addresses


async def resolve(host: str) -> tuple[str, ...]:
    """Return the addresses of a host, in the order in which to try them; an address is returned as it is.

    Raises LinkUnavailable where the name is not known. Put a time limit around it: a look-up has none.
    """
    if is_address(host):
        return (host,)
    loop = asyncio.get_running_loop()
    try:
        found = await loop.run_in_executor(_executor, _look_up, host)
    except (OSError, UnicodeError) as error:
        raise LinkUnavailable(f"the host name {host!r} was not found") from error
    return tuple(dict.fromkeys(found))


async def _why_taken(address: str, port: int, networks: Networks) -> str | None:
    """Say whose place it is, where a service of the gateway listens there."""
    for service in networks.services:
        if service.port == port and await _is_at(service, plain(address)):
            return f"{service.name} listens at {address}, port {port}: no PLC is there"
    return None


async def _is_at(service: Service, address: str) -> bool:
    if is_everywhere(service.host):
        return resources.is_own_address(address)
    try:
        places = {plain(place) for place in await resolve(service.host)}
    except LinkUnavailable:  # nobody knows where it is now, so nobody can be there
        return False
    # Who listens at one address of this computer may well listen at its others.
    is_here = any(map(resources.is_own_address, places))
    return address in places or (is_here and resources.is_own_address(address))


def _look_up(host: str) -> list[str]:
    return [str(entry[4][0]) for entry in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)]
