"""Tell every change of what decides over machines and access: the rows as they were stored, and as they are since."""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from django.contrib.auth.models import Group, User
from django.db import models, transaction
from django.db.models.signals import post_save, pre_delete, pre_save
from django.utils.text import capfirst

from devices.control import audit_members
from devices.control.audit import Deed, append, take_turn
from devices.models import PLC, Action, APIKey, Command, Grant, LockOut, Parameter, Profile, Step, Tag

Row = models.Model
Picture = Mapping[str, tuple[Any, Any]]
"""By field: the key of what it refers to, and what a person reads."""

RELATED: Mapping[type[Row], Sequence[str]] = {
    Profile: (),
    Tag: ("profile",),
    PLC: ("profile", "heartbeat_tag", "watched_tag"),
    Command: ("profile",),
    Parameter: ("command__profile",),
    Step: ("command__profile", "tag", "parameter"),
    LockOut: ("plc",),
    Grant: ("user", "group", "key", "plc"),
    APIKey: ("owner",),
    User: (),
    Group: (),
}
"""What is told about, and what is read with it."""

SECRETS: Mapping[type[Row], str] = {APIKey: "digest", User: "password"}
"""Of these it is told that they were changed, never what they are."""
UNTOLD: Mapping[type[Row], frozenset[str]] = {APIKey: frozenset({"last_used_at"}), User: frozenset({"last_login"})}
"""They go on by themselves."""
OLD, NEW = "(as it was)", "(changed)"


def listen() -> None:
    """From now on every save and delete of these rows is told."""
    for model in RELATED:
        pre_save.connect(_note_stored, sender=model, dispatch_uid="audit")
        post_save.connect(_tell_saved, sender=model, dispatch_uid="audit")
        pre_delete.connect(_tell_deleted, sender=model, dispatch_uid="audit")
        _save_in_one_transaction(model)


def _save_in_one_transaction(model: type[Row]) -> None:
    """Django sends its signals around a save, outside the transaction of that save, where none is open before."""
    save = model.save_base
    if getattr(save, "is_told", False):
        return

    def save_base(self: Row, *args: Any, **options: Any) -> None:
        with transaction.atomic(savepoint=False):
            save(self, *args, **options)

    save_base.is_told = True  # type: ignore[attr-defined]
    model.save_base = save_base  # type: ignore[method-assign]


def _note_stored(sender: type[Row], instance: Any, update_fields: frozenset[str] | None = None, **_: Any) -> None:
    instance.is_told = not (update_fields and update_fields <= UNTOLD.get(sender, frozenset()))
    if instance.is_told:
        take_turn()
        instance.as_stored = _stored(sender, instance.pk)


def _tell_saved(sender: type[Row], instance: Any, **_: Any) -> None:
    if not instance.is_told:
        return
    before, instance.as_stored = instance.as_stored, None
    now = _stored(sender, instance.pk)
    if now is None:
        return  # it was saved and is gone again: by a trigger, or by a signal before us
    if before is None:
        append(_deed(_action_of_new(sender), now, after=_shown(_picture(now))))
        return
    old, new = _picture(before), _picture(now)
    changed = [name for name in new if _text(old[name]) != _text(new[name])]
    is_new_secret = sender in SECRETS and getattr(before, SECRETS[sender]) != getattr(now, SECRETS[sender])
    if changed or is_new_secret:
        secret = {_secret_word(sender): (OLD, NEW)} if is_new_secret else {}
        told_old = _shown(old, changed) | {name: pair[0] for name, pair in secret.items()}
        told_new = _shown(new, changed) | {name: pair[1] for name, pair in secret.items()}
        action = _action_of_change(sender, before, now, is_new_secret=is_new_secret)
        append(_deed(action, now, before=told_old, after=told_new))


def _tell_deleted(sender: type[Row], instance: Any, **_: Any) -> None:
    """Before anything goes: what it refers to can still be named."""
    take_turn()
    row = _stored(sender, instance.pk)
    if row is not None:
        before = _shown(_picture(row)) | audit_members.all_of(row)
        append(_deed(Action.DELETED, row, before=before))


def _action_of_new(model: type[Row]) -> Action:
    return Action.KEY_MADE if model is APIKey else Action.ADDED


def _action_of_change(model: type[Row], before: Any, now: Any, *, is_new_secret: bool) -> Action:
    if model is APIKey and is_new_secret:
        return Action.KEY_MADE
    is_revoked = model is APIKey and before.revoked_at is None and now.revoked_at is not None
    return Action.KEY_REVOKED if is_revoked else Action.CHANGED


def _secret_word(model: type[Row]) -> str:
    return "key" if model is APIKey else "password"


def _deed(action: Action, row: Row, **told: Any) -> Deed:
    return Deed(action=action, kind=kind_of(type(row)), subject=subject_of(row), subject_id=str(row.pk), **told)


def kind_of(model: type[Row]) -> str:
    """What a row is called, for example PLC."""
    return str(capfirst(str(model._meta.verbose_name)))  # noqa: SLF001 - Django's documented name


def subject_of(row: Row) -> str:
    """A row's name with what it belongs to: two machine types may have a tag of one name."""
    place = _PLACES.get(type(row))
    return f"{place(row)} {row}" if place else str(row)


_PLACES: Mapping[type[Row], Callable[[Any], str]] = {
    Tag: lambda tag: str(tag.profile),
    Command: lambda command: str(command.profile),
    Parameter: lambda parameter: f"{parameter.command.profile} {parameter.command}",
    Step: lambda step: str(step.command.profile),
}


def _stored(model: type[Row], key: Any) -> Row | None:
    """The row as the database has it."""
    rows = model._base_manager.select_related(*RELATED[model])  # noqa: SLF001 - Django's documented name
    return rows.filter(pk=key).first() if key is not None else None


def _picture(row: Row) -> Picture:
    """All that is told of a row, but for its number."""
    model = type(row)
    left_out = UNTOLD.get(model, frozenset()) | {SECRETS.get(model, "")}
    fields = [field for field in row._meta.concrete_fields if not field.primary_key and field.name not in left_out]  # noqa: SLF001
    return {field.name: _value(row, field) for field in fields}


def _value(row: Row, field: Any) -> tuple[Any, Any]:
    if field.is_relation:
        other = getattr(row, field.name)
        return getattr(row, field.attname), None if other is None else str(other)
    return None, _plain(getattr(row, field.name))


def _plain(value: Any) -> Any:
    """As JSON holds it, and a person writes it."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, Decimal):
        text = f"{value:f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    return value


def _shown(picture: Picture, names: Sequence[str] | None = None) -> dict[str, Any]:
    return {name: picture[name][1] for name in (picture if names is None else names)}


def _text(value: tuple[Any, Any]) -> str:
    """To compare: for Python 1, 1.0 and True are the same."""
    return json.dumps(value, sort_keys=True, default=str)
