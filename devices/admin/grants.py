"""Who may do what where: grants by themselves, and on the pages of users, groups and keys."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.models import AnonymousUser, Group, User
from django.core.exceptions import ValidationError
from django.http import HttpRequest

from devices.admin.bases import ModelAdmin, TabularInline
from devices.admin.forms import TABLE, Narrow, TellingForm, plain_choice
from devices.models import APIKey, Grant
from devices.models.grants import HOLDERS

CEILING = re.compile(r"([a-z][a-z0-9_]*)\s*[ :=≤]\s*([+-]?[0-9]+(?:\.[0-9]+)?)")
OWN = {
    "user": "You cannot give rights to yourself: ask another security admin.",
    "group": "You are in this group, and cannot give rights to yourself: ask another security admin.",
    "key": "You own this key, and cannot give rights to yourself: ask another security admin.",
}
NARROWED_BY = {"right", "plc", "area", "commands", "ceilings"}
YOURS = "What you may do yourself is for another security admin to change."

Holder = User | Group | APIKey | None
Giver = User | AnonymousUser


class CeilingsField(forms.Field):
    """One highest value a line, as people write it, for the object that is stored."""

    widget = forms.Textarea(attrs={"rows": 2, "cols": 20})

    def prepare_value(self, value: Any) -> Any:
        """`{"batch_size": 500}` as `batch_size 500`; what was typed stays as it was typed."""
        return "\n".join(_typed(value)) if isinstance(value, dict) else value

    def to_python(self, value: Any) -> dict[str, float]:
        """Read the lines; ValidationError names those that cannot be read."""
        ceilings: dict[str, float] = {}
        faults = []
        for line in filter(None, map(str.strip, str(value or "").splitlines())):
            found = CEILING.fullmatch(line)
            if found is None:
                faults.append(f"“{line}” is not a parameter and its highest value, such as batch_size 500.")
            elif found[1] in ceilings:
                faults.append(f"{found[1]} stands here twice.")
            else:
                ceilings[found[1]] = float(found[2]) if "." in found[2] else int(found[2])
        if faults:
            raise ValidationError(faults)
        return ceilings

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Whether another object would be stored."""
        try:
            return self.to_python(data) != (initial or {})
        except ValidationError:
            return True


def _typed(ceilings: Mapping[str, float]) -> Iterator[str]:
    """Each as a line is typed; by name, since databases keep no order."""
    return (f"{name} {most:.15g}" for name, most in sorted(ceilings.items()))


class GrantForm(TellingForm):
    """A right, its holder and its place. Nobody gives to himself."""

    giver: ClassVar[Giver]

    ceilings = CeilingsField(
        required=False,
        label="Highest values",
        help_text="One parameter a line, for example batch_size 500. Empty: the limits of the commands themselves.",
    )

    class Meta:
        model = Grant
        fields = (*HOLDERS, "right", "plc", "area", "commands", "ceilings")
        widgets = {"area": Narrow(16), "commands": Narrow(28)}

    def _post_clean(self) -> None:
        """After the row's own checks: a holder that was refused before them would count as missing."""
        super()._post_clean()  # type: ignore[misc]
        for kind, message in OWN.items():
            if is_own(self.giver, self.cleaned_data.get(kind)):
                self.add_error(kind, message)
        # A grant whose names have gone since keeps nobody from saving what stands beside it on his holder's page.
        if NARROWED_BY & set(self.changed_data) and not NARROWED_BY & self.errors.keys():
            for field, fault in self.instance.idle_names():
                self.add_error(field, fault)


def is_own(giver: Giver, holder: Holder) -> bool:
    """Whether what this holder gets, the giver gets. A superuser has all already."""
    if not isinstance(giver, User) or giver.is_superuser:
        return False
    if isinstance(holder, Group):
        return giver.groups.filter(pk=holder.pk).exists()
    person = holder.owner_id if isinstance(holder, APIKey) else holder.pk if isinstance(holder, User) else None
    return person == giver.pk


class GrantInline(TabularInline):
    """The rights of one holder, on his page."""

    model = Grant
    form = GrantForm
    template = TABLE
    fields = ("right", "plc", "area", "commands", "ceilings")
    extra = 0

    def get_formset(self, request: HttpRequest, obj: Any = None, **kwargs: Any) -> Any:
        """The form checks who gives."""
        formset: Any = super().get_formset(request, obj, **kwargs)
        formset.form.giver = request.user  # a class of this request alone: Django makes it anew each time
        return formset

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """A plain choice: icons beside each would fill the row."""
        return plain_choice(super().formfield_for_dbfield(db_field, request, **kwargs))

    def has_add_permission(self, request: HttpRequest, obj: Any) -> bool:  # type: ignore[override]
        """Not to oneself."""
        return super().has_add_permission(request, obj) and not is_own(request.user, obj)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Not one's own."""
        return super().has_change_permission(request, obj) and not is_own(request.user, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Not one's own."""
        return super().has_delete_permission(request, obj) and not is_own(request.user, obj)


class HolderPages(ModelAdmin):
    """Pages of who holds rights; he exists before he is given any."""

    def get_inlines(self, request: HttpRequest, obj: Any) -> Any:  # noqa: ARG002
        """None for somebody new."""
        return [GrantInline] if obj else []

    def render_change_form(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """Say why one's own cannot be changed."""
        if is_own(request.user, kwargs.get("obj")) and self.has_change_permission(request):
            messages.info(request, YOURS)
        return super().render_change_form(request, *args, **kwargs)


@admin.register(Grant)
class GrantAdmin(ModelAdmin):
    """All grants, to find who may do what."""

    form = GrantForm
    list_display = ("holder", "right", "place", "commands", "highest_values")
    list_filter = ("right", "area", "group")
    list_select_related = ("user", "group", "key", "plc")
    search_fields = ("user__username", "group__name", "key__name", "plc__name", "area", "commands")
    fieldsets = (
        ("Who", {"fields": HOLDERS, "description": "Fill in exactly one."}),
        ("May do what", {"fields": ("right",)}),
        ("Where", {"fields": ("plc", "area"), "description": "At most one of them. Neither: on all PLCs."}),
        (
            "How far",
            {"fields": ("commands", "ceilings"), "description": "Narrows the right “execute commands”, and no other."},
        ),
    )

    @admin.display(description="highest values")
    def highest_values(self, grant: Grant) -> str:
        """As they are typed, in one line."""
        return ", ".join(_typed(grant.ceilings))

    def get_form(self, request: HttpRequest, obj: Grant | None = None, change: bool = False, **kwargs: Any) -> Any:
        """The form checks who gives."""
        form: Any = super().get_form(request, obj, change, **kwargs)
        form.giver = request.user
        return form

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Nobody is made in passing."""
        return plain_choice(super().formfield_for_dbfield(db_field, request, **kwargs))

    def has_change_permission(self, request: HttpRequest, obj: Grant | None = None) -> bool:
        """Not one's own."""
        return super().has_change_permission(request, obj) and not _is_held(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Grant | None = None) -> bool:
        """Not one's own."""
        return super().has_delete_permission(request, obj) and not _is_held(request, obj)


def _is_held(request: HttpRequest, grant: Grant | None) -> bool:
    # As it is stored: a form that was refused has left in the row what was typed.
    stored = Grant.objects.filter(pk=grant.pk).select_related(*HOLDERS).first() if grant else None
    return stored is not None and any(is_own(request.user, getattr(stored, kind)) for kind in HOLDERS)
