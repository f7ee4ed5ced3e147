"""PLCs that an engineer has locked out for maintenance: no command goes to them."""

from django.db import models
from django.db.models import Q
from django.utils import timezone

from devices.models.registry import PLC
from devices.models.stamps import Kind, Stamped, watch
from devices.models.text_rules import printable


class LockOut(Stamped):
    """Somebody works at the machine: who, why, and until when. Kept when it is over."""

    plc = models.ForeignKey(
        PLC, on_delete=models.CASCADE, related_name="lock_outs", verbose_name="PLC", help_text="Which one."
    )
    by = models.CharField("locked by", max_length=200, help_text="Who locked it.")
    reason = models.CharField(
        max_length=300, validators=[printable], help_text="Why: it is what everybody reads whose command is refused."
    )
    since = models.DateTimeField(default=timezone.now, help_text="From when on.")
    until = models.DateTimeField(null=True, blank=True, help_text="Until when; empty: until somebody unlocks it.")
    lifted_at = models.DateTimeField("unlocked", null=True, blank=True, help_text="When somebody unlocked it.")
    lifted_by = models.CharField("unlocked by", max_length=200, blank=True, help_text="Who unlocked it.")

    class Meta:
        ordering = ["-since"]
        verbose_name = "lock-out"
        constraints = [
            models.UniqueConstraint(fields=["plc"], condition=Q(lifted_at=None), name="one_open_lock_out_per_plc")
        ]

    def __str__(self) -> str:
        return f"{self.plc} locked out by {self.by}"


watch(Kind.LOCK_OUTS, LockOut)
