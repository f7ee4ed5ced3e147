"""The record of every run: to look at, not to change."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.safestring import SafeString

from devices.admin.bases import ModelAdmin
from devices.models import Run

FACTS = ("sent", "read", "error")


@admin.register(Run)
class RunAdmin(ModelAdmin):
    """Who asked for what, and what became of it."""

    list_display = ("id", "accepted", "plc_name", "command", "state", "effect", "took", "caller", "detail")
    list_filter = ("state", "effect", "plc", "accepted_at")
    search_fields = ("plc_name", "command", "caller", "detail")
    show_full_result_count = False  # counting all records takes longer than showing a page of them
    fieldsets = (
        (None, {"fields": ("plc", "command", "state", "effect", "retry", "detail", "earlier")}),
        ("What was asked and what came of it", {"fields": ("given", "found", "steps_taken")}),
        ("Who", {"fields": ("caller", "source")}),
        (
            "When",
            {"fields": ("accepted", "started", "triggered", "finished", "took", "plc_name", "version")},
        ),
    )

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002
        """Only the gateway writes records."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Run | None = None) -> bool:  # noqa: ARG002
        """Records stay as they were written."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Run | None = None) -> bool:  # noqa: ARG002
        """Records stay."""
        return False

    def get_readonly_fields(self, request: HttpRequest, obj: Run | None = None) -> Any:  # noqa: ARG002
        """Those made here."""
        return ("earlier", "given", "found", "steps_taken", "accepted", "started", "triggered", "finished", "took")

    @admin.display(ordering="accepted_at")
    def accepted(self, run: Run) -> str:
        """Stored, before anything was sent."""
        return _moment(run.accepted_at)

    @admin.display
    def started(self, run: Run) -> str:
        """Its turn came."""
        return _moment(run.started_at)

    @admin.display(description="trigger recorded")
    def triggered(self, run: Run) -> str:
        """From here on the machine may have been told."""
        return _moment(run.triggered_at)

    @admin.display
    def finished(self, run: Run) -> str:
        """The outcome was known."""
        return _moment(run.finished_at)

    @admin.display(description="parameters")
    def given(self, run: Run) -> SafeString | str:
        """As a table."""
        return _pairs(run.parameters)

    @admin.display(description="result")
    def found(self, run: Run) -> SafeString | str:
        """As a table."""
        return _pairs(run.result)

    @admin.display(description="what was said before")
    def earlier(self, run: Run) -> SafeString | str:
        """The outcomes that the run had until it was reconciled, by when and by whom."""
        return _pairs({f"until {was.get('at')}, {was.get('by')}": _outcome(was) for was in run.history})

    @admin.display(description="trace")
    def steps_taken(self, run: Run) -> SafeString | str:
        """Line by line, with times from the run's start."""
        if not run.trace:
            return "-"
        return render_to_string("admin/devices/run/trace.html", {"lines": [_line(entry) for entry in run.trace]})

    @admin.display(description="took")
    def took(self, run: Run) -> str:
        """From asking to outcome, waiting for its turn included."""
        return f"{(run.finished_at - run.accepted_at).total_seconds():.3g} s" if run.finished_at else "-"


def _moment(moment: datetime | None) -> str:
    """To the millisecond: who was first is a question that records have to answer."""
    return timezone.localtime(moment).isoformat(" ", "milliseconds") if moment else "-"


def _outcome(was: Mapping[str, Any]) -> str:
    return f"{was.get('state')}, effect {was.get('effect')}: {was.get('detail')}"


def _pairs(values: Mapping[str, Any]) -> SafeString | str:
    if not values:
        return "-"
    return render_to_string("admin/devices/run/pairs.html", {"pairs": [(key, _say(values[key])) for key in values]})


def _line(entry: Mapping[str, Any]) -> dict[str, str]:
    """One entry of a trace, whatever it holds: records of older versions are shown too."""
    facts = ", ".join(f"{fact} {_say(entry[fact])}" for fact in FACTS if entry.get(fact) is not None)
    return {
        "at_ms": _say(entry.get("at_ms", "")),
        "phase": _say(entry.get("phase", "")),
        "step": f"{entry.get('tag', '')} {entry.get('operator', '')}".strip(),
        "facts": facts or _say(entry.get("note", "")),
    }


def _say(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
