"""Commands with their parameters and steps, on one page."""

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Case, QuerySet, When
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse

from devices.admin.command_forms import (
    ParameterForm,
    ParameterFormSet,
    StepForm,
    StepFormSet,
    TagChoice,
    chosen_profile,
)
from devices.admin.forms import LOW_TEXTS, TABLE, plain_choice
from devices.admin.patterns import PatternPages
from devices.admin.permissions import SharedForm, SharedRows, doer
from devices.models import Command, Parameter, Profile, Step, Tag
from devices.models.commands import PHASES
from devices.models.proof_rules import PROVES_NOTHING, hold_at_zero
from devices.models.sequence_rules import SEQUENCE

PHASE_ORDER = Case(*(When(phase=phase, then=place) for place, phase in enumerate(PHASES)))


class ParameterInline(SharedRows):
    """What a caller gives."""

    model = Parameter
    template = TABLE
    form = ParameterForm
    formset = ParameterFormSet
    extra = 0


class StepInline(SharedRows):
    """What happens at the machine, in its order."""

    model = Step
    template = TABLE
    form = StepForm
    formset = StepFormSet
    fields = StepForm.Meta.fields
    profile_id: int | None = None

    def get_queryset(self, request: HttpRequest) -> QuerySet[Step]:
        """By phase as they run, then by position."""
        steps = super().get_queryset(request).select_related("command", "tag", "parameter")
        return steps.order_by(PHASE_ORDER, "position", "id")

    def get_extra(self, request: HttpRequest, obj: Command | None = None, **kwargs: Any) -> int:  # noqa: ARG002
        """A new command has at least a trigger."""
        return 0 if obj else 1

    def get_formset(self, request: HttpRequest, obj: Command | None = None, **kwargs: Any) -> Any:
        """Django makes an inline anew for each request, so that it may know its command's profile."""
        self.profile_id = obj.profile_id if obj else chosen_profile(request)
        return super().get_formset(request, obj, **kwargs)

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Only tags of the command's own machine type."""
        if db_field.name == "tag":
            kwargs |= {"form_class": TagChoice, "queryset": Tag.objects.filter(profile=self.profile_id)}
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """A plain choice: four icons beside each would fill the row."""
        return plain_choice(super().formfield_for_dbfield(db_field, request, **kwargs))


@admin.register(Command)
class CommandAdmin(PatternPages):
    """A named function of a machine type."""

    form = SharedForm
    formfield_overrides = LOW_TEXTS
    inlines = [ParameterInline, StepInline]
    list_display = ("name", "title", "profile")
    list_filter = ("profile",)
    list_select_related = ("profile",)
    search_fields = ("name", "title", "description")
    fieldsets = (
        (None, {"fields": ("profile", "name", "title", "description")}),
        ("Times", {"fields": (("time_limit_s", "expires_after_s"), ("poll_interval_ms", "connect_tries"))}),
    )

    def get_readonly_fields(self, request: HttpRequest, obj: Command | None = None) -> Any:  # noqa: ARG002
        """A command stays with its machine type: its steps name that one's tags."""
        return ("profile",) if obj else ()

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """The machine type was chosen before this page, since the steps' tags depend on it."""
        if (profile := chosen_profile(request)) is not None:
            kwargs |= {"queryset": Profile.objects.filter(pk=profile), "empty_label": None}
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """No new profile from within a command."""
        return plain_choice(super().formfield_for_dbfield(db_field, request, **kwargs))

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """First the machine type, then the command."""
        if request.method == "GET" and chosen_profile(request) is None:
            return self._choose_profile(request)
        return super().add_view(request, form_url, {**(extra_context or {}), "pattern_url": self.pattern_url(request)})

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """While it has no steps, they may come from a pattern."""
        command = self.get_object(request, object_id)
        pattern_url = self.pattern_url(request, command) if command else None
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), "pattern_url": pattern_url})

    def _choose_profile(self, request: HttpRequest) -> HttpResponse:
        if not self.has_add_permission(request):
            raise PermissionDenied
        profiles = [profile for profile in Profile.objects.all() if doer(request).may_keep(profile.pk)]
        if not profiles:
            messages.info(request, "A command belongs to a machine type: describe that first.")
            return HttpResponseRedirect(reverse("admin:devices_profile_add"))
        if len(profiles) == 1:
            return HttpResponseRedirect(f"{request.path}?profile={profiles[0].pk}")
        context = self.admin_site.each_context(request) | {
            "title": "Add command: for which machine type?",
            "opts": self.opts,
            "profiles": profiles,
        }
        return TemplateResponse(request, "admin/devices/command/choose_profile.html", context)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:  # noqa: ARG002
        """Parameters are stored before the steps that use them, and go after the steps that used them."""
        form.save_m2m()
        for formset in formsets:
            for row in formset.save(commit=False):
                row.save()
        for formset in reversed(list(formsets)):
            for row in formset.deleted_objects:
                row.delete()
        self._warn_of_empty_proofs(request, form.instance)

    @staticmethod
    def _warn_of_empty_proofs(request: HttpRequest, command: Command) -> None:
        """It works, and only shows its weakness on the day that an outcome is lost."""
        if hold_at_zero(step.line() for step in command.steps.select_related("tag", "parameter")):
            messages.warning(request, PROVES_NOTHING.format(command=command.name, sequence=SEQUENCE))
