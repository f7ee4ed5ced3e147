"""The API keys that are valid, in memory, with what each of them may do."""

import hmac
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from django.utils import timezone

from devices.control.callers import Caller
from devices.control.errors import NotRunning
from devices.control.gateway import current
from devices.control.kept import Kept
from devices.control.rights import NOTHING, GrantSpec, Rights
from devices.control.stamps import Stamps
from devices.models import APIKey
from devices.models.access import digest_of, key_id_of
from devices.models.stamps import Kind

logger = logging.getLogger(__name__)

LOOK_S = 0.05  # between two looks whether another process has changed a key or a grant

Networks = tuple[IPv4Network | IPv6Network, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class KnownKey:
    """A key that was not revoked."""

    digest: str
    name: str = ""
    """Of the system that calls."""
    needs_key: bool = False
    """It must send an Idempotency-Key."""
    rights: Rights = NOTHING
    expires_at: datetime | None = None
    networks: Networks | None = None
    """Where it may be used; None: anywhere."""

    @classmethod
    def of(cls, row: APIKey) -> "KnownKey":
        """Copy a row and its grants."""
        return cls(
            digest=row.digest,
            name=row.name,
            needs_key=row.needs_idempotency_key,
            rights=Rights(grants=tuple(GrantSpec.of(grant) for grant in row.grants.all())),
            expires_at=row.expires_at,
            networks=networks_of(row),
        )

    def serves(self, source: str) -> bool:
        """Whether it opens anything now, to a call from this address."""
        is_expired = self.expires_at is not None and self.expires_at <= timezone.now()
        return not is_expired and (self.networks is None or _is_within(self.networks, source))


NOBODY = KnownKey(digest="0" * 64)
"""What an unknown key is compared with, so that its answer takes as long."""


class Keys:
    """All valid keys, so that a stranger who tries made-up ones costs the database nothing.

    Before they are believed, whoever calls first looks at the stamp: one small query for all who call meanwhile.
    """

    def __init__(self) -> None:
        self._kept = Kept(valid_keys, kind=Kind.ACCESS, lack="API keys cannot be looked up", stamps=Stamps())

    async def caller_with(self, key: str, source: str) -> Caller | None:
        """Who a key stands for; None for one that is unknown, malformed, revoked, expired or used from elsewhere."""
        key_id = key_id_of(key) or ""
        known = (await self._kept.as_of(time.monotonic() - LOOK_S)).get(key_id, NOBODY)
        if not hmac.compare_digest(digest_of(key), known.digest) or not known.serves(source):
            return None
        _note_use(key_id)
        return Caller(name=f"key {known.name}", source=source, rights=known.rights, needs_key=known.needs_key)


def valid_keys() -> Mapping[str, KnownKey]:
    """Those that are stored now, by their ids."""
    rows = APIKey.objects.filter(revoked_at=None).prefetch_related("grants")
    return {row.key_id: KnownKey.of(row) for row in rows}


def networks_of(row: APIKey) -> Networks | None:
    """Where a key may be used: None is anywhere, empty nowhere, as for a text that cannot be read."""
    if not row.networks:
        return None
    try:
        return tuple(ip_network(part) for text in row.networks.split(",") if (part := text.strip()))
    except ValueError as error:
        logger.error("key %s works from nowhere until its source networks are mended: %s", row.key_id, error)
        return ()


def _is_within(networks: Networks, source: str) -> bool:
    try:
        address = ip_address(source)
    except ValueError:
        return False
    # A socket for both kinds tells an IPv4 caller as ::ffff:10.0.0.7.
    address = getattr(address, "ipv4_mapped", None) or address
    return any(address in network for network in networks)


def _note_use(key_id: str) -> None:
    try:
        current().last_uses.note(key_id)
    except NotRunning:  # nobody would store it
        return
