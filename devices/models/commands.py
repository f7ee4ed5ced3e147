"""The named functions of a machine type: commands with their parameters and steps."""

from collections.abc import Iterator

from django.core.exceptions import ValidationError
from django.db import models

from devices.modbus.types import TagSpec
from devices.models import heartbeat_rules, step_rules
from devices.models.checked import CheckedModel, Fault
from devices.models.registry import Profile
from devices.models.stamps import Kind, Stamped, watch
from devices.models.step_rules import CONDITIONS, Input, Line
from devices.models.tags import Tag
from devices.models.text_rules import Between, identifier, printable, printable_lines

PHASES = ["check", "write", "trigger", "wait", "fail_if", "read", "cleanup", "proof"]
OPERATORS = ["set", "get", *CONDITIONS]
PARAMETER_TYPES = ["integer", "number", "boolean", "text"]


class Command(Stamped, CheckedModel):
    """A named function of a profile, for example `start_batch`."""

    profile = models.ForeignKey(
        Profile, on_delete=models.CASCADE, related_name="commands", help_text="The machine type that can do it."
    )
    name = models.CharField(
        max_length=50,
        validators=[identifier],
        help_text="How callers name it, for example start_batch. After a change, the old name is no longer found.",
    )
    title = models.CharField(
        max_length=100, blank=True, validators=[printable], help_text="As operators call it, for example Start a batch."
    )
    description = models.TextField(
        blank=True, validators=[printable_lines], help_text="What the machine does then, and what the result says."
    )
    time_limit_s = models.FloatField(
        "time limit (s)",
        default=30.0,
        validators=[Between(0.1, 3600)],
        help_text="Seconds for everything before the trigger. When they are over, the machine is not told any more. "
        "The waits after the trigger have limits of their own.",
    )
    poll_interval_ms = models.PositiveIntegerField(
        "look every (ms)",
        default=50,
        validators=[Between(1, 10_000)],
        help_text="Milliseconds between two looks at a condition that is waited for. The acknowledge must stay longer.",
    )
    expires_after_s = models.FloatField(
        "expires after (s)",
        null=True,
        blank=True,
        validators=[Between(0.1, 86_400)],
        help_text="Seconds from the call after which a run that still waits for its turn is dropped: never started "
        "late. Empty: it waits as long as its PLC lets commands wait.",
    )
    connect_tries = models.PositiveSmallIntegerField(
        "tries to connect",
        default=1,
        validators=[Between(1, 10)],
        help_text="How often a PLC that cannot be reached is tried, within the time limit. Nothing was sent to it yet, "
        "so trying again is safe. 1 answers at once.",
    )

    class Meta:
        ordering = ["profile", "name"]
        constraints = [models.UniqueConstraint(fields=["profile", "name"], name="command_name_once_per_profile")]

    def __str__(self) -> str:
        return self.name

    def faults(self) -> Iterator[Fault]:
        """Beside the profile's other commands, and with its steps."""
        if self.has_twin(profile=self.profile_id, name=self.name):
            yield "name", f"The profile has another command named {self.name}: a name stands once in a profile."
        if not self._state.adding and self.steps.exclude(tag__profile=self.profile_id).exists():
            yield "profile", "The steps use tags of the other profile: a command stays with its machine type."


class Parameter(Stamped, CheckedModel):
    """A typed, limited input of a command."""

    command = models.ForeignKey(
        Command, on_delete=models.CASCADE, related_name="parameters", help_text="The command that takes it."
    )
    name = models.CharField(
        max_length=50,
        validators=[identifier],
        help_text="How callers name it, for example batch_size. Steps use it as {batch_size}.",
    )
    label = models.CharField(
        max_length=100, blank=True, validators=[printable], help_text="In words, for example batch size."
    )
    data_type = models.CharField(
        "type",
        max_length=10,
        choices=[(data_type, data_type) for data_type in PARAMETER_TYPES],
        default="integer",
        help_text="integer for counts and codes, number for measured values (float or scaled tags), boolean for "
        "bool tags, text for strings. Callers that send another type are refused.",
    )
    unit = models.CharField(max_length=20, blank=True, validators=[printable], help_text="For example °C or pcs.")
    minimum = models.FloatField(
        null=True, blank=True, help_text="Smallest value that a caller may give. Empty: as small as the tag allows."
    )
    maximum = models.FloatField(
        null=True, blank=True, help_text="Largest value that a caller may give. Empty: as large as the tag allows."
    )
    default = models.JSONField(
        null=True, blank=True, help_text="Used when the caller gives none. Empty: the caller must give it."
    )

    are_steps_checked_elsewhere = False
    """A form that edits parameters and steps together checks their fit itself, with the steps as they will be."""

    class Meta:
        ordering = ["command", "id"]
        constraints = [models.UniqueConstraint(fields=["command", "name"], name="parameter_name_once_per_command")]

    def __str__(self) -> str:
        return self.name

    def input(self) -> Input:
        """The parameter as the rules see it."""
        return Input(
            name=self.name,
            data_type=self.data_type,
            minimum=self.minimum,
            maximum=self.maximum,
            default=self.default,
        )

    def clean(self) -> None:
        """Text by default is text to show."""
        super().clean()
        if isinstance(self.default, str):
            try:
                printable(self.default)
            except ValidationError as error:
                raise ValidationError({"default": error}) from error

    def faults(self) -> Iterator[Fault]:
        """By itself, beside the command's other parameters, and in the steps that use it."""
        if self.has_twin(command=self.command_id, name=self.name):
            yield "name", f"The command has another parameter named {self.name}: a name stands once in a command."
        faults = list(step_rules.parameter_faults(self.input()))
        yield from faults
        if not faults and not self._state.adding and not self.are_steps_checked_elsewhere:
            yield from self._step_faults()

    def _step_faults(self) -> Iterator[Fault]:
        for step in self.steps.select_related("command", "tag"):
            for word, fault in step_rules.misfits(step.line(), self.input()):
                yield word, f"Step “{step}” uses this parameter. {fault}"


