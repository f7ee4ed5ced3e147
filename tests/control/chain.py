"""What the audit says, for tests that did something; and a hand that tampers with it."""

import json
from typing import Any

from django.db import connection

from devices.models import AuditEntry


def told(**wanted: Any) -> list[AuditEntry]:
    """The entries that are so, oldest first."""
    return list(AuditEntry.objects.filter(**wanted).order_by("id"))


def newest(**wanted: Any) -> AuditEntry:
    """The last one of them."""
    return told(**wanted)[-1]


def change_of(entry: AuditEntry) -> tuple[dict[str, Any], dict[str, Any]]:
    """Before and after."""
    return json.loads(entry.before or "{}"), json.loads(entry.after or "{}")


def sql(statement: str, *values: Any) -> None:
    """As somebody with the database's password would."""
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
