"""Who has locked which machine out for maintenance: to look at; it is done on the PLC's page, or over the API."""

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from devices.admin.bases import LookOnly
from devices.admin.permissions import SeenPLCs, doer
from devices.control.lock_outs import LockOutSpec
from devices.models import LockOut


@admin.register(LockOut)
class LockOutAdmin(LookOnly):
    """Those that hold, and those that are over."""

    list_display = ("plc", "holds", "by", "reason", "since", "until", "lifted_at", "lifted_by")
    list_filter = (("plc", SeenPLCs), "since")
    list_select_related = ("plc",)
    search_fields = ("plc__name", "by", "reason", "lifted_by")

    def has_view_permission(self, request: HttpRequest, obj: LockOut | None = None) -> bool:
        """Of lock-outs, and of the PLC."""
        may_view = super().has_view_permission(request, obj)
        return may_view and (obj is None or doer(request).rights.sees(obj.plc))

    def get_queryset(self, request: HttpRequest) -> QuerySet[LockOut]:
        """Those of PLCs that exist for this person."""
        lock_outs: QuerySet[LockOut] = super().get_queryset(request)
        return lock_outs if doer(request).rights.sees_all else lock_outs.filter(plc__in=doer(request).seen())

    @admin.display(boolean=True)
    def holds(self, lock_out: LockOut) -> bool:
        """Whether commands are refused because of it now."""
        return lock_out.lifted_at is None and LockOutSpec.of(lock_out).holds(timezone.now())
