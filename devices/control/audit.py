"""Tell what was done: entries in a chain, each in the transaction of what it tells about."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from django.db import connection, transaction
from django.utils import timezone

from devices.control.actors import Actor, current_actor
from devices.models import Action, AuditEntry
from devices.models.audit import FIRST
from devices.models.statements import Statements, rows_of
from devices.models.text_rules import visible

TOLD = ("actor", "source", "action", "kind", "subject", "subject_id", "before", "after", "detail", "previous")
"""All that an entry says, beside its moment and its own digest."""
_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"))
_READABLE = json.JSONEncoder(ensure_ascii=False, sort_keys=True)
_ENTRIES = Statements(AuditEntry)
_LONGEST = {field.name: getattr(field, "max_length", None) for field in AuditEntry._meta.get_fields()}  # noqa: SLF001 - Django's documented name

_LAST = f"SELECT digest FROM {AuditEntry._meta.db_table} ORDER BY id DESC LIMIT 1"  # our own name  # noqa: S608, SLF001  # nosec B608
TURN = 0x61756469  # "audi": the number of the lock, the same in every process
# Nobody waits for ever for a process that stands still amid a change: as long as SQLite waits, then an error.
_TAKE_TURN = (
    "SELECT set_config('lock_timeout', CASE current_setting('lock_timeout') WHEN '0' THEN '20s'"
    f" ELSE current_setting('lock_timeout') END, true), pg_advisory_xact_lock({TURN})"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Deed:
    """Something that was done."""

    action: Action
    kind: str = ""
    subject: str = ""
    subject_id: str = ""
    before: Mapping[str, Any] | None = None
    """What changed, as it was."""
    after: Mapping[str, Any] | None = None
    """What changed, as it is since."""
    detail: str = ""
    by: Actor | None = None
    """None: who acts now."""


def take_turn() -> None:
    """Wait until nobody else adds to the chain; the turn ends with the transaction.

    To be taken before any row is changed that is told about: two who held each other's rows would wait for ever.
    SQLite gives its turn with the transaction itself.
    """
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(_TAKE_TURN)


def append(*deeds: Deed, has_turn: bool = False) -> None:
    """Add to the chain; within the transaction that is open, or in one of its own.

    `has_turn`: it was taken in this transaction already, and need not be asked for again.
    """
    if not deeds:
        return
    if has_turn:
        _append(deeds)
        return
    with transaction.atomic(savepoint=False):
        take_turn()
        _append(deeds)


def _append(deeds: Sequence[Deed]) -> None:
    previous = _last_digest()
    actor = None if all(deed.by for deed in deeds) else current_actor()
    rows = []
    for deed in deeds:
        rows.append(_linked(deed, deed.by or actor, previous))
        previous = rows[-1]["digest"]
    _ENTRIES.insert(rows)


def _last_digest() -> str:
    """In plain SQL: it is asked at every run, and the ORM takes ten times as long to say the same."""
    found = rows_of(_LAST)
    return str(found[0][0]) if found else FIRST


def digest_of(entry: AuditEntry) -> str:
    """SHA-256 over the canonical JSON of all that the entry says, the digest before it included."""
    return _digest(entry.at, {name: getattr(entry, name) for name in TOLD})


def _digest(at: datetime, told: Mapping[str, str]) -> str:
    says = {"at": at.astimezone(UTC).isoformat(timespec="microseconds"), **told}
    return sha256(_CANONICAL.encode(says).encode()).hexdigest()


def _linked(deed: Deed, actor: Actor | None, previous: str) -> dict[str, Any]:
    """The columns of its entry."""
    says = {
        "actor": actor.name if actor else "",
        "source": actor.source if actor else "",
        "kind": deed.kind,
        "subject": deed.subject,
        "subject_id": deed.subject_id,
        "detail": deed.detail,
    }
    told = {
        **{name: _bounded(text, _LONGEST[name]) for name, text in says.items()},
        "action": deed.action.value,
        "before": _json(deed.before),
        "after": _json(deed.after),
        "previous": previous,
    }
    at = timezone.now()
    return {"at": at, **told, "digest": _digest(at, told)}


def _bounded(text: str, longest: int | None) -> str:
    """What can be seen, as much as fits; a name that somebody else typed may hold anything."""
    seen = visible(text)
    return seen if longest is None or len(seen) <= longest else f"{seen[: longest - 1]}…"


def _json(values: Mapping[str, Any] | None) -> str:
    if values is None:
        return ""
    text = _READABLE.encode(values)
    return text.encode(errors="backslashreplace").decode()  # half a character: no database stores it
