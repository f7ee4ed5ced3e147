"""Numbers that go up with every change of what processes keep in memory, one for each kind of it."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from django.db import models, transaction
from django.db.models import F
from django.db.models.signals import ModelSignal, post_delete, post_save
from django.dispatch import Signal

CHANGES: tuple[ModelSignal, ...] = (post_save, post_delete)

moved = Signal()
"""Sent with `kind` once a change made in this process is committed, in the thread that made it."""


class Kind(models.TextChoices):
    """What processes keep in memory."""

    ACCESS = "access", "keys and grants"
    REGISTRY = "registry", "PLCs and what their profiles hold"
    LOCK_OUTS = "lock_outs", "lock-outs"


class Stamp(models.Model):
    """Goes up with every change of its kind, in the same transaction: so each process sees that there was one."""

    kind = models.CharField(max_length=20, unique=True, choices=Kind, help_text="Of what.")
    version = models.BigIntegerField(default=0, help_text="Counts the changes.")

    def __str__(self) -> str:
        return f"{self.kind}: version {self.version}"


class Stamped(models.Model):
    """A row whose every change moves a stamp, in the same transaction: `watch` has to be called for its class.

    `QuerySet.update` and `bulk_create` move nothing. They are for what no process keeps in memory.
    """

    class Meta:
        abstract = True

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Django sends its signal after the commit, unless there is a transaction around it."""
        with transaction.atomic():
            super().save(*args, **kwargs)


_kinds: dict[type[models.Model], Kind] = {}


def watch(kind: Kind, *kept: type[models.Model]) -> None:
    """Move the stamp with each change of these rows; what is deleted along with another row is heard too."""
    for model in kept:
        _kinds[model] = kind
        for signal in CHANGES:
            signal.connect(_note_change, sender=model)


def versions() -> Mapping[str, int]:
    """The counts of changes up to now, by kind; a kind that lacks was never changed."""
    return dict(Stamp.objects.values_list("kind", "version"))


def version(kind: Kind) -> int:
    """The count of changes of one kind up to now; 0: none was ever made."""
    return versions().get(kind, 0)


def move(kind: Kind) -> None:
    """Count one more change."""
    stamp = Stamp.objects.filter(kind=kind)
    if not stamp.update(version=F("version") + 1):
        _, is_new = Stamp.objects.get_or_create(kind=kind, defaults={"version": 1})
        if not is_new:  # another process was faster
            stamp.update(version=F("version") + 1)


def _note_change(sender: type[models.Model], **_news: object) -> None:
    kind = _kinds[sender]
    move(kind)
    transaction.on_commit(partial(moved.send, Stamp, kind=kind))
