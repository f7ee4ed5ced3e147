"""Who did what, in a chain that cannot be changed without being seen."""

from collections.abc import Iterable
from typing import Any, NoReturn

from django.db import models
from django.utils import timezone

FIRST = "0" * 64
"""What stands before the first entry."""


class Action(models.TextChoices):
    """What was done."""

    ADDED = "added", "added"
    CHANGED = "changed", "changed"
    DELETED = "deleted", "deleted"
    LOGGED_IN = "logged_in", "logged in"
    LOGGED_OUT = "logged_out", "logged out"
    LOGIN_FAILED = "login_failed", "failed to log in"
    LOCKED_OUT = "locked_out", "kept from logging in"
    KEY_MADE = "key_made", "made a key"
    KEY_REVOKED = "key_revoked", "revoked a key"
    COMMANDED = "commanded", "asked for a run"
    KEY_REUSED = "key_reused", "named two requests alike"
    RECONCILED = "reconciled", "said how a run ended"
    EXPORTED = "exported", "exported the audit"


class Unchangeable(TypeError):
    """Somebody tries to change or remove what was told; it is a mistake in our own code."""

    def __init__(self) -> None:
        super().__init__("audit entries are written once: they are neither changed nor removed")


class AuditEntries(models.QuerySet["AuditEntry"]):
    """Entries to read, and to add to. The database refuses the rest too; here it is said before it is asked."""

    def update(self, **_fields: Any) -> NoReturn:
        """Never."""
        raise Unchangeable

    def delete(self) -> NoReturn:
        """Never."""
        raise Unchangeable

    def bulk_update(self, *_objects: Any, **_options: Any) -> NoReturn:
        """Never."""
        raise Unchangeable

    def bulk_create(self, objs: Iterable["AuditEntry"], *args: Any, **options: Any) -> list["AuditEntry"]:
        """Add; what is there is not written over."""
        if options.get("update_conflicts"):
            raise Unchangeable
        return super().bulk_create(objs, *args, **options)


class AuditEntry(models.Model):
    """One thing that was done. Written once; a trigger of the database refuses every change."""

    at = models.DateTimeField(default=timezone.now, db_index=True, help_text="When.")
    actor = models.CharField(max_length=200, help_text="Who: a user, an API key, or a command of the shell.")
    source = models.CharField(max_length=100, blank=True, help_text="The caller's address.")
    action = models.CharField(max_length=20, choices=Action.choices, help_text="What was done.")
    kind = models.CharField(max_length=50, blank=True, help_text="Of what kind of thing, for example PLC.")
    subject = models.CharField(max_length=250, blank=True, help_text="With which thing, by its name then.")
    subject_id = models.CharField(max_length=50, blank=True, help_text="Its number.")
    before = models.TextField(blank=True, help_text="JSON: what changed, as it was.")
    after = models.TextField(blank=True, help_text="JSON: what changed, as it is since.")
    detail = models.TextField(blank=True, help_text="In words.")
    previous = models.CharField(max_length=64, help_text="The hash of the entry before.")
    digest = models.CharField(max_length=64, unique=True, help_text="SHA-256 of this entry and the hash before it.")

    objects = AuditEntries.as_manager()

    class Meta:
        ordering = ["-id"]
        verbose_name = "audit entry"
        verbose_name_plural = "audit entries"

    def __str__(self) -> str:
        return f"{self.actor} {self.get_action_display()} {self.kind} {self.subject}".strip()

    def save(self, *args: Any, **options: Any) -> None:
        """Only once."""
        if not self._state.adding:
            raise Unchangeable
        super().save(*args, **options)

    def delete(self, *_args: Any, **_options: Any) -> NoReturn:
        """Never."""
        raise Unchangeable
