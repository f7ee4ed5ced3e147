"""Who may do what on which PLCs: a right, its holder, its place, and how far it goes."""

from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q

from devices.models.access import APIKey
from devices.models.checked import CheckedModel, Fault
from devices.models.commands import Command, Parameter
from devices.models.registry import PLC
from devices.models.stamps import Kind, Stamped, watch
from devices.models.text_rules import identifier, printable

HOLDERS = ("user", "group", "key")
NUMBERS = ("integer", "number")
"""The types of parameters that can be too high."""


class Right(models.TextChoices):
    """What somebody may do with a PLC. Each of them lets him see it."""

    VIEW = "view", "view"
    EXECUTE = "execute", "execute commands"
    WRITE = "write", "write tags"
    ADMINISTER = "administer", "administer"


class Role(models.TextChoices):
    """The groups that the product brings, by their names."""

    VIEWER = "Viewer", "Viewer"
    OPERATOR = "Operator", "Operator"
    ENGINEER = "Controls engineer", "Controls engineer"
    MES = "MES account", "MES account"
    AUDITOR = "Auditor", "Auditor"
    SECURITY = "Security admin", "Security admin"


class Grant(Stamped, CheckedModel):
    """A right that somebody was given, on all PLCs, on those of an area or on one."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        related_name="grants",
        help_text="Fill in one of user, group and key.",
    )
    group = models.ForeignKey(
        Group,
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        related_name="grants",
        help_text="Every user in this group holds it.",
    )
    key = models.ForeignKey(
        APIKey,
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        related_name="grants",
        verbose_name="API key",
        help_text="The calls that show this key hold it.",
    )
    right = models.CharField(
        max_length=10, choices=Right.choices, help_text="What may be done. Each right lets its holder see the PLC too."
    )
    plc = models.ForeignKey(
        PLC,
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        related_name="grants",
        verbose_name="PLC",
        help_text="Only on this one. Without PLC and area: on all PLCs, also those that are added later.",
    )
    area = models.CharField(
        max_length=100,
        blank=True,
        validators=[printable],
        help_text="Only on PLCs of this area, written exactly as it is written there.",
    )
    commands = models.CharField(
        max_length=1000,
        blank=True,
        help_text="Only these commands, divided by commas, for example start_batch, reset_fault. Empty: all.",
    )
    ceilings = models.JSONField(
        default=dict,
        blank=True,
        help_text='Highest values that parameters may have, for example {"batch_size": 500}. Empty: the limits of the '
        "commands themselves.",
    )

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="a_grant_has_one_holder",
                condition=Q(user__isnull=False, group=None, key=None)
                | Q(user=None, group__isnull=False, key=None)
                | Q(user=None, group=None, key__isnull=False),
            ),
            models.CheckConstraint(name="a_grant_has_one_place", condition=Q(plc=None) | Q(area="")),
        ]

    def __str__(self) -> str:
        return f"{self.holder} may {self.get_right_display()} on {self.place}"

    @property
    def holder(self) -> str:
        """Who holds it, with its kind."""
        return next((f"{name} {getattr(self, name)}" for name in HOLDERS if getattr(self, f"{name}_id")), "nobody")

    @property
    def place(self) -> str:
        """Where it holds, in words."""
        if self.plc is not None:
            return str(self.plc)
        return f"the area {self.area}" if self.area else "all PLCs"

    @property
    def command_names(self) -> frozenset[str]:
        """The commands that it is limited to; empty: none, it holds for all."""
        return frozenset(name for part in self.commands.split(",") if (name := part.strip()))

    def commands_there(self) -> models.QuerySet[Command]:
        """The commands of the machines in its place; on all PLCs, also those of machine types that have none yet."""
        if self.plc_id:
            return Command.objects.filter(profile__plcs=self.plc_id)
        areas = {"profile__plcs__area": self.area} if self.area else {}
        return Command.objects.filter(**areas).distinct()

    def commands_covered(self) -> models.QuerySet[Command]:
        """Of these, the ones that it holds for."""
        there = self.commands_there()
        return there.filter(name__in=self.command_names) if self.commands else there

    def idle_names(self) -> Iterator[Fault]:
        """Commands and parameters that are not there: such a name limits nothing, and nobody would notice.

        True today: it is asked when a grant is given, and must not keep anybody from changing what is beside it.
        """
        commands = set(self.commands_there().values_list("name", flat=True))
        for name in sorted(self.command_names - commands):
            yield "commands", f"No command on {self.place} is named {name}. There: {_listed(commands)}."
        numbers = Parameter.objects.filter(command__in=self.commands_covered(), data_type__in=NUMBERS)
        names = set(numbers.values_list("name", flat=True))
        for name in sorted(self.ceilings.keys() - names):
            whose = "these commands" if self.commands else "the commands"
            yield "ceilings", f"No number that {whose} on {self.place} take is named {name}. There: {_listed(names)}."

    def faults(self) -> Iterator[Fault]:
        """One holder, one place; commands and ceilings only where commands are run."""
        held = [name for name in HOLDERS if getattr(self, f"{name}_id")]
        if len(held) != 1:
            yield (held or HOLDERS)[-1], "Fill in exactly one of user, group and key."
        if self.plc_id and self.area:
            yield "area", "Choose a PLC or an area, not both."
        if self.right != Right.EXECUTE:
            narrowed = [name for name in ("commands", "ceilings") if getattr(self, name)]
            yield from ((name, "Goes with “execute commands” only.") for name in narrowed)
        yield from (("commands", fault) for fault in _name_faults(self.command_names))
        yield from (("ceilings", fault) for fault in _ceiling_faults(self.ceilings))


watch(Kind.ACCESS, Grant)


def grants_limiting(command: Command) -> list[Grant]:
    """Those with highest values that hold for this command somewhere, as both are stored."""
    grants = Grant.objects.filter(right=Right.EXECUTE).select_related(*HOLDERS)
    return [grant for grant in grants if grant.ceilings and grant.commands_covered().filter(pk=command.pk).exists()]


def _listed(names: set[str]) -> str:
    return ", ".join(sorted(names)) or "none"


def _name_faults(names: frozenset[str]) -> Iterator[str]:
    for name in sorted(names):
        try:
            identifier(name)
        except ValidationError:
            yield f"{name!r} is no name of a command: lower-case letters, digits and _."


def _ceiling_faults(ceilings: Any) -> Iterator[str]:
    if not isinstance(ceilings, dict):
        yield 'Must be an object such as {"batch_size": 500}.'
        return
    for name, most in ceilings.items():
        if isinstance(most, bool) or not isinstance(most, int | float):
            yield f"{name}: the highest value must be a number."
