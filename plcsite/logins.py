"""How many wrong passwords a person, and an address, may try; django-axes counts them in the database."""

import math
from datetime import datetime
from typing import Any

from axes.handlers.database import AxesDatabaseHandler
from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone

from devices.live.language import speaking, told

Credentials = dict[str, Any] | None

NAMES_OF_AN_ADDRESS = 5
"""So many times what one name may fail, all names from an address may: a control room has one address."""


class Handler(AxesDatabaseHandler):  # type: ignore[misc]  # axes has no types
    """Counts a failure of some name from an address as a part of one."""

    def get_failures(self, request: HttpRequest, credentials: Credentials = None) -> int:
        """How near the limit this name at this address is, or the address, whichever is nearer."""
        name, address = (_failures(attempts) for attempts in self.get_user_attempts(request, credentials))
        return max(name, address // NAMES_OF_AN_ADDRESS)

    def reset_user_attempts(self, request: HttpRequest, credentials: Credentials = None) -> int:
        """Forget this name's failures at this address; by one's own login nobody gets new guesses at other names."""
        name, _address = self.get_user_attempts(request, credentials)
        count, _ = name.delete()
        return int(count)

    def is_address_full(self, request: HttpRequest, credentials: Credentials) -> bool:
        """Whether no name can log in from there; else it is the one name."""
        _name, address = self.get_user_attempts(request, credentials)
        return _failures(address) >= NAMES_OF_AN_ADDRESS * int(settings.AXES_FAILURE_LIMIT)

    def open_at(self, request: HttpRequest, credentials: Credentials) -> datetime:
        """When so many failures are forgotten that the next try is looked at."""
        name, address = self.get_user_attempts(request, credentials)
        counted = address if self.is_address_full(request, credentials) else name
        newest = counted.order_by("-attempt_time").values_list("attempt_time", flat=True).first()
        return (newest or timezone.now()) + settings.AXES_COOLOFF_TIME


def _failures(attempts: Any) -> int:
    return sum(attempts.values_list("failures_since_start", flat=True))


def locked_out(request: HttpRequest, _response: HttpResponse, credentials: Credentials) -> HttpResponse:
    """The page that says so (AXES_LOCKOUT_CALLABLE), and leads on to where one wanted."""
    handler = Handler()
    rest = handler.open_at(request, credentials) - timezone.now()
    wait_s = max(1, math.ceil(rest.total_seconds()))
    shown = {
        "minutes": math.ceil(wait_s / 60),
        "is_address": handler.is_address_full(request, credentials),
        "login_url": _login_url(request),
    }
    with speaking(request) as language:
        page = told(render(request, "live/locked_out.html", shown, status=429), language)
    page.headers["Retry-After"] = str(wait_s)
    return page


def _login_url(request: HttpRequest) -> str:
    wanted = request.POST.get("next") or request.GET.get("next")
    return redirect_to_login(wanted).url if wanted else reverse("admin:login")
