"""Machine types with their tags, and the PLCs."""

from copy import copy
from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from devices.admin.bases import InlineFormSet
from devices.admin.command_forms import place_of
from devices.admin.forms import (
    LOW_TEXTS,
    TABLE,
    Low,
    Narrow,
    NarrowDecimal,
    TellingForm,
    plain_choice,
    tell_twins,
)
from devices.admin.permissions import (
    MachinePages,
    SharedForm,
    SharedLineForm,
    SharedPages,
    SharedRows,
    doer,
)
from devices.admin.plc_form import HEARTBEATS, PLCForm, looks
from devices.models import PLC, Grant, LockOut, Profile, Tag


class TagForm(SharedForm):
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
            "poll_interval_ms": Narrow(5, inputmode="numeric"),
            "dead_band": Narrow(5, inputmode="decimal"),
            "record_every_s": Narrow(5, inputmode="numeric"),
            "description": Narrow(80),
            "labels": Low(),
        }


class TagLineForm(SharedLineForm, TagForm):
    """A tag, as a line of the list."""

    class Meta(TagForm.Meta):
        pass


class TagFormSet(InlineFormSet):
    """All tags of a profile."""

    def clean(self) -> None:
        """Two new rows of a name are not in the database yet: only here can they be seen."""
        tell_twins(self, "tag")
        super().clean()


