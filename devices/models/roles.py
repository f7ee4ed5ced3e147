"""The groups that the product brings: what each may do with PLCs, and what its members find in the admin."""

from collections.abc import Mapping
from dataclasses import dataclass

from django.contrib.auth.models import Group, Permission

from devices.models.grants import Grant, Right, Role

REGISTRY = ("profile", "tag", "command", "parameter", "step", "plc")
EVERY_CHANGE = ("view", "add", "change", "delete")


def _permissions(app: str, actions: tuple[str, ...], *models: str) -> frozenset[str]:
    return frozenset(f"{app}.{action}_{model}" for action in actions for model in models)


@dataclass(frozen=True, kw_only=True, slots=True)
class RoleSpec:
    """What the members of one group may do."""

    rights: tuple[Right, ...] = ()
    """On all PLCs."""
    permissions: frozenset[str] = frozenset()
    """Django's own, for the pages of the admin: `devices.change_plc`."""


ROLES: Mapping[Role, RoleSpec] = {
    Role.VIEWER: RoleSpec(rights=(Right.VIEW,)),
    Role.OPERATOR: RoleSpec(rights=(Right.VIEW, Right.EXECUTE)),
    Role.ENGINEER: RoleSpec(
        rights=(Right.VIEW, Right.EXECUTE, Right.WRITE, Right.ADMINISTER),
        permissions=_permissions("devices", EVERY_CHANGE, *REGISTRY)
        | _permissions("devices", ("view", "change"), "run")  # to change a run is to say how it ended
        | _permissions("devices", ("view",), "lockout"),
    ),
    Role.MES: RoleSpec(rights=(Right.VIEW, Right.EXECUTE, Right.WRITE)),
    Role.AUDITOR: RoleSpec(
        rights=(Right.VIEW,),
        permissions=_permissions("devices", ("view",), *REGISTRY, "run", "lockout", "apikey", "grant", "auditentry")
        | _permissions("auth", ("view",), "user", "group"),
    ),
    Role.SECURITY: RoleSpec(
        permissions=_permissions("auth", ("view", "add", "change"), "user")
        | _permissions("auth", EVERY_CHANGE, "group")
        | _permissions("devices", ("view", "add", "change"), "apikey")
        | _permissions("devices", EVERY_CHANGE, "grant"),
    ),
}
"""A migration makes them once, from a copy of its own; what an installation changes afterwards stays so."""


def create_roles() -> None:
    """Make the groups that are missing, as a new installation gets them; those that are there stay as they are."""
    for role, spec in ROLES.items():
        group, is_new = Group.objects.get_or_create(name=role.value)
        if is_new:
            _furnish(group, spec)


def _furnish(group: Group, spec: RoleSpec) -> None:
    for right in spec.rights:
        Grant(group=group, right=right).save()
    known = Permission.objects.select_related("content_type")
    group.permissions.set(permission for permission in known if _name(permission) in spec.permissions)


def _name(permission: Permission) -> str:
    return f"{permission.content_type.app_label}.{permission.codename}"