class Step(Stamped, CheckedModel):
    """One line of a command; its phase says when it runs."""

    command = models.ForeignKey(
        Command, on_delete=models.CASCADE, related_name="steps", help_text="The command that it is a line of."
    )
    phase = models.CharField(
        max_length=10,
        choices=[(phase, phase) for phase in PHASES],
        help_text="When it runs: check, write, trigger, wait, read, cleanup, in this order. fail_if is looked at "
        "together with the waits. proof is looked at afterwards, where nobody knows whether the machine acted.",
    )
    position = models.PositiveSmallIntegerField(
        default=0,
        help_text="Order within the phase, smaller first. Empty: after the others. Waits of one position must hold at "
        "the same time.",
    )
    tag = models.ForeignKey(
        Tag,
        # Not PROTECT: a whole profile, its commands and tags together, may go.
        on_delete=models.RESTRICT,
        related_name="steps",
        help_text="The value in the PLC that is set, read or looked at. Only coils and holding registers can be set.",
    )
    operator = models.CharField(
        max_length=10,
        choices=[(operator, operator) for operator in OPERATORS],
        default="set",
        help_text="set in write, trigger and cleanup; get in read; a comparison in check, wait, fail_if, cleanup and "
        "proof.",
    )
    value = models.CharField(
        max_length=100,
        blank=True,
        validators=[printable],
        help_text="A constant as you would say it: 15, 21.5, 0x1F, true, off, a label of the tag. Several with | for "
        "in, a bit's number for bit set and bit clear.",
    )
    parameter = models.ForeignKey(
        Parameter,
        on_delete=models.RESTRICT,
        null=True,
        blank=True,
        related_name="steps",
        help_text="In place of a constant: what the caller gives.",
    )
    timeout_s = models.FloatField(
        "limit (s)",
        null=True,
        blank=True,
        validators=[Between(0.05, 3600)],
        help_text="Seconds that a condition of wait or cleanup may take. When a wait's are over, the run ends as "
        "“timed out”: the machine may have acted.",
    )
    message = models.CharField(
        max_length=200,
        blank=True,
        validators=[printable],
        help_text="What to tell the caller when the condition is not met, for example: the guard door is open. Of a "
        "fail_if: when it is met.",
    )
    tolerance = models.FloatField(
        "read back within",
        null=True,
        blank=True,
        validators=[Between(0, 1e308)],
        help_text="Of a write: read it back and accept this distance, in the tag's unit; 0 is exactly. Empty: not read "
        "back.",
    )
    is_applied = models.BooleanField(
        "acted all the same",
        default=False,
        help_text="Of a fail_if: where it holds, the machine has acted nevertheless.",
    )

    class Meta:
        ordering = ["command", "position", "id"]

    def __str__(self) -> str:
        operand = self.value if self.parameter is None else f"{{{self.parameter.name}}}"
        return f"{self.command.name}: {self.phase} {self.tag.name} {self.operator} {operand}".rstrip()

    def line(self, tag: TagSpec | None = None) -> Line:
        """The step as the rules see it, on its tag or on what that is about to become."""
        return Line(
            phase=self.phase,
            tag=tag or self.tag.spec(),
            operator=self.operator,
            value=self.value,
            parameter=self.parameter.input() if self.parameter else None,
            timeout_s=self.timeout_s,
            tolerance=self.tolerance,
            is_applied=self.is_applied,
        )

    def faults(self) -> Iterator[Fault]:
        """With its tag, its parameter and its profile."""
        try:
            command, line, profile = self.command, self.line(), self.command.profile
        except (Command.DoesNotExist, Tag.DoesNotExist, Profile.DoesNotExist, ValueError, TypeError):
            return  # the field's own check told
        if self.tag.profile_id != command.profile_id:
            yield "tag", f"{self.tag.name} belongs to another profile: this command runs on {profile.name}."
        if self.parameter is not None and self.parameter.command_id != command.pk:
            yield "parameter", f"{self.parameter.name} is a parameter of another command."
        yield from step_rules.step_faults(line, profile.limits())
        if self.operator == "set":
            yield from self._beaten_faults(line.tag, profile)

    def _beaten_faults(self, tag: TagSpec, profile: Profile) -> Iterator[Fault]:
        beats = Tag.objects.filter(pk__in=profile.plcs.values("heartbeat_tag"))
        if name := heartbeat_rules.overlapping(tag, beats):
            yield "tag", f"A heartbeat to the PLC (tag {name}) is written there: each beat would overwrite this."


watch(Kind.REGISTRY, Command, Parameter, Step)
