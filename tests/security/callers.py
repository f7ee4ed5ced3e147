"""Everybody who may turn up: nobody, a member of each group, and keys with and without the grant."""

from asgiref.sync import sync_to_async
from django.contrib.auth.models import Group, User
from django.test import AsyncClient
from django.utils import timezone

from devices.models import PLC, APIKey, Role
from tests.access import new_key

NOBODY, KEY, OTHER_KEY, REVOKED = "anonymous", "key", "other key", "revoked key"
CALLERS = (NOBODY, *Role.values, KEY, OTHER_KEY, REVOKED)
"""`key` may do everything with press-1; `other key` everything with another PLC; the groups' members are staff."""


@sync_to_async
def everybody(press: PLC, other: PLC) -> dict[str, AsyncClient]:
    """A client of each, by name."""
    found = {NOBODY: AsyncClient()}
    for role in Role.values:
        user = User.objects.create_user(role.replace(" ", "-").lower(), is_staff=True)
        user.groups.add(Group.objects.get(name=role))
        found[role] = AsyncClient()
        found[role].force_login(user)
    for name, place in {KEY: press, OTHER_KEY: other, REVOKED: press}.items():
        found[name] = AsyncClient(X_API_KEY=new_key(name, plc=place))
    revoked = APIKey.objects.get(name=REVOKED)
    revoked.revoked_at = timezone.now()
    revoked.save()
    return found
