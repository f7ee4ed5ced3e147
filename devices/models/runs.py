"""The record of every execution of a command: who asked for what, and what became of it."""

from django.db import models
from django.db.models import Q

from devices.models.registry import PLC


class State(models.TextChoices):
    """Where a run stands; all but the first two are final."""

    QUEUED = "queued", "queued"
    RUNNING = "running", "running"
    SUCCEEDED = "succeeded", "succeeded"
    REJECTED = "rejected", "rejected"
    FAILED = "failed", "failed"
    EXPIRED = "expired", "expired"
    CANCELLED = "cancelled", "cancelled"
    FAULTED = "faulted", "faulted"
    TIMED_OUT = "timed_out", "timed out"
    UNKNOWN = "unknown", "unknown"

    @property
    def is_final(self) -> bool:
        """Nothing moves it any more, except a reconciliation."""
        return self not in (State.QUEUED, State.RUNNING)


class Effect(models.TextChoices):
    """What the machine did, told apart from the state so that a MES can decide by itself."""

    NONE = "none", "none"
    APPLIED = "applied", "applied"
    UNKNOWN = "unknown", "unknown"


class Retry(models.TextChoices):
    """Whether asking again is safe."""

    SAFE = "safe", "safe"
    AFTER_FIX = "after_fix", "after a fix"
    AFTER_RECONCILE = "after_reconcile", "after looking at the machine"


class Definition(models.Model):
    """A command as it stood, with all that it needs of its PLC: what a run ran with, whatever is edited later."""

    digest = models.CharField(max_length=64, unique=True, help_text="SHA-256 of the content in canonical form.")
    content = models.JSONField(help_text="The command with its tags and steps, and where it was sent.")

    def __str__(self) -> str:
        return f"definition {self.digest[:12]}"


class Run(models.Model):
    """One execution of one command on one PLC."""

    plc = models.ForeignKey(
        PLC,
        on_delete=models.PROTECT,
        related_name="runs",
        db_index=False,  # run_newest_of_plc finds them
        verbose_name="PLC",
        help_text="Where it ran.",
    )
    plc_name = models.CharField("PLC's name then", max_length=50, help_text="As it was when the run was asked for.")
    command = models.CharField(max_length=60, help_text="The command's name, or “write” and the tag that was written.")
    parameters = models.JSONField(default=dict, help_text="What it ran with, defaults filled in.")
    caller = models.CharField(max_length=200, help_text="Who asked: an API key or a user.")
    source = models.CharField(max_length=100, blank=True, help_text="The caller's address.")
    state = models.CharField(
        max_length=10, choices=State.choices, default=State.QUEUED, help_text="Where it stands, or how it ended."
    )
    effect = models.CharField(
        max_length=10, choices=Effect.choices, blank=True, help_text="What the machine did, as far as that is known."
    )
    retry = models.CharField(
        max_length=20, choices=Retry.choices, blank=True, help_text="Whether the caller may ask again."
    )
    detail = models.TextField(blank=True, help_text="The outcome in words.")
    result = models.JSONField(default=dict, help_text="The values that the command's read steps found.")
    trace = models.JSONField(default=list, help_text="What happened, step by step, in milliseconds from its start.")
    sequence = models.PositiveBigIntegerField(
        null=True, help_text="Number of the run at its PLC, for commands that send one; goes up by one, never 0."
    )
    idempotency_key = models.CharField(  # noqa: DJ001 - NULL is no key; an empty one would be unique too
        max_length=255, null=True, help_text="The caller's own name of this request: asked again, it starts nothing."
    )
    fingerprint = models.CharField(max_length=64, blank=True, help_text="Of what was asked for under that key.")
    process = models.CharField(
        max_length=100, blank=True, help_text="The server process that carries it out: host, number and a random part."
    )
    definition = models.ForeignKey(
        Definition, on_delete=models.PROTECT, null=True, related_name="runs", help_text="The command as it stood then."
    )
    frames = models.JSONField(default=list, help_text="What went over the wire, in hex; kept for some days.")
    history = models.JSONField(default=list, help_text="Earlier outcomes, before it was reconciled.")
    version = models.PositiveIntegerField(default=1, help_text="Goes up by one at each change of the record.")
    accepted_at = models.DateTimeField("accepted", help_text="Stored, before anything was sent.")
    started_at = models.DateTimeField("started", null=True, help_text="Its turn came.")
    triggered_at = models.DateTimeField(
        "trigger recorded", null=True, help_text="From here on the machine may have been told."
    )
    finished_at = models.DateTimeField("finished", null=True, help_text="The outcome was known.")

    class Meta:
        ordering = ["-id"]
        # Each index is a page more that every command waits for: those that few runs need hold only these.
        constraints = [
            models.UniqueConstraint(fields=["plc"], condition=Q(state="running"), name="one_running_per_plc"),
            models.UniqueConstraint(
                fields=["caller", "idempotency_key"], condition=Q(idempotency_key__isnull=False), name="one_run_per_key"
            ),
            models.UniqueConstraint(
                fields=["plc", "sequence"], condition=Q(sequence__isnull=False), name="one_run_per_sequence"
            ),
        ]
        indexes = [
            models.Index(fields=["plc", "-id"], name="run_newest_of_plc"),
            models.Index(fields=["id"], condition=Q(state__in=["queued", "running"]), name="run_unsettled"),
        ]

    def __str__(self) -> str:
        return f"run {self.pk}: {self.command} on {self.plc_name}"
