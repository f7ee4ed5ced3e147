"""Host names to addresses, in threads of their own. The default executor has cores + 4 threads: a
name server that hangs for 30 s would fill it, and the seventh call of anything would wait."""

import asyncio
import ipaddress
import socket
from concurrent.futures import ThreadPoolExecutor

from devices.modbus.errors import LinkUnavailable

LOOK_UPS = 16  # at once; more of them wait in the executor's queue, each bounded by its own caller's limit

_executor = ThreadPoolExecutor(LOOK_UPS, thread_name_prefix="plc-names")


async def resolve(host: str) -> tuple[str, ...]:
    """Return the addresses of a host, in the order in which to try them; an address is returned as it is.

    Raises LinkUnavailable where the name is not known. Put a time limit around it: a look-up has none.
    """
    if _is_address(host):
        return (host,)
    loop = asyncio.get_running_loop()
    try:
        found = await loop.run_in_executor(_executor, _look_up, host)
    except (OSError, UnicodeError) as error:
        raise LinkUnavailable(f"the host name {host!r} was not found") from error
    return tuple(dict.fromkeys(found))


def _look_up(host: str) -> list[str]:
    return [str(entry[4][0]) for entry in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)]


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
