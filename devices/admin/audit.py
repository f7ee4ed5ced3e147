"""The audit: to read, to filter, to take along. Nobody adds, changes or removes anything here."""

import json
import logging
from collections.abc import AsyncIterator, Iterator
from typing import Any

from channels.db import database_sync_to_async
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db import Error as DatabaseUnavailable
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.template.loader import render_to_string
from django.urls import path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.views.decorators.http import require_POST

from devices.admin.audit_filters import ActorFilter, DaysFilter, KindFilter
from devices.admin.bases import TOLD, LookOnly
from devices.admin.forms import row_key
from devices.admin.run_tables import moment, say
from devices.control.audit_changes import kind_of
from devices.control.audit_table import Export, cut
from devices.models import AuditEntry
from devices.models.text_rules import visible

logger = logging.getLogger(__name__)

NOTHING = "-"
SHORT = 90  # characters of what changed, in the list


LINKED = {kind_of(model): model for model in TOLD}
"""Kinds of things that have a page in the admin."""


@admin.register(AuditEntry)
class AuditAdmin(LookOnly):
    """Who did what."""

    change_list_template = "admin/devices/auditentry/change_list.html"
    change_form_template = "admin/devices/auditentry/change_form.html"
    list_display = ("when", "who", "where", "did", "kind", "subject", "summary")
    list_display_links = ("when",)
    sortable_by = ("when",)  # all other orders would have to sort the whole audit
    list_filter = ("action", DaysFilter, KindFilter, ActorFilter)
    search_fields = ("actor", "source", "subject", "before", "after", "detail")
    search_help_text = "Searches who, from where, with which thing, what changed, and detail."
    show_full_result_count = False  # counting all takes longer than showing a page of them
    show_facets = admin.ShowFacets.NEVER
    fieldsets = (
        (None, {"fields": ("when", "who", "where", "did", "thing", "words", "changed")}),
        ("In the chain", {"fields": ("number", "follows", "hash"), "classes": ("collapse",)}),
    )
    readonly_fields = ("when", "who", "where", "did", "thing", "words", "changed", "number", "follows", "hash")

    def get_urls(self) -> Any:
        """And one for the table."""
        export = self.admin_site.admin_view(require_POST(self.export))
        return [path("export/", export, name="devices_auditentry_export"), *super().get_urls()]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """There is nothing to select."""
        return super().changelist_view(request, {"title": "Audit", **(extra_context or {})})

    def export(self, request: HttpRequest) -> HttpResponseBase:
        """The entries of the list as it is filtered, as CSV: sent while they are read."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        entries: Any = self.get_changelist_instance(request).get_queryset(request)
        export = Export(entries, narrowed=", ".join(f"{name}={request.GET[name]}" for name in sorted(request.GET)))
        name = f"audit-{timezone.now():%Y%m%dT%H%M%SZ}.csv"
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        return StreamingHttpResponse(_pieces(export), content_type="text/csv; charset=utf-8", headers=headers)

    @admin.display(ordering="id", description="when")
    def when(self, entry: AuditEntry) -> str:
        """To the millisecond."""
        return moment(entry.at)

    @admin.display(description="who")
    def who(self, entry: AuditEntry) -> str:
        """A user, a key, or a command of the shell."""
        return entry.actor

    @admin.display(description="from")
    def where(self, entry: AuditEntry) -> str:
        """The caller's address."""
        return entry.source or NOTHING

    @admin.display(description="did")
    def did(self, entry: AuditEntry) -> str:
        """What was done."""
        return entry.get_action_display()

    @admin.display(description="with")
    def thing(self, entry: AuditEntry) -> SafeString | str:
        """What it was called then, with a link to it if it is still there."""
        name = f"{entry.kind} {entry.subject}".strip()
        model, key = LINKED.get(entry.kind), row_key(entry.subject_id)
        if model is None or key is None or not model._default_manager.filter(pk=key).exists():  # noqa: SLF001
            return name
        options = model._meta  # noqa: SLF001 - Django's documented name
        address = reverse(f"admin:{options.app_label}_{options.model_name}_change", args=[key])
        return format_html('<a href="{}">{}</a>', address, name)

    @admin.display(description="detail")
    def words(self, entry: AuditEntry) -> str:
        """In words."""
        return entry.detail or NOTHING

    @admin.display(description="number")
    def number(self, entry: AuditEntry) -> int:
        """Its place in the chain; numbers may be left out where something was not stored after all."""
        return entry.pk

    @admin.display(description="hash before")
    def follows(self, entry: AuditEntry) -> str:
        """Of the entry before it."""
        return entry.previous

    @admin.display(description="hash")
    def hash(self, entry: AuditEntry) -> str:
        """Of all that it says, and the hash before."""
        return entry.digest

    @admin.display(description="what changed")
    def summary(self, entry: AuditEntry) -> str:
        """In short."""
        told = "; ".join(filter(None, (_in_short(*line) for line in _lines(entry)))) or entry.detail
        told = told or NOTHING
        return told if len(told) <= SHORT else f"{told[: SHORT - 1]}…"

    @admin.display(description="what changed")
    def changed(self, entry: AuditEntry) -> SafeString | str:
        """Side by side."""
        lines = list(_lines(entry))
        context = {"lines": lines, "has_before": bool(entry.before), "has_after": bool(entry.after)}
        return render_to_string("admin/devices/auditentry/changed.html", context) if lines else "-"


def _lines(entry: AuditEntry) -> Iterator[tuple[str, str | None, str | None]]:
    """Name, before, after; None where nothing is told of it."""
    before, after = _read(entry.before), _read(entry.after)
    for name in dict.fromkeys((*before, *after)):
        yield visible(name), _said(before, name), _said(after, name)


def _read(text: str) -> dict[str, Any]:
    """Whatever is stored: somebody may have tampered with it, and it is to be looked at all the same."""
    try:
        values = json.loads(text or "{}")
    except ValueError:
        values = text
    return values if isinstance(values, dict) else {"?": values}


def _said(values: dict[str, Any], name: str) -> str | None:
    if name not in values:
        return None
    value = values[name]
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return visible(", ".join(value)) or NOTHING
    if isinstance(value, dict | list):
        return visible(json.dumps(value, ensure_ascii=False))
    return NOTHING if value in (None, "") else visible(say(value))


def _in_short(name: str, before: str | None, after: str | None) -> str:
    """Of a row that came or went only what it had."""
    if before is None or after is None:
        only = after if before is None else before
        return "" if only == NOTHING else f"{name}: {only}"
    return f"{name}: {before} → {after}"


async def _pieces(export: Export) -> AsyncIterator[bytes]:
    """Read in threads, page by page, as fast as it is fetched."""
    texts = export.texts()
    try:
        while (text := await database_sync_to_async(next)(texts, None)) is not None:
            yield text.encode()
    except DatabaseUnavailable as error:
        # The good status is long sent: only the table itself can say that it is not whole.
        logger.error("an export of the audit was cut: %s", error)
        yield cut("the database does not answer").encode()
