"""A command from a ready-made pattern: choose it, give its tags and numbers, get its steps written out."""

from itertools import chain
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import path, reverse

from devices.admin.command_forms import chosen_profile
from devices.admin.pattern_forms import HAS_STEPS, PatternForm
from devices.admin.permissions import OTHERS_MACHINES, SharedPages, doer
from devices.models import Command, Profile
from devices.models.pattern_parts import Pattern
from devices.models.patterns import PATTERNS

WRITTEN = (
    "The steps of “{pattern}” are written. Look through them, and change what is different at your machine, before "
    "{command} is called."
)


class PatternPages(SharedPages):
    """Beside the pages of a command: its start from a pattern."""

    def get_urls(self) -> Any:
        """The choice of a pattern and its tags, for a new command and for one that has no steps yet."""
        choose, ask = self.admin_site.admin_view(self.patterns_view), self.admin_site.admin_view(self.pattern_view)
        urls = [
            (
                path(f"{start}pattern/", choose, name=f"devices_command_{kind}_patterns"),
                path(f"{start}pattern/<slug:name>/", ask, name=f"devices_command_{kind}_pattern"),
            )
            for start, kind in (("add/", "add"), ("<int:command_id>/", "change"))
        ]
        return [*chain.from_iterable(urls), *super().get_urls()]

    def pattern_url(self, request: HttpRequest, command: Command | None = None) -> str | None:
        """Where a pattern is chosen; None where this person or this command has no use for one."""
        if not self._may_write(request, command) or (command is not None and command.steps.exists()):
            return None
        if command is not None:
            return reverse("admin:devices_command_change_patterns", args=[command.pk])
        return f"{reverse('admin:devices_command_add_patterns')}?profile={chosen_profile(request) or ''}"

    def _may_write(self, request: HttpRequest, command: Command | None) -> bool:
        may_keep = self.has_change_permission(request, command) if command else self.has_add_permission(request)
        return may_keep and request.user.has_perm("devices.add_step")

    def patterns_view(self, request: HttpRequest, command_id: int | None = None) -> HttpResponse:
        """Which patterns there are, when to use each, and which of them this machine type has no tags for."""
        command = self._command(request, command_id)
        if command.pk and command.steps.exists():
            return self._refuse(request, command)
        limits, tags = command.profile.limits(), [tag.spec() for tag in command.profile.tags.all()]
        choices = [(pattern, pattern.lacking(tags, limits)) for pattern in PATTERNS.values()]
        context = {"choices": choices, "query": self._query(command), "title": "Start from a pattern"}
        return self._page(request, "patterns", command, context)

    def pattern_view(self, request: HttpRequest, name: str, command_id: int | None = None) -> HttpResponse:
        """Ask for the tags and numbers of one pattern, and write its steps."""
        command = self._command(request, command_id)
        if request.method == "GET" and command.pk and command.steps.exists():
            return self._refuse(request, command)
        pattern = PATTERNS.get(name)
        if pattern is None:
            raise Http404(f"there is no pattern {name}")
        form = PatternForm(request.POST if request.method == "POST" else None, instance=command, pattern=pattern)
        if request.method == "POST" and form.is_valid() and self._is_written(request, form, pattern):
            return HttpResponseRedirect(self._after(request, form.instance))
        context = {"pattern": pattern, "title": pattern.title, "form": form, "adminform": form.sections(self)}
        return self._page(request, "pattern", command, context)

    def _command(self, request: HttpRequest, command_id: int | None) -> Command:
        """The one that the steps are for: stored, or new for the chosen machine type."""
        stored = None if command_id is None else self.get_object(request, str(command_id))
        if command_id is not None and stored is None:
            raise Http404("there is no such command")
        if not self._may_write(request, stored):
            raise PermissionDenied
        return stored or Command(profile=self._kept_profile(request))

    @staticmethod
    def _kept_profile(request: HttpRequest) -> Profile:
        """The chosen one, if it is this person's to change."""
        profile = get_object_or_404(Profile, pk=chosen_profile(request) or 0)
        if not doer(request).may_keep(profile.pk):
            raise PermissionDenied(OTHERS_MACHINES.format(profile=profile))
        return profile

    def _refuse(self, request: HttpRequest, command: Command) -> HttpResponse:
        """Steps that are there already are the engineer's own."""
        messages.warning(request, HAS_STEPS.format(command=command.name))
        return HttpResponseRedirect(self._after(request, command))

    def _is_written(self, request: HttpRequest, form: PatternForm, pattern: Pattern) -> bool:
        """All of it or nothing; what came in between is told in the form."""
        is_new, note = form.instance.pk is None, f"Steps written from the pattern “{pattern.title}”."
        try:
            with transaction.atomic():
                command = form.write()
                (self.log_addition if is_new else self.log_change)(request, command, note)
        except ValidationError as error:
            form.add_error(None, error.messages)
            return False
        messages.success(request, WRITTEN.format(pattern=pattern.title, command=command.name))
        return True

    def _after(self, request: HttpRequest, command: Command) -> str:
        """The command's own page, for those who may see it."""
        if self.has_view_or_change_permission(request, command):
            return reverse("admin:devices_command_change", args=[command.pk])
        return reverse("admin:index")

    def _page(self, request: HttpRequest, page: str, command: Command, context: dict[str, Any]) -> HttpResponse:
        common = self.admin_site.each_context(request) | {
            "opts": self.opts,
            "profile": command.profile,
            "command": command,
            "patterns_url": self._patterns_url(command),
        }
        return TemplateResponse(request, f"admin/devices/command/{page}.html", common | context)

    def _patterns_url(self, command: Command) -> str:
        kind, keys = ("change", [command.pk]) if command.pk else ("add", [])
        return reverse(f"admin:devices_command_{kind}_patterns", args=keys) + self._query(command)

    @staticmethod
    def _query(command: Command) -> str:
        return "" if command.pk else f"?profile={command.profile_id}"
