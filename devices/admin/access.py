"""Keys for systems that call the API."""

from datetime import datetime, timedelta
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.core.exceptions import ValidationError
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone

from devices.admin.forms import TellingForm, plain_choice
from devices.admin.grants import HolderPages
from devices.models import APIKey

MADE = ("key_id", "created_at", "last_used_at", "revoked_at")
SET = ("owner", "expires_at", "networks", "needs_idempotency_key")
OWNERS_RIGHTS = " A security admin gives no rights to a key of his own: another one does."
USUAL_LIFE = timedelta(days=365)


class KeyForm(TellingForm):
    """Somebody answers for every key, and it ends one day."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Keys of older versions have no owner; one that has an owner keeps one.
        if "owner" in self.fields and (self.instance.pk is None or self.instance.owner_id is not None):
            self.fields["owner"].required = True
        if "owner" in self.fields:
            self.fields["owner"].help_text += OWNERS_RIGHTS

    def clean_expires_at(self) -> datetime | None:
        """Whoever wants a key to end now revokes it, and that stands in the records."""
        expires_at: datetime | None = self.cleaned_data["expires_at"]
        if "expires_at" in self.changed_data and expires_at is not None and expires_at <= timezone.now():
            raise ValidationError("Must lie in the future. To end a key now, revoke it in the list.")
        return expires_at


class StateFilter(admin.SimpleListFilter):
    """Whether a key works."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Any:  # noqa: ARG002
        """As the list says it."""
        return [(state, state) for state in ("works", "expired", "revoked")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[APIKey]) -> QuerySet[APIKey]:  # noqa: ARG002
        """By the server's clock."""
        expired = Q(expires_at__lte=timezone.now())
        chosen = {"works": Q(revoked_at=None) & ~expired, "expired": Q(revoked_at=None) & expired}
        chosen["revoked"] = Q(revoked_at__isnull=False)
        return queryset.filter(chosen.get(self.value() or "", Q()))


@admin.register(APIKey)
class APIKeyAdmin(HolderPages):
    """A key is shown on the page that answers its making, and nowhere else, ever."""

    form = KeyForm
    list_display = ("name", "key_id", "state", "owner", "rights", "expires_at", "last_used_at")
    list_filter = (StateFilter, "owner")
    list_select_related = ("owner",)
    search_fields = ("name", "key_id", "owner__username")
    actions = ["revoke"]

    @admin.display
    def state(self, key: APIKey) -> str:
        """Whether it works, and if not, since when."""
        if key.revoked_at is not None:
            return f"revoked {timezone.localtime(key.revoked_at):%Y-%m-%d}"
        is_expired = key.expires_at is not None and key.expires_at <= timezone.now()
        return "expired" if is_expired else "works"

    @admin.display
    def rights(self, key: APIKey) -> str:
        """What it may; a key that was given nothing can do nothing."""
        told = [f"{grant.get_right_display()}: {grant.place}" for grant in key.grants.all()]
        return ", ".join(told) or "none yet"

    def get_queryset(self, request: HttpRequest) -> QuerySet[APIKey]:
        """With what they may."""
        keys: QuerySet[APIKey] = super().get_queryset(request).prefetch_related("grants__plc")
        return keys

    def get_changeform_initial_data(self, request: HttpRequest) -> Any:
        """For a year, unless its maker says otherwise. Whose it is he must say: he gives no rights to his own."""
        ends = (timezone.now() + USUAL_LIFE).replace(second=0, microsecond=0)
        return {"expires_at": ends, **super().get_changeform_initial_data(request)}

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """An owner is chosen among those that there are."""
        return plain_choice(super().formfield_for_dbfield(db_field, request, **kwargs))

    def get_fields(self, request: HttpRequest, obj: APIKey | None = None) -> Any:  # noqa: ARG002
        """What was made with it goes last."""
        return ("name", *SET, *MADE) if obj else ("name", *SET)

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
    def revoke(self, request: HttpRequest, keys: QuerySet[APIKey]) -> HttpResponse | None:
        """From now on they are refused; asked first, as it cannot be undone."""
        working = list(keys.filter(revoked_at=None))
        if working and not request.POST.get("post"):
            return self._ask_to_revoke(request, working)
        for key in working:
            key.revoked_at = timezone.now()
            key.save(update_fields=["revoked_at"])
            self.log_change(request, key, "Revoked.")
        names = ", ".join(key.name for key in working)
        messages.success(
            request, f"Revoked: {names}. Calls with them are refused now." if names else "None of them worked any more."
        )
        return None

    def _ask_to_revoke(self, request: HttpRequest, working: list[APIKey]) -> HttpResponse:
        context = self.admin_site.each_context(request) | {
            "title": "Revoke these keys?" if len(working) > 1 else "Revoke this key?",
            "opts": self.opts,
            "keys": working,
            "action_checkbox_name": ACTION_CHECKBOX_NAME,
        }
        return TemplateResponse(request, "admin/devices/apikey/revoke.html", context)
