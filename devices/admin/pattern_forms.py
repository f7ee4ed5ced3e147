"""What a pattern asks for: a tag for each of its roles, and a few numbers."""

from typing import Any

from django import forms
from django.contrib.admin.helpers import AdminForm
from django.core.exceptions import ValidationError
from django.db import transaction

from devices.admin.bases import ModelAdmin
from devices.admin.command_forms import TagChoice
from devices.admin.forms import Narrow, TellingForm
from devices.control.audit import take_turn
from devices.models import Command, Step, Tag
from devices.models.pattern_parts import Chosen, Constant, Pattern, Role
from devices.models.text_rules import Between, printable

HAS_STEPS = "{command} has steps already, and a pattern would mix its own into them. Nothing was written."


class RoleChoice(TagChoice):
    """Tags with the words for their numbers, which may be typed as values."""

    def label_from_instance(self, tag: Tag) -> str:
        """For example `state · 3x input 7 · uint16 · 4 Idle, 6 Execute`."""
        labels = ", ".join(f"{number} {word}" for number, word in sorted(tag.spec().labels.items()))
        return " · ".join(filter(None, (super().label_from_instance(tag), labels)))


class PatternForm(TellingForm):
    """A new command's name, and what the pattern needs."""

    class Meta:
        model = Command
        fields = ("name", "title")

    def __init__(self, *args: Any, pattern: Pattern, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._pattern = pattern
        profile = self.instance.profile
        self._limits, self._tags = profile.limits(), list(profile.tags.all())
        if self.instance.pk:
            self.fields.clear()
        self.lacking = pattern.lacking([tag.spec() for tag in self._tags], self._limits)
        self.fields |= {role.name: self._role_field(role) for role in pattern.roles}
        self.fields |= {constant.name: self._constant_field(constant) for constant in pattern.constants}
        self.fields["limit_s"] = self._limit_field()

    def _suiting(self, role: Role) -> list[Tag]:
        return [tag for tag in self._tags if role.kind.takes(tag.spec(), self._limits)]

    def _role_field(self, role: Role) -> forms.Field:
        suiting = Tag.objects.filter(pk__in=[tag.pk for tag in self._suiting(role)])
        needs = "" if suiting else f" The profile has no such tag: {role.kind.words}."
        return RoleChoice(
            suiting,
            label=role.label,
            required=not role.is_optional,
            empty_label="none" if role.is_optional else "---------",
            help_text=f"{'Optional. ' if role.is_optional else ''}{role.help}{needs}",
        )

    def _constant_field(self, constant: Constant) -> forms.Field:
        role = next(role for role in self._pattern.roles if role.name == constant.role)
        return forms.CharField(
            label=constant.label,
            required=not (constant.is_optional or role.is_optional),
            max_length=100,
            validators=[printable],
            initial=constant.initial(tag.spec() for tag in self._suiting(role)),
            widget=Narrow(14),
            help_text=f"{'Optional. ' if constant.is_optional else ''}{constant.help}",
        )

    def _limit_field(self) -> forms.Field:
        only_with = [role.label for role in self._pattern.roles if role.name == self._pattern.answers_by]
        unused = f" Not used without “{only_with[0]}”." if only_with else ""
        return forms.FloatField(
            label="Limit (s)",
            required=not only_with,
            initial=self._pattern.limit_s,
            validators=[Between(0.05, 3600)],
            widget=Narrow(6, inputmode="decimal"),
            help_text=f"Seconds that the machine's answer may take. Afterwards the run ends as “timed out”.{unused}",
        )

    def sections(self, model_admin: ModelAdmin) -> AdminForm:
        """Command, tags and numbers, as the admin shows forms."""
        names = {
            "Command": [name for name in self.Meta.fields if name in self.fields],
            "Tags": [role.name for role in self._pattern.roles],
            "Values": [*(constant.name for constant in self._pattern.constants), "limit_s"],
        }
        fieldsets = [(title, {"fields": fields}) for title, fields in names.items() if fields]
        return AdminForm(self, fieldsets, {}, model_admin=model_admin)

    def clean(self) -> dict[str, Any] | None:
        """Do the choices make a command that works? What failed its own check tells only that."""
        cleaned = super().clean()
        if not self.errors.keys() - set(self.Meta.fields):
            for place, fault in dict.fromkeys(self._pattern.faults(self._chosen(), self._limits)):
                self.add_error(place, fault)
        return cleaned

    def _chosen(self) -> Chosen:
        return Chosen(
            tags={role: tag.spec() for role, tag in self._chosen_tags().items()},
            texts={constant.name: self.cleaned_data[constant.name] for constant in self._pattern.constants},
            limit_s=self.cleaned_data["limit_s"],
        )

    def _chosen_tags(self) -> dict[str, Tag]:
        given = {role.name: self.cleaned_data[role.name] for role in self._pattern.roles}
        return {role: tag for role, tag in given.items() if tag is not None}

    @transaction.atomic
    def write(self) -> Command:
        """Store the command, if it is new, with all its steps. ValidationError: nothing was stored."""
        take_turn()  # before the command's row: who has the turn may be waiting for that
        command: Command = self.instance
        if command.pk is None:
            command.save()
        elif Command.objects.select_for_update().get(pk=command.pk).steps.exists():
            raise ValidationError(HAS_STEPS.format(command=command.name))
        tags = self._chosen_tags()
        for position, draft in enumerate(self._pattern.steps(self._chosen()), start=1):
            step = Step(
                command=command,
                position=position,
                phase=draft.phase,
                tag=tags[draft.role],
                operator=draft.operator,
                value=draft.value,
                timeout_s=draft.timeout_s,
                message=draft.message,
            )
            step.full_clean()
            step.save()
        return command
