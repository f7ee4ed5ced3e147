"""Keys by which machines call the API: shown once, stored as a keyed hash."""

import hmac
import re
import secrets
import zlib

from django.conf import settings
from django.db import models
from django.utils import timezone

from devices.models.stamps import Kind, Stamped, watch
from devices.models.text_rules import networks, printable

KEY_ID = re.compile(r"[0-9a-f]{16}")
SECRET_BYTES = 32  # 256 bits, so that a fast keyed hash is enough; faults.md, "Security values"


class APIKey(Stamped):
    """A key of one calling system; the key itself is never stored."""

    name = models.CharField(
        max_length=100,
        unique=True,
        validators=[printable],
        help_text="The system that calls, for example mes-line-1. It stands in the record of every run.",
    )
    key_id = models.CharField(
        max_length=16, unique=True, editable=False, help_text="The part of the key that may be seen."
    )
    digest = models.CharField(max_length=64, editable=False, help_text="Keyed hash of the whole key.")
    created_at = models.DateTimeField("made", default=timezone.now, editable=False, help_text="When it was made.")
    revoked_at = models.DateTimeField(
        "revoked", null=True, blank=True, help_text="Refused since then. A revoked key never works again."
    )
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="api_keys",
        help_text="The person who answers for the calling system and can be asked about it.",
    )
    expires_at = models.DateTimeField(
        "expires", null=True, blank=True, help_text="Refused from then on; empty: it works until it is revoked."
    )
    networks = models.CharField(
        "source networks",
        max_length=500,
        blank=True,
        validators=[networks],
        help_text="Only calls from these are served, for example 10.1.0.0/16, 10.2.3.4. Empty: from anywhere.",
    )
    last_used_at = models.DateTimeField(
        "last used", null=True, blank=True, editable=False, help_text="Its last call, to the minute."
    )
    needs_idempotency_key = models.BooleanField(
        "needs idempotency keys",
        default=False,
        help_text="Refuse a command from this caller that comes without an Idempotency-Key: it could not be repeated "
        "safely when its answer is lost.",
    )

    class Meta:
        ordering = ["name"]
        verbose_name = "API key"

    def __str__(self) -> str:
        return self.name

    def issue(self) -> str:
        """Give this row a fresh secret and return the whole key, for the only time."""
        self.key_id = secrets.token_hex(8)
        text = f"pgw_{settings.KEY_ENVIRONMENT}_{self.key_id}_{secrets.token_hex(SECRET_BYTES)}"
        key = f"{text}_{zlib.crc32(text.encode()):08x}"
        self.digest = digest_of(key)
        return key


watch(Kind.ACCESS, APIKey)


def digest_of(key: str) -> str:
    """Keyed hash of a whole key, as stored."""
    return hmac.digest(settings.KEY_PEPPER.encode(), key.encode(), "sha256").hex()


def key_id_of(key: str) -> str | None:
    """The id inside a well-formed key, None if the key is malformed or mistyped."""
    text, _, check = key.rpartition("_")
    parts = text.split("_")
    is_whole = (
        len(parts) == 4
        and parts[0] == "pgw"
        and KEY_ID.fullmatch(parts[2])
        and check == f"{zlib.crc32(text.encode()):08x}"
    )
    return parts[2] if is_whole else None
