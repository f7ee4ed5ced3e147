"""People of each group, logged in."""

from django.contrib.auth.models import Group, User
from django.test import Client

from devices.models import Right, Role
from tests.access import grant


def browser_of(user: User) -> Client:
    """In which this person is logged in."""
    client = Client()
    client.force_login(user)
    return client


def member(role: Role, name: str = "", **fields: object) -> User:
    """Somebody in one of the product's groups, let into the admin."""
    user = User.objects.create_user(name or role.value.replace(" ", "-").lower(), **{"is_staff": True} | fields)
    user.groups.add(Group.objects.get(name=role))
    return user


def engineer_of(**narrowed: object) -> User:
    """A controls engineer of one area or PLC: the group's pages, and rights of his own."""
    user = member(Role.ENGINEER)
    Group.objects.get(name=Role.ENGINEER).grants.all().delete()
    grant(user, Right.VIEW, Right.ADMINISTER, **narrowed)
    return user
