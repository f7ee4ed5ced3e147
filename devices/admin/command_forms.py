"""Parameters and steps of a command, edited together: a step may use a parameter that is not stored yet."""

import re
from collections import defaultdict
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.http import HttpRequest

from devices.admin.bases import InlineFormSet, ModelChoice, ModelForm
from devices.admin.forms import Narrow, Sentence, TellingForm, is_deleted, row_key, surviving, tell_twins, typed
from devices.modbus.types import Table
from devices.models import Command, Parameter, Step, Tag
from devices.models.grants import NUMBERS, grants_limiting
from devices.models.registry import TABLES
from devices.models.sequence_rules import NOT_SENT, SEQUENCE, SEQUENCE_NAME
from devices.models.step_rules import (
    EXAMPLES,
    NO_TRIGGER,
    NOTHING_TO_WAIT_FOR,
    OWN_PROOF,
    SECOND_TRIGGER,
    proves_itself,
)

PARAMETER = re.compile(r"\{\s*([^{}]*?)\s*\}")
LIMITED = (
    "{name} has a highest value in what was granted to {holders}. With another name or type, or gone, that value "
    "would limit nothing. First let a security admin take these grants away; afterwards they can be given anew."
)
WORDS = {"true": True, "false": False}


class ParameterForm(TellingForm):
    """A row of the parameters; the default is typed as it is meant, without JSON's quotes."""

    default = forms.CharField(
        required=False,
        max_length=100,
        widget=Narrow(8),
        help_text="Used when the caller gives none. Empty: the caller must give it.",
    )

    class Meta:
        model = Parameter
        fields = ("name", "label", "data_type", "unit", "minimum", "maximum", "default")
        widgets = {
            "name": Narrow(18),
            "label": Narrow(30),
            "unit": Narrow(6),
            "minimum": Narrow(8),
            "maximum": Narrow(8),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.instance.are_steps_checked_elsewhere = True
        self.initial["default"] = _as_typed(self.instance.default)
        for field in ("minimum", "maximum"):
            limit = getattr(self.instance, field)
            self.initial[field] = limit if limit is None else f"{limit:.15g}"

    def clean(self) -> dict[str, Any] | None:
        """Read the default as the parameter's type says."""
        text, data_type = self.cleaned_data.get("default"), self.cleaned_data.get("data_type")
        if text is not None and data_type is not None:
            try:
                self.cleaned_data["default"] = _as_meant(text, data_type)
            except ValueError:
                self.add_error("default", f"Must be {EXAMPLES[data_type]}.")
        return super().clean()


def _as_typed(default: Any) -> str:
    if default is None:
        return ""
    return str(default).lower() if isinstance(default, bool) else str(default)


def _as_meant(text: str, data_type: str) -> Any:
    if not text:
        return None
    if data_type == "integer":
        return int(text)
    if data_type == "number":
        return int(text) if text.lstrip("+-").isdecimal() else float(text)
    if data_type == "boolean":
        if text.lower() not in WORDS:
            raise ValueError(text)
        return WORDS[text.lower()]
    return text


class ParameterFormSet(InlineFormSet):
    """The parameters of a command; they are checked before its steps, which need to know them."""

    def clean(self) -> None:
        """Two of a name; and leave the rows where the steps find them."""
        tell_twins(self, "parameter")
        self.instance.drafted = [form.instance for form in surviving(self)]
        self._keep_limited()

    def _keep_limited(self) -> None:
        """A highest value that somebody was given must not lose the parameter that it is for."""
        lost = {form: form.initial.get("name") for form in self.initial_forms if self._loses(form)}
        grants = grants_limiting(self.instance) if lost else []
        for form, name in lost.items():
            if holders := sorted({grant.holder for grant in grants if name in grant.ceilings}):
                fault = LIMITED.format(name=name, holders=", ".join(holders))
                if is_deleted(form):
                    raise ValidationError(fault)  # a row's own faults are not told where the row goes
                form.add_error("name", fault)

    def _loses(self, form: ModelForm) -> bool:
        if is_deleted(form):
            return True
        is_number = typed(form, "data_type") in (None, *NUMBERS)
        return typed(form, "name") not in (None, form.initial.get("name")) or not is_number


def parameters_of(command: Command) -> list[Parameter]:
    """As they will be when the page is saved, or as they are stored where they are not on the page."""
    drafted = getattr(command, "drafted", None)
    return drafted if drafted is not None else list(command.parameters.all())


def chosen_profile(request: HttpRequest) -> int | None:
    """The machine type that a new command is for."""
    return row_key(request.POST.get("profile") or request.GET.get("profile"))


def place_of(tag: Tag) -> str:
    """For example `0x coil 0`, or `4x holding 30.3` for a bit."""
    bit = "" if tag.bit is None else f".{tag.bit}"
    return f"{TABLES[Table(tag.table)]} {tag.address}{bit}"


class TagChoice(ModelChoice):
    """Tags with what an engineer knows them by."""

    def label_from_instance(self, tag: Tag) -> str:
        """For example `start · 0x coil 0 · bool`."""
        return f"{tag.name} · {place_of(tag)} · {tag.data_type}"


class StepForm(TellingForm):
    """A row of the steps; one field takes a constant or {parameter}."""

    shown_at = {"parameter": "value"}

    position = forms.IntegerField(
        required=False,
        min_value=0,
        max_value=32767,
        widget=Narrow(2, inputmode="numeric"),
        help_text="Order within the phase, smaller first. Empty: after the others.",
    )
    value = forms.CharField(
        label="value or {parameter}",
        required=False,
        max_length=100,
        widget=Narrow(14),
        help_text="A constant as you would say it: 15, 21.5, 0x1F, true, off, a label of the tag. Or a parameter "
        "from the table above in braces: {batch_size}, or {sequence}: the number of the run, one more at each and "
        "never 0. Several with | for in, a bit's number for bit set and bit clear. Empty for get.",
    )

    class Meta:
        model = Step
        fields = (
            "phase",
            "position",
            "tag",
            "operator",
            "value",
            "timeout_s",
            "message",
            "tolerance",
            "is_applied",
        )
        widgets = {
            "timeout_s": Narrow(4, inputmode="decimal"),
            "message": Sentence(),
            "tolerance": Narrow(4, inputmode="decimal"),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.parameter is not None:
            self.initial["value"] = f"{{{self.instance.parameter.name}}}"

    def clean(self) -> dict[str, Any] | None:
        """Find what braces name: a parameter, or the number of the run."""
        text = self.cleaned_data.get("value", "")
        named = PARAMETER.fullmatch(text)
        if named is None:
            self.instance.parameter = None
        elif named[1] == SEQUENCE_NAME:
            self.instance.parameter = None
            self.cleaned_data["value"] = SEQUENCE
        else:
            self.cleaned_data["value"] = ""
            self._use_parameter(named[1])
        return super().clean()

    def _use_parameter(self, name: str) -> None:
        command = typed(self, "command")
        if command is None:
            return  # a form that was tampered with; Django tells
        known = parameters_of(command)
        stored = None if "value" in self.changed_data else self.instance.parameter_id
        # A parameter that is renamed on the same page is still the step's.
        found = [each for each in known if (each.pk == stored if stored else each.name == name)]
        if found:
            self.instance.parameter = found[0]
            return
        names = ", ".join(f"{{{each.name}}}" for each in known) or "none"
        self.add_error("value", f"The command has no parameter {name} (any more). It has: {names}.")


class StepFormSet(InlineFormSet):
    """The steps of a command, with what only all of them together show."""

    def clean(self) -> None:
        """Exactly one trigger, every parameter used, and a place for every step."""
        super().clean()
        steps = surviving(self)
        self._place(steps)
        triggers = [form for form in steps if form.instance.phase == "trigger"]
        for form in triggers[1:]:
            form.add_error("phase", SECOND_TRIGGER)
        self._refuse_own_proofs(steps)
        faults = [] if triggers else [NO_TRIGGER]
        phases = {form.instance.phase for form in steps}
        if "fail_if" in phases and "wait" not in phases:
            faults.append(NOTHING_TO_WAIT_FOR)
        numbered = {form.instance.operator for form in steps if form.instance.value == SEQUENCE}
        if numbered and "set" not in numbered:
            faults.append(NOT_SENT)
        faults += [
            f"No step uses the parameter {name}: a caller would give it for nothing. Use it, or delete it."
            for name in self._unused(steps)
        ]
        if faults:
            raise ValidationError(faults)

    def _refuse_own_proofs(self, steps: list[ModelForm]) -> None:
        whole = [form for form in steps if typed(form, "tag")]
        lines = [form.instance.line() for form in whole]
        for form, line in zip(whole, lines, strict=True):
            if proves_itself(line, lines):
                form.add_error("tag", OWN_PROOF)

    def _place(self, steps: list[ModelForm]) -> None:
        """Steps without a position go behind the others of their phase."""
        last: dict[str, int] = defaultdict(int)
        for form in steps:
            phase, position = form.instance.phase, typed(form, "position")
            last[phase] = max(last[phase], position or 0)
        for form in steps:
            if typed(form, "position") is None:
                last[form.instance.phase] += 1
                form.instance.position = last[form.instance.phase]

    def _unused(self, steps: list[ModelForm]) -> list[str]:
        used = [form.instance.parameter for form in steps]
        # By identity: parameters that are not stored yet are equal to nothing.
        return [each.name for each in parameters_of(self.instance) if not any(each is other for other in used)]
