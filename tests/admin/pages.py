"""Fill in an admin page as a browser would: take what it shows, change some of it, send it back."""

import html
from typing import Any

from django.forms import BaseForm
from django.test import Client

ADMIN = "/admin/devices/"


def fields_of(client: Client, address: str) -> dict[str, Any]:
    """What the page's form would send if nothing were typed; of the registry where no address is absolute."""
    page = client.get(address if address.startswith("/") else ADMIN + address)
    assert page.status_code == 200, (page.status_code, page.get("Location"))
    forms = [page.context["adminform"].form]
    for inline in page.context["inline_admin_formsets"]:
        forms += [inline.formset.management_form, *inline.formset.forms]
    return {name: value for form in forms for name, value in _inputs(form) if value is not None}


def _inputs(form: BaseForm) -> list[tuple[str, Any]]:
    return [(field.html_name, _shown(field)) for field in form if _shown(field) is not False]


def _shown(field: Any) -> Any:
    """As its input holds it: a box that is not ticked sends nothing."""
    value = field.value()
    if isinstance(value, bool):
        return "on" if value else False
    return field.field.widget.format_value(value) if hasattr(field.field.widget, "size") else value


def add_row(fields: dict[str, Any], prefix: str, **row: Any) -> None:
    """As “Add another” does."""
    index = int(fields[f"{prefix}-TOTAL_FORMS"])
    fields[f"{prefix}-TOTAL_FORMS"] = index + 1
    fields.update({f"{prefix}-{index}-{name}": value for name, value in row.items()})


def change_row(fields: dict[str, Any], prefix: str, index: int, **row: Any) -> None:
    """Type into a row that is there."""
    fields.update({f"{prefix}-{index}-{name}": value for name, value in row.items()})


def send(client: Client, address: str, fields: dict[str, Any]) -> list[str]:
    """Press Save; what the page complains about, empty if it was stored."""
    answer = client.post(ADMIN + address, {**fields, "_save": "Save"})
    if answer.status_code == 302:
        return []
    assert answer.status_code == 200
    complaints = _complaints(answer)
    text = html.unescape(answer.content.decode())
    assert complaints, "neither stored nor refused"
    # A complaint that is not on the page helps nobody.
    assert [each for each in complaints if each.partition(": ")[2] not in text] == []
    return complaints


def _complaints(answer: Any) -> list[str]:
    """`field: message`, for the form and every row."""
    told = _of(answer.context["adminform"].form.errors, "")
    for inline in answer.context["inline_admin_formsets"]:
        formset = inline.formset
        told += [f"{formset.prefix}: {message}" for message in formset.non_form_errors()]
        # Not formset.errors: it leaves out the deleted rows, and with them the places of those behind.
        rows = [row for row in formset.forms if not formset._should_delete_form(row)]
        told += [complaint for row in rows for complaint in _of(row.errors, f"{row.prefix}-")]
    return told


def _of(errors: Any, prefix: str) -> list[str]:
    return [f"{prefix}{field}: {message}" for field, messages in errors.items() for message in messages]
