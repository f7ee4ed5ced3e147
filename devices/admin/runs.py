"""The record of every run: to look at, not to change."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString

from devices.admin import run_tables
from devices.admin.bases import LookOnly
from devices.admin.permissions import SeenPLCs, doer
from devices.control.records import LONG
from devices.models import Run


@admin.register(Run)
class RunAdmin(LookOnly):
    """Who asked for what, and what became of it."""

    list_display = ("id", "accepted", "plc_name", "command", "state", "effect", "took", "caller", "detail")
    list_filter = ("state", "effect", ("plc", SeenPLCs), "accepted_at")
    search_fields = ("plc_name", "command", "caller", "detail")
    show_full_result_count = False  # counting all records takes longer than showing a page of them
    fieldsets = (
        (None, {"fields": ("plc", "command", "state", "effect", "retry", "detail")}),
        ("What was asked and what came of it", {"fields": ("given", "found", "earlier_outcomes")}),
        ("Step by step", {"fields": ("steps_taken",)}),
        ("The command as it stood", {"fields": ("as_it_stood",), "classes": ("collapse",)}),
        ("On the wire", {"fields": ("on_the_wire",), "classes": ("collapse",)}),
        ("Who", {"fields": ("caller", "source", "idempotency_key", "process")}),
        (
            "When",
            {"fields": ("accepted", "started", "triggered", "finished", "took", "plc_name", "sequence", "version")},
        ),
    )

    def has_view_permission(self, request: HttpRequest, obj: Run | None = None) -> bool:
        """Of runs, and of the PLC that it ran on. Not by `change_run`: that is to say how one ended, elsewhere."""
        may_view = request.user.has_perm("devices.view_run")
        return may_view and (obj is None or doer(request).rights.sees(obj.plc))

    def get_readonly_fields(self, request: HttpRequest, obj: Run | None = None) -> Any:  # noqa: ARG002
        """Those made here."""
        made = ("given", "found", "earlier_outcomes", "steps_taken", "as_it_stood", "on_the_wire")
        return (*made, "accepted", "started", "triggered", "finished", "took")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Run]:
        """A list of runs does not load what only the page of one shows."""
        runs: QuerySet[Run] = super().get_queryset(request).defer(*LONG)
        return runs if doer(request).rights.sees_all else runs.filter(plc__in=doer(request).seen())

    @admin.display(ordering="accepted_at")
    def accepted(self, run: Run) -> str:
        """Stored, before anything was sent."""
        return run_tables.moment(run.accepted_at)

    @admin.display
    def started(self, run: Run) -> str:
        """Its turn came."""
        return run_tables.moment(run.started_at)

    @admin.display(description="trigger recorded")
    def triggered(self, run: Run) -> str:
        """From here on the machine may have been told."""
        return run_tables.moment(run.triggered_at)

    @admin.display
    def finished(self, run: Run) -> str:
        """The outcome was known."""
        return run_tables.moment(run.finished_at)

    @admin.display(description="parameters")
    def given(self, run: Run) -> SafeString | str:
        """As a table."""
        return run_tables.pairs(run.parameters)

    @admin.display(description="result")
    def found(self, run: Run) -> SafeString | str:
        """As a table."""
        return run_tables.pairs(run.result)

    @admin.display(description="trace")
    def steps_taken(self, run: Run) -> SafeString | str:
        """Line by line, with times from the run's start."""
        return run_tables.trace(run.trace)

    @admin.display(description="definition")
    def as_it_stood(self, run: Run) -> SafeString | str:
        """With which limits, steps and tags it ran, whatever was edited since."""
        return run_tables.definition(run.definition.content) if run.definition else "-"

    @admin.display(description="frames")
    def on_the_wire(self, run: Run) -> SafeString | str:
        """Kept for some days."""
        return run_tables.frames(run.frames, run.trace)

    @admin.display(description="earlier outcomes")
    def earlier_outcomes(self, run: Run) -> SafeString | str:
        """Before it was reconciled."""
        return run_tables.history(run.history)

    @admin.display(description="took")
    def took(self, run: Run) -> str:
        """From asking to outcome, waiting for its turn included."""
        return f"{(run.finished_at - run.accepted_at).total_seconds():.3g} s" if run.finished_at else "-"