class TagInline(SharedRows):
    """What matters at the wire; how a tag is watched is in the list of tags, the rest on the tag's own page."""

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
class ProfileAdmin(SharedPages):
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
                    ("write_functions", "read_gap_limit"),
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

    def get_object(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """With the PLCs that its reader may see, and what he may add."""
        profile = super().get_object(request, *args, **kwargs)
        if profile is not None:
            profile.shown_plcs = doer(request).seen().filter(profile=profile)
            may_add = {"command": doer(request).may_keep(profile.pk), "plc": doer(request).may_add_plcs()}
            profile.adds = [
                kind for kind, may in may_add.items() if may and request.user.has_perm(f"devices.add_{kind}")
            ]
        return profile

    @admin.display(description="commands")
    def command_links(self, profile: Any) -> SafeString:
        """To each command, and to a new one."""
        return _links(profile.commands.all(), "command", profile)

    @admin.display(description="PLCs")
    def plc_links(self, profile: Any) -> SafeString:
        """To each PLC, and to a new one."""
        return _links(profile.shown_plcs, "plc", profile)


def _links(rows: QuerySet[Any], kind: str, profile: Any) -> SafeString:
    links = [(reverse(f"admin:devices_{kind}_change", args=[row.pk]), str(row)) for row in rows]
    if kind in profile.adds:
        links.append((reverse(f"admin:devices_{kind}_add") + f"?profile={profile.pk}", "+ add"))
    return format_html_join(" · ", '<a href="{}">{}</a>', links) or SafeString("-")


@admin.register(Tag)
class TagAdmin(SharedPages):
    """One tag with everything about it, and the list to find it in."""

    form = TagForm
    list_display = ("name", "profile", "place", "data_type", "unit", "poll_interval_ms", "dead_band", "is_recorded")
    list_editable = ("poll_interval_ms", "dead_band", "is_recorded")
    list_filter = ("profile", "table", "data_type", "is_recorded")
    search_fields = ("name", "description")
    fieldsets = (
        (None, {"fields": ("profile", "name", "description")}),
        ("Where it sits", {"fields": ("table", "address", "data_type", "byte_order", "bit", "length")}),
        ("What its number means", {"fields": ("scale", "offset", "unit", "minimum", "maximum", "labels")}),
        ("How it is watched", {"fields": ("poll_interval_ms", "dead_band", "is_recorded", "record_every_s")}),
    )

    @admin.display(description="place", ordering="address")
    def place(self, tag: Tag) -> str:
        """Table, address and bit in one: the list is for watching, and that needs the room."""
        return place_of(tag)

    def get_changelist_form(self, request: HttpRequest, **kwargs: Any) -> Any:
        """How many tags are watched is set in the list; what is wrong elsewhere in a tag is told there too."""
        form: Any = super().get_changelist_form(request, form=TagLineForm, **kwargs)
        form.doer = doer(request)
        return form

    def get_readonly_fields(self, request: HttpRequest, obj: Tag | None = None) -> Any:  # noqa: ARG002
        """A tag stays with its machine type, as the commands that use it do."""
        return ("profile",) if obj else ()


@admin.register(PLC)
class PLCAdmin(MachinePages):
    """The controllers."""

    form = PLCForm
    list_display = ("name", "title", "area", "profile", "endpoint", "is_enabled")
    list_filter = ("is_enabled", "area", "profile")
    list_select_related = ("profile",)
    search_fields = ("name", "title", "area", "host")
    save_as = True
    fieldsets = (
        (None, {"fields": ("name", "title", "area", "profile", "is_enabled")}),
        ("Where it listens", {"fields": ("host", "port", "unit_id")}),
        (
            "Modbus/TCP Security",
            {
                "classes": ("collapse",),
                "description": "TLS with certificates on both sides. Whoever runs the gateway puts the files of an "
                "identity into a folder of that name; docs/security.md says which.",
                "fields": ("uses_tls", ("tls_identity", "tls_server_name")),
            },
        ),
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
        (
            "Heartbeat",
            {
                "classes": ("collapse",),
                "description": "Tags of the PLC's profile. Those of a new PLC can be chosen here once it is saved.",
                "fields": (("heartbeat_tag", "heartbeat_interval_ms"), ("watched_tag", "watched_limit_s")),
            },
        ),
    )

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Beside a heartbeat no icons: a tag made there would not yet belong to the profile."""
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        return plain_choice(field) if db_field.name in HEARTBEATS else field

    def get_form(self, request: HttpRequest, obj: PLC | None = None, change: bool = False, **kwargs: Any) -> Any:
        """The form looks at hosts and folders once a request."""
        form: Any = super().get_form(request, obj, change, **kwargs)
        form.looks = looks(request)
        return form

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Name servers and folders are looked at before the transaction: on SQLite each command would wait for it."""
        if request.method == "POST":
            self._look_ahead(request, object_id)
        return super().changeform_view(request, object_id, form_url, extra_context)

    def _look_ahead(self, request: HttpRequest, object_id: str | None) -> None:
        looks(request)
        # A copy: who may do what is looked up anew when it is saved.
        ahead = copy(request)
        if object_id is None or "_saveasnew" in request.POST:
            plc, may_save = None, self.has_add_permission(ahead)
        else:
            plc = self.get_object(ahead, unquote(object_id))
            may_save = plc is not None and self.has_change_permission(ahead, plc)
        if may_save:
            self.get_form(ahead, plc, change=plc is not None)(request.POST, instance=plc).is_valid()

    @admin.display(description="host:port", ordering="host")
    def endpoint(self, plc: PLC) -> str:
        """As a network engineer writes it."""
        return f"[{plc.host}]:{plc.port}" if ":" in plc.host else f"{plc.host}:{plc.port}"

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """A PLC with records stays; a list of a hundred thousand runs would tell nobody why."""
        counts = [(plc, plc.runs.count()) for plc in objs]
        kept = [_why_kept(plc, count) for plc, count in counts if count]
        if kept:
            return [], {}, set(), kept
        shown, sums, lacking, protected = super().get_deleted_objects(objs, request)
        # What holds on this PLC alone goes with it: to let it go is not to grant, and not to unlock.
        own = {kind._meta.verbose_name for kind in (Grant, LockOut)}  # noqa: SLF001 - Django's documented name
        return shown, sums, lacking - own, protected


def _why_kept(plc: PLC, count: int) -> SafeString:
    runs = reverse("admin:devices_run_changelist") + f"?plc__id__exact={plc.pk}"
    return format_html(
        '<a href="{}">{} of {}</a>. Records are kept: to stop its use, untick “enabled” instead.',
        runs,
        f"{count} run" if count == 1 else f"{count} runs",
        plc.name,
    )
