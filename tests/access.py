"""Callers who were given rights, as tests need them."""

from channels.db import database_sync_to_async
from django.contrib.auth.models import Group, User

from devices.models import APIKey, Grant, Right


def grant(holder: User | Group | APIKey, *rights: Right, **narrowed: object) -> list[Grant]:
    """Give rights to somebody; all of them where none is named. `narrowed`: plc, area, commands, ceilings."""
    kind = {User: "user", Group: "group", APIKey: "key"}[type(holder)]
    given = [Grant(right=right, **{kind: holder}, **narrowed) for right in rights or Right]
    for row in given:
        row.save()
    return given


agrant = database_sync_to_async(grant)


def new_key(name: str = "mes", *rights: Right, **narrowed: object) -> str:
    """A key of its own with rights; all of them where none is named."""
    row = APIKey(name=name)
    secret = row.issue()
    row.save()
    grant(row, *rights, **narrowed)
    return secret


anew_key = database_sync_to_async(new_key)
