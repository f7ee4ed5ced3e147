"""Machine types with their tags, and the PLCs."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from devices.admin.bases import InlineFormSet, ModelAdmin, TabularInline
from devices.admin.forms import LOW_TEXTS, TABLE, Low, Narrow, NarrowDecimal, TellingForm, tell_twins
from devices.models import PLC, Profile, Tag


class TagForm(TellingForm):
    """A tag, as a row of its profile or by itself."""

    class Meta:
        model = Tag
        fields = "__all__"
        widgets = {
            "name": Narrow(17),
            "address": Narrow(4, inputmode="numeric"),
            "bit": Narrow(1, inputmode="numeric"),
            "length": Narrow(2, inputmode="numeric"),
            "scale": NarrowDecimal(3),
            "offset": NarrowDecimal(3),
            "unit": Narrow(4),
            "minimum": NarrowDecimal(5),
            "maximum": NarrowDecimal(5),
            "description": Narrow(80),
            "labels": Low(),
        }


class TagFormSet(InlineFormSet):
    """All tags of a profile."""

    def clean(self) -> None:
        """Two new rows of a name are not in the database yet: only here can they be seen."""
        tell_twins(self, "tag")
        super().clean()


class TagInline(TabularInline):
    """What matters at the wire; description and labels are on the tag's own page."""

    model = Tag
    template = TABLE
    form = TagForm
    formset = TagFormSet
    fields = (
        "name",
        "table",
        "address",
        "data_type",
        "byte_order",
        "bit",
        "length",
        "scale",
        "offset",
        "unit",
        "minimum",
        "maximum",
    )
    extra = 0
    show_change_link = True


@admin.register(Profile)
class ProfileAdmin(ModelAdmin):
    """A machine type with its tags."""

    form = TellingForm
    inlines = [TagInline]
    list_display = ("name", "description")
    search_fields = ("name", "description")
    formfield_overrides = LOW_TEXTS
    fieldsets = (
        (None, {"fields": ("name", "description")}),
        (
            "How its PLCs are read and written",
            {
                "classes": ("collapse",),
                "fields": (
                    ("probe_table", "probe_address"),
                    ("read_registers_limit", "read_bits_limit"),
                    ("write_registers_limit", "write_bits_limit"),
                    "write_functions",
                ),
            },
        ),
    )
    used_by = ("Commands and PLCs", {"fields": ("command_links", "plc_links")})

    def get_fieldsets(self, request: HttpRequest, obj: Profile | None = None) -> Any:  # noqa: ARG002
        """A new profile has neither commands nor PLCs yet."""
        return (self.fieldsets[0], self.used_by, *self.fieldsets[1:]) if obj else self.fieldsets

    def get_readonly_fields(self, request: HttpRequest, obj: Profile | None = None) -> Any:  # noqa: ARG002
        """The links."""
        return self.used_by[1]["fields"] if obj else ()

    @admin.display(description="commands")
    def command_links(self, profile: Profile) -> SafeString:
        """To each command, and to a new one."""
        return _links(profile.commands.all(), "command", add=f"?profile={profile.pk}")

    @admin.display(description="PLCs")
    def plc_links(self, profile: Profile) -> SafeString:
        """To each PLC, and to a new one."""
        return _links(profile.plcs.all(), "plc", add=f"?profile={profile.pk}")


def _links(rows: QuerySet[Any], kind: str, *, add: str) -> SafeString:
    links = [(reverse(f"admin:devices_{kind}_change", args=[row.pk]), str(row)) for row in rows]
    links.append((reverse(f"admin:devices_{kind}_add") + add, "+ add"))
    return format_html_join(" · ", '<a href="{}">{}</a>', links)


@admin.register(Tag)
class TagAdmin(ModelAdmin):
    """One tag with everything about it, and the list to find it in."""

    form = TagForm
    list_display = ("name", "profile", "table", "address", "data_type", "bit", "unit", "description")
    list_filter = ("profile", "table", "data_type")
    search_fields = ("name", "description")
    fieldsets = (
        (None, {"fields": ("profile", "name", "description")}),
        ("Where it sits", {"fields": ("table", "address", "data_type", "byte_order", "bit", "length")}),
        ("What its number means", {"fields": ("scale", "offset", "unit", "minimum", "maximum", "labels")}),
    )

    def get_readonly_fields(self, request: HttpRequest, obj: Tag | None = None) -> Any:  # noqa: ARG002
        """A tag stays with its machine type, as the commands that use it do."""
        return ("profile",) if obj else ()


@admin.register(PLC)
class PLCAdmin(ModelAdmin):
    """The controllers."""

    form = TellingForm
    list_display = ("name", "title", "area", "profile", "endpoint", "is_enabled")
    list_filter = ("is_enabled", "area", "profile")
    list_select_related = ("profile",)
    search_fields = ("name", "title", "area", "host")
    save_as = True
    fieldsets = (
        (None, {"fields": ("name", "title", "area", "profile", "is_enabled")}),
        ("Where it listens", {"fields": ("host", "port", "unit_id")}),
        (
            "How patiently it is talked to",
            {
                "classes": ("collapse",),
                "fields": (
                    ("connect_timeout_s", "response_timeout_s"),
                    ("pause_after_connect_ms", "pause_between_ms"),
                    ("max_connections", "keep_open_s"),
                    ("max_waiting", "turn_timeout_s"),
                ),
            },
        ),
    )

    @admin.display(description="host:port", ordering="host")
    def endpoint(self, plc: PLC) -> str:
        """As a network engineer writes it."""
        return f"[{plc.host}]:{plc.port}" if ":" in plc.host else f"{plc.host}:{plc.port}"

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """A PLC with records stays; a list of a hundred thousand runs would tell nobody why."""
        counts = [(plc, plc.runs.count()) for plc in objs]
        kept = [_why_kept(plc, count) for plc, count in counts if count]
        return ([], {}, set(), kept) if kept else super().get_deleted_objects(objs, request)


def _why_kept(plc: PLC, count: int) -> SafeString:
    runs = reverse("admin:devices_run_changelist") + f"?plc__id__exact={plc.pk}"
    return format_html(
        '<a href="{}">{} of {}</a>. Records are kept: to stop its use, untick “enabled” instead.',
        runs,
        f"{count} run" if count == 1 else f"{count} runs",
        plc.name,
    )
