"""What a person may do with single machines, beside what Django lets him do with their kind: see control/rights.py."""

from dataclasses import dataclass
from typing import Any, ClassVar

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from devices.admin.bases import ModelAdmin, TabularInline
from devices.admin.forms import TellingForm
from devices.control.rights import Rights, rights_of_user
from devices.control.sight import seen_plcs
from devices.models import PLC, Profile, Right

OTHERS_MACHINES = (
    "The profile {profile} describes PLCs that you do not administer, too: what is changed here changes them. Who "
    "administers all of them can change it."
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Site:
    """A place for a PLC that is not there yet."""

    area: str
    id: int = 0
    name: str = ""


class Doer:
    """A person at one request, with what he may do."""

    def __init__(self, rights: Rights) -> None:
        self.rights = rights
        self._administered: dict[int, bool] = {}
        self._foreign: frozenset[int] | None = None

    def seen(self) -> QuerySet[PLC]:
        """The PLCs that exist for him."""
        seen = seen_plcs(self.rights)
        return PLC.objects.all() if seen is None else PLC.objects.filter(pk__in=seen)

    def administers(self, plc: PLC) -> bool:
        """Where it is stored to stand: a form that was refused has left in the row what was typed."""
        if plc.pk not in self._administered:
            stored = PLC.objects.filter(pk=plc.pk).only("id", "name", "area").first()
            self._administered[plc.pk] = stored is not None and self.rights.may(Right.ADMINISTER, stored)
        return self._administered[plc.pk]

    def may_place(self, area: str) -> bool:
        """Whether he administers all PLCs of this area, also those that are to come."""
        return self.rights.may(Right.ADMINISTER, Site(area=area))

    def places(self) -> str:
        """Where he may add PLCs, in words."""
        areas = sorted({grant.area for grant in self.rights.grants if grant.right is Right.ADMINISTER and grant.area})
        return " and ".join(areas) or "no area"

    def may_add_plcs(self) -> bool:
        """Whether there is an area, or all of them, in which he may."""
        areas = {grant.area for grant in self.rights.grants if grant.plc_id is None}
        return self.rights.has_all or any(self.may_place(area) for area in areas)

    def may_keep(self, profile_id: int | None) -> bool:
        """Whether he may change a machine type: he administers all its PLCs, or something if it has none."""
        if self._foreign is None:
            plcs = PLC.objects.only("id", "name", "area", "profile_id")
            foreign = {plc.profile_id for plc in plcs if not self.rights.may(Right.ADMINISTER, plc)}
            self._foreign = frozenset(foreign)
        return profile_id not in self._foreign and self.rights.may_somewhere(Right.ADMINISTER)


def doer(request: HttpRequest) -> Doer:
    """Who asks; looked up once a request."""
    if not hasattr(request, "doer"):
        request.doer = Doer(rights_of_user(request.user))  # type: ignore[attr-defined]
    known: Doer = request.doer  # type: ignore[attr-defined]
    return known


class SeenPLCs(admin.RelatedFieldListFilter):
    """A choice of the PLCs that exist for this person."""

    def field_choices(self, field: Any, request: HttpRequest, model_admin: Any) -> Any:
        """By name."""
        return field.get_choices(
            include_blank=False,
            ordering=self.field_admin_ordering(field, request, model_admin),
            limit_choices_to={"pk__in": doer(request).seen()},
        )


class MachinePages(ModelAdmin):
    """Pages of PLCs: each person finds those that he may see, and changes those that he administers."""

    def get_queryset(self, request: HttpRequest) -> QuerySet[PLC]:
        """Those that exist for him."""
        return super().get_queryset(request) & doer(request).seen()

    def has_add_permission(self, request: HttpRequest) -> bool:
        """In an area, or in all."""
        return super().has_add_permission(request) and doer(request).may_add_plcs()

    def has_view_permission(self, request: HttpRequest, obj: PLC | None = None) -> bool:
        """Of the kind, and of this one."""
        return super().has_view_permission(request, obj) and (obj is None or doer(request).rights.sees(obj))

    def has_change_permission(self, request: HttpRequest, obj: PLC | None = None) -> bool:
        """Of the kind, and of this one."""
        return super().has_change_permission(request, obj) and _administers(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: PLC | None = None) -> bool:
        """Of the kind, and of this one."""
        return super().has_delete_permission(request, obj) and _administers(request, obj)

    def get_form(self, request: HttpRequest, obj: PLC | None = None, change: bool = False, **kwargs: Any) -> Any:
        """The form checks where the PLC stands."""
        form: Any = super().get_form(request, obj, change, **kwargs)
        form.doer = doer(request)  # a class of this request alone: Django makes it anew each time
        return form

    def render_change_form(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """Say why there is nothing to save."""
        plc = kwargs.get("obj")
        if plc is not None and self.has_change_permission(request) and not self.has_change_permission(request, plc):
            messages.info(request, f"You may look at {plc}, and do not administer it.")
        return super().render_change_form(request, *args, **kwargs)


def _administers(request: HttpRequest, plc: PLC | None) -> bool:
    return plc is None or doer(request).administers(plc)


class PlacedForm(TellingForm):
    """A PLC goes only where its engineer administers what stands there."""

    doer: ClassVar[Doer]

    def clean(self) -> dict[str, Any] | None:
        """A change of the area would give it to those who work there, and take it from those who did."""
        area = self.cleaned_data.get("area")
        is_placed = self.instance.pk is None or "area" in self.changed_data
        if area is not None and is_placed and not self.doer.may_place(area):
            place = f"the area {area}" if area else "no area"
            self.add_error("area", f"You do not administer PLCs of {place}. Yours: {self.doer.places()}.")
        return super().clean()


class SharedPages(ModelAdmin):
    """Pages of what PLCs share: a machine type, its tags, its commands. All may look; who keeps the type may change."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Who administers something; for which machine type, the form checks."""
        return super().has_add_permission(request) and doer(request).may_keep(None)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Of the kind, and of this one."""
        return super().has_change_permission(request, obj) and _keeps(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Of the kind, and of this one."""
        return super().has_delete_permission(request, obj) and _keeps(request, obj)

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        """The form checks for which machine type the row is."""
        form: Any = super().get_form(request, obj, change, **kwargs)
        form.doer = doer(request)
        return form

    def render_change_form(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """Say why there is nothing to save."""
        row = kwargs.get("obj")
        if row is not None and self.has_change_permission(request) and not self.has_change_permission(request, row):
            messages.info(request, OTHERS_MACHINES.format(profile=_profile(row)))
        return super().render_change_form(request, *args, **kwargs)


class SharedRows(TabularInline):
    """Rows on such a page."""

    def has_add_permission(self, request: HttpRequest, obj: Any) -> bool:  # type: ignore[override]
        """As the page."""
        return super().has_add_permission(request, obj) and _keeps(request, obj)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """As the page."""
        return super().has_change_permission(request, obj) and _keeps(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """As the page."""
        return super().has_delete_permission(request, obj) and _keeps(request, obj)


def _keeps(request: HttpRequest, row: Any) -> bool:
    return row is None or doer(request).may_keep(_profile(row).pk)


def _profile(row: Any) -> Profile:
    profile: Profile = row if isinstance(row, Profile) else row.profile
    return profile


class SharedForm(TellingForm):
    """A tag or command is added to a machine type that its engineer keeps."""

    doer: ClassVar[Doer | None] = None
    """None as a row of a page, which was checked as a whole."""

    def clean(self) -> dict[str, Any] | None:
        """Of a machine type that was chosen here."""
        profile = self.cleaned_data.get("profile")
        if self.doer is not None and isinstance(profile, Profile) and not self.doer.may_keep(profile.pk):
            self.add_error("profile", OTHERS_MACHINES.format(profile=profile))
        return super().clean()


class SharedLineForm(SharedForm):
    """A line of a list that can be edited in place: those of other machine types are shown and stay as they are."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._shut = tuple(self.fields) if self.doer and not self.doer.may_keep(self.instance.profile_id) else ()
        for name in self._shut:
            self.fields[name].disabled = True

    def clean(self) -> dict[str, Any] | None:
        """A browser sends nothing of what is shut; a page that was opened before it was shut does."""
        if sent := [name for name in self._shut if self.add_prefix(name) in self.data]:
            self.add_error(sent[0], OTHERS_MACHINES.format(profile=self.instance.profile))
        return super().clean()
