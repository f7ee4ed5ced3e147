"""Django's generic classes, whose parameters the type checker wants and Python does not know; and pages to look at."""

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.contrib.auth import admin as auth
from django.contrib.auth.models import User
from django.db.models import Model
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.http import urlencode

from devices.control.audit_changes import RELATED, kind_of
from devices.models import Run

if TYPE_CHECKING:
    AnyAdmin = admin.ModelAdmin[Any]
    TabularInline = admin.TabularInline[Any, Any]
    UserAdmin = auth.UserAdmin[User]
    ModelForm = forms.ModelForm[Any]
    FormSet = forms.BaseModelFormSet[Any, Any]
    InlineFormSet = forms.BaseInlineFormSet[Any, Any, Any]
    ModelChoice = forms.ModelChoiceField[Any]
else:
    AnyAdmin = admin.ModelAdmin
    TabularInline = admin.TabularInline
    UserAdmin = auth.UserAdmin
    ModelForm = forms.ModelForm
    FormSet = forms.BaseModelFormSet
    InlineFormSet = forms.BaseInlineFormSet
    ModelChoice = forms.ModelChoiceField

__all__ = [
    "TOLD",
    "FormSet",
    "InlineFormSet",
    "LookOnly",
    "ModelAdmin",
    "ModelChoice",
    "ModelForm",
    "TabularInline",
    "UserAdmin",
]


TOLD: frozenset[type[Model]] = frozenset({*RELATED, Run})
"""What the audit has entries of."""


class ModelAdmin(AnyAdmin):
    """Pages whose history is the audit, for whoever may read it; Django's own tells only what was done in the admin."""

    def history_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        """All that the audit has of this thing."""
        may_read = request.user.has_perm("devices.view_auditentry")
        row = self.get_object(request, unquote(object_id)) if may_read and self.model in TOLD else None
        if row is None or not self.has_view_or_change_permission(request, row):
            return super().history_view(request, object_id, extra_context)
        of_it = urlencode({"kind": kind_of(self.model), "subject_id": row.pk})
        return HttpResponseRedirect(f"{reverse('admin:devices_auditentry_changelist')}?{of_it}")


class LookOnly(ModelAdmin):
    """Pages of what the gateway alone writes: nobody adds, changes or deletes it here."""

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002
        """Only the gateway writes it."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        """It stays as it was written."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        """It stays."""
        return False
