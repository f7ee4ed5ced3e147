"""Who asks too often is told so: each caller by his name, whoever cannot say who he is by his address.

ninja's throttling is not used: it counts in Django's cache by calls that would block the event loop; docs/adr/0007.
"""

from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.http import HttpRequest
from ninja.errors import AuthenticationError
from ninja.security.apikey import APIKeyBase

from devices.control.actors import source_of
from devices.control.callers import Caller
from devices.control.errors import TooManyRequests
from devices.control.rates import COUNTS
from devices.models.access import key_id_of

KEY_HEADER = "X-API-Key"
KEY_IN_META = "HTTP_X_API_KEY"
ONE_NETWORK = 64  # bits of an IPv6 address: whoever has one has all that share them

if TYPE_CHECKING:
    Authentication = APIKeyBase
else:
    Authentication = object


class Rated(Authentication):
    """Mix in before an authentication of ninja's."""

    async def __call__(self, request: HttpRequest) -> Caller | None:
        """Whoever it finds, unless he, or those who fail from his address, come too often. Raises TooManyRequests."""
        address = network_of(source_of(request))
        key_id = key_id_of(shown_key(request) or "") if settings.FAILURES_PER_MINUTE else None
        guessed = None if key_id is None else f"guess {address} {key_id}"
        if guessed is not None:
            # Before the key is looked at: else a right guess would be told from the wrong ones.
            _require(COUNTS.look(guessed), settings.FAILURES_PER_MINUTE, "wrong keys of this id from this address")
        try:
            answer: Any = super().__call__(request)
            caller: Caller | None = await answer
        except AuthenticationError:
            await _count_failure(address, guessed)
            raise
        if caller is not None and settings.REQUESTS_PER_MINUTE:
            _require(await COUNTS.add(caller.name), settings.REQUESTS_PER_MINUTE, f"requests of {caller.name}")
        return caller


async def _count_failure(address: str, guessed: str | None) -> None:
    if settings.FAILURES_PER_MINUTE:
        if guessed is not None:
            await COUNTS.add(guessed)
        found = await COUNTS.add(f"failed {address}")
        _require(found, settings.FAILURES_PER_MINUTE, "requests without a valid key or login from this address")


def _require(found: tuple[int, float], limit: int, what: str) -> None:
    count, rest_s = found
    if limit and count > limit:
        raise TooManyRequests(
            f"more than {limit} {what} in a minute: this one was not looked at", retry_after_s=max(rest_s, 1.0)
        )


def shown_key(request: HttpRequest) -> str | None:
    """The API key that a request brings: `request.headers` would rename all its headers for this one."""
    key: str | None = request.META.get(KEY_IN_META)
    return key


@lru_cache(maxsize=1024)
def network_of(address: str) -> str:
    """What one caller can call from: an IPv4 address, or an IPv6 network."""
    try:
        found = ip_address(address)
    except ValueError:
        return address
    if isinstance(found, IPv6Address):
        return str(found.ipv4_mapped or ip_network((found, ONE_NETWORK), strict=False))
    return str(found)
