"""How an auditor narrows the audit: by who, by kind, by days."""

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from typing import Any

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.dateparse import parse_date

from devices.models import AuditEntry

RECENT = 5000  # entries whose actors and kinds can be chosen; others are found by the search


class RecentFilter(admin.SimpleListFilter):
    """The values of a field among the newest entries: to look through all of them would take too long."""

    parameter_name: str

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:  # noqa: ARG002
        """Those that are there."""
        newest = AuditEntry.objects.order_by("-id").values_list(self.parameter_name, flat=True)[:RECENT]
        return [(value, value) for value in sorted(set(newest)) if value]

    def queryset(self, request: HttpRequest, queryset: QuerySet[AuditEntry]) -> QuerySet[AuditEntry]:  # noqa: ARG002
        """Also of one that is only in the address."""
        value = self.value()
        return queryset if value is None else queryset.filter(**{self.parameter_name: value})


class ActorFilter(RecentFilter):
    """Who."""

    title = "who"
    parameter_name = "actor"


class KindFilter(RecentFilter):
    """Of what kind of thing."""

    title = "kind"
    parameter_name = "kind"


class DaysFilter(admin.ListFilter):
    """From one day to another, both included, in the time zone of the admin."""

    title = "day"
    template = "admin/devices/auditentry/days.html"
    names = ("since", "until")

    def __init__(self, request: HttpRequest, params: dict[str, Any], model: Any, model_admin: Any) -> None:
        super().__init__(request, params, model, model_admin)
        for name in self.names:
            if name in params:
                self.used_parameters[name] = params.pop(name)[-1]

    def has_output(self) -> bool:
        """Always."""
        return True

    def expected_parameters(self) -> list[str | None]:
        """Both days."""
        return list(self.names)

    def choices(self, changelist: Any) -> Iterator[dict[str, Any]]:
        """What its form holds: the days, and what else the list is narrowed by."""
        others = {name: value for name, value in changelist.params.items() if name not in (*self.names, "p")}
        yield {**{name: self.used_parameters.get(name, "") for name in self.names}, "others": others}

    def queryset(self, request: HttpRequest, queryset: QuerySet[AuditEntry]) -> QuerySet[AuditEntry]:  # noqa: ARG002
        """IncorrectLookupParameters where a day is none: Django shows the whole list then, and says so."""
        since, until = (self._day(name) for name in self.names)
        if since is not None:
            queryset = queryset.filter(at__gte=_midnight(since))
        if until is not None:
            queryset = queryset.filter(at__lt=_midnight(until + timedelta(days=1)))
        return queryset

    def _day(self, name: str) -> date | None:
        text = self.used_parameters.get(name)
        if not text:
            return None
        try:
            day = parse_date(str(text))
        except ValueError as error:
            raise IncorrectLookupParameters(error) from error
        if day is None or not date(2000, 1, 1) <= day <= date(9000, 1, 1):
            raise IncorrectLookupParameters(f"{text} is no day")
        return day


def _midnight(day: date) -> datetime:
    return timezone.make_aware(datetime.combine(day, time.min))
