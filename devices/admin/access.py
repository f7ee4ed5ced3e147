"""Keys for systems that call the API."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone

from devices.admin.bases import ModelAdmin
from devices.admin.forms import TellingForm
from devices.models import APIKey

MADE = ("key_id", "created_at", "revoked_at")


@admin.register(APIKey)
class APIKeyAdmin(ModelAdmin):
    """A key is shown on the page that answers its making, and nowhere else, ever."""

    form = TellingForm
    list_display = ("name", "key_id", "created_at", "revoked_at")
    list_filter = (("revoked_at", admin.EmptyFieldListFilter),)
    search_fields = ("name", "key_id")
    actions = ["revoke"]

    def get_fields(self, request: HttpRequest, obj: APIKey | None = None) -> Any:  # noqa: ARG002
        """Its name, and what it must send."""
        return ("name", "needs_idempotency_key", *MADE) if obj else ("name", "needs_idempotency_key")

    def get_readonly_fields(self, request: HttpRequest, obj: APIKey | None = None) -> Any:  # noqa: ARG002
        """What the making of the key settled: its name too, under which its runs and their Idempotency-Keys stand."""
        return ("name", *MADE) if obj else ()

    def has_delete_permission(self, request: HttpRequest, obj: APIKey | None = None) -> bool:  # noqa: ARG002
        """A key's name stands in the records: it is revoked, not deleted."""
        return False

    def save_model(self, request: HttpRequest, obj: APIKey, form: Any, change: bool) -> None:
        """A new key gets its secret; only its hash is stored."""
        if not change:
            obj.shown_once = obj.issue()  # type: ignore[attr-defined]
        super().save_model(request, obj, form, change)

    def response_add(self, request: HttpRequest, obj: APIKey, post_url_continue: str | None = None) -> HttpResponse:  # noqa: ARG002
        """Show the key in this very answer: a message for the next page would lie in a cookie or in the database."""
        context = self.admin_site.each_context(request) | {
            "title": f"The API key of {obj.name}",
            "opts": self.opts,
            "key": obj.shown_once,  # type: ignore[attr-defined]
            "original": obj,
        }
        return TemplateResponse(request, "admin/devices/apikey/issued.html", context)

    @admin.action(description="Revoke selected keys", permissions=["change"])
    def revoke(self, request: HttpRequest, keys: QuerySet[APIKey]) -> None:
        """From now on they are refused."""
        working = list(keys.filter(revoked_at=None))
        for key in working:
            key.revoked_at = timezone.now()
            key.save(update_fields=["revoked_at"])
            self.log_change(request, key, "Revoked.")
        names = ", ".join(key.name for key in working)
        messages.success(
            request, f"Revoked: {names}. Calls with them are refused now." if names else "None of them worked any more."
        )
