"""Tell who came into a group or left it, and which permissions were given or taken away."""

from collections.abc import Iterable, Mapping
from typing import Any

from django.contrib.auth.models import Group, Permission, User
from django.db.models import Model
from django.db.models.signals import m2m_changed

from devices.control.audit import Deed, append, take_turn
from devices.models import Action

Holder = User | Group

SETS: Mapping[type[Model], tuple[type[Holder], str]] = {
    User.groups.through: (User, "groups"),
    User.user_permissions.through: (User, "user_permissions"),
    Group.permissions.through: (Group, "permissions"),
}
"""By the table of pairs: whose set it is, and its name there."""


def listen() -> None:
    """From now on every change of these sets is told."""
    for pairs in SETS:
        m2m_changed.connect(_note, sender=pairs, dispatch_uid="audit")


def all_of(row: Model) -> dict[str, list[str]]:
    """What goes with a user or a group that is deleted."""
    sets = {name: _names(row, name) for model, name in SETS.values() if isinstance(row, model)}
    members = {"members": _sorted(row.user_set.all())} if isinstance(row, Group) else {}
    return sets | members


def _note(sender: Any, instance: Any, action: str, reverse: bool, pk_set: set[int] | None, **_: Any) -> None:
    model, name = SETS[sender]
    stage = action.partition("_")[0]
    if stage == "pre":
        take_turn()
        holders = _others(model, name, instance, pk_set) if reverse else [instance]
        instance.sets_before = [(holder, _names(holder, name)) for holder in holders]
    else:
        before, instance.sets_before = instance.sets_before, []
        append(*_deeds(before, name))


def _others(model: type[Holder], name: str, of: Model, keys: Iterable[int] | None) -> list[Any]:
    """Those whose set changes where it is changed from the other side: a group takes users in."""
    narrowed = {name: of} if keys is None else {"pk__in": keys}
    return list(model._default_manager.filter(**narrowed).order_by("pk"))  # noqa: SLF001 - Django's documented name


def _deeds(before: list[tuple[Holder, list[str]]], name: str) -> Iterable[Deed]:
    for holder, old in before:
        new = _names(holder, name)
        if new != old:
            yield Deed(
                action=Action.CHANGED,
                kind=type(holder).__name__,
                subject=str(holder),
                subject_id=str(holder.pk),
                before={name: old},
                after={name: new},
            )


def _names(holder: Model, name: str) -> list[str]:
    rows = getattr(holder, name).all()
    return _sorted(rows.select_related("content_type") if rows.model is Permission else rows)


def _sorted(rows: Iterable[Model]) -> list[str]:
    return sorted(map(_name, rows))


def _name(row: Model) -> str:
    return f"{row.content_type.app_label}.{row.codename}" if isinstance(row, Permission) else str(row)
