"""Forms that tell every fault where it can be seen, with inputs narrow enough for a table."""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, ClassVar

from django import forms
from django.contrib.admin.widgets import AdminTextareaWidget, RelatedFieldWidgetWrapper
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.db import models
from django.forms.formsets import DELETION_FIELD_NAME

from devices.admin.bases import FormSet, ModelForm

LINE_END = re.compile(r"\s*[\r\n]+\s*")
TABLE = "admin/devices/table.html"
"""How rows are shown inside the page of what they belong to."""


class TellingForm(ModelForm):
    """A model's faults may lie in fields that this form does not show: they are told elsewhere, by name."""

    shown_at: ClassVar[Mapping[str, str]] = {}
    """Model field to the form field that stands for it."""

    def add_error(self, field: str | None, error: Any) -> None:
        """Place what the model found; a field that failed its own check tells only that."""
        if field is None and isinstance(error, ValidationError) and hasattr(error, "error_dict"):
            error = ValidationError(self._placed(error.error_dict))
        super().add_error(field, error)

    def _placed(self, faults: Mapping[str, list[ValidationError]]) -> dict[str, list[Any]]:
        placed: dict[str, list[Any]] = defaultdict(list)
        for name, errors in faults.items():
            place = self.shown_at.get(name, name)
            if place == NON_FIELD_ERRORS or (place in self.fields and not self.has_error(place)):
                placed[place].extend(errors)
            elif place not in self.fields:
                placed[NON_FIELD_ERRORS].extend(self._named(name, errors))
        return dict(placed)

    def _named(self, name: str, errors: list[ValidationError]) -> Iterator[str]:
        label = self.instance._meta.get_field(name).verbose_name  # noqa: SLF001 - Django's documented name
        return (f"{str(label).capitalize()}: {text}" for error in errors for text in error.messages)


class Narrow(forms.TextInput):
    """A text input of so many characters."""

    def __init__(self, size: int, **attrs: Any) -> None:
        super().__init__(attrs={"size": size, **attrs})


class NarrowDecimal(Narrow):
    """A decimal number without the zeros that the database adds."""

    def format_value(self, value: Any) -> str | None:
        """1.5000000000 as 1.5."""
        if isinstance(value, Decimal):
            text = f"{value:f}"
            return text.rstrip("0").rstrip(".") if "." in text else text
        return super().format_value(value)  # type: ignore[no-any-return]


class Sentence(forms.Textarea):
    """One line of text, shown whole: it breaks where the column ends, and a typed line end is a blank."""

    def __init__(self) -> None:
        super().__init__(attrs={"rows": 2, "cols": 22})

    def value_from_datadict(self, *source: Any) -> Any:
        """As a single line."""
        text = super().value_from_datadict(*source)
        return LINE_END.sub(" ", text) if isinstance(text, str) else text


class Low(AdminTextareaWidget):
    """A text area of a few lines."""

    def __init__(self) -> None:
        super().__init__(attrs={"rows": 4})


LOW_TEXTS: Any = {models.TextField: {"widget": Low}}


def plain_choice(field: Any) -> Any:
    """A choice without the icons that lead to what is chosen."""
    if isinstance(field, forms.Field) and isinstance(field.widget, RelatedFieldWidgetWrapper):
        field.widget = field.widget.widget
    return field


def row_key(ref: Any) -> int | None:
    """The key of a row as a browser sends it; None for anything else."""
    text = str(ref)
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else None


def surviving(formset: FormSet) -> list[ModelForm]:
    """The rows that will be there after saving: neither deleted nor left empty."""
    return [form for form in formset.forms if not is_deleted(form) and (form.instance.pk or form.has_changed())]


def is_deleted(form: ModelForm) -> bool:
    """Django's own list of deleted forms is empty while any other row has a mistake."""
    return bool(typed(form, DELETION_FIELD_NAME))


def typed(form: ModelForm, field: str) -> Any:
    """What was typed, None where it was nothing or nonsense."""
    return getattr(form, "cleaned_data", {}).get(field)


def tell_twins(formset: FormSet, noun: str) -> None:
    """Mark every name that stands twice in one submission."""
    seen: set[str] = set()
    for form in surviving(formset):
        name = typed(form, "name")
        if name in seen:
            form.add_error("name", f"Two {noun}s here are named {name}: a name stands once.")
        elif name:
            seen.add(name)
