"""The pages: frames that the browser fills from the WebSocket."""

from typing import Any

from channels.db import database_sync_to_async
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser, User
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from devices.control.rights import may_enter_admin
from devices.live.access import Viewer, viewer_of
from devices.live.language import spoken
from devices.models import PLC


@require_safe
@never_cache
@spoken
async def overview(request: HttpRequest) -> HttpResponse:
    """The viewer's PLCs and their newest runs, or the way to log in."""
    viewer = await viewer_of(await request.auser())
    if not viewer.may_watch:
        return redirect_to_login(request.get_full_path())
    return await _page(request, viewer, "live/overview.html", socket="/ws/live/")


@require_safe
@never_cache
@spoken
async def plc_page(request: HttpRequest, ref: str) -> HttpResponse:
    """One PLC: what it holds, its trends, what it can be told and what it was told."""
    viewer = await viewer_of(await request.auser())
    if not viewer.may_watch:
        return redirect_to_login(request.get_full_path())
    plc = await PLC.objects.filter(name=ref).afirst() or await _numbered(ref)
    if plc is None or not viewer.rights.sees(plc):  # as if there were none
        return await _page(request, viewer, "live/unknown_plc.html", status=404, wanted=ref)
    if plc.name != ref:
        return redirect("plc", plc.name)
    may_ask = viewer.own.sees(plc)
    return await _page(request, viewer, "live/plc.html", plc=plc, socket=f"/ws/plcs/{plc.name}/", may_ask=may_ask)


async def _numbered(ref: str) -> PLC | None:
    return await PLC.objects.filter(pk=int(ref[:18])).afirst() if ref.isdecimal() else None


async def _page(
    request: HttpRequest, viewer: Viewer, template: str, *, status: int = 200, **shown: Any
) -> HttpResponse:
    frame = {
        "viewer": viewer,
        "admin": await _admin_for(request) if viewer.name else {},
        "login_url": redirect_to_login(request.get_full_path()).url,
    }
    return render(request, template, {**frame, **shown}, status=status)


async def _admin_for(request: HttpRequest) -> dict[str, bool]:
    offered: dict[str, bool] = await database_sync_to_async(_offered)(await request.auser())
    return offered


def _offered(user: AbstractBaseUser | AnonymousUser) -> dict[str, bool]:
    """Where in the admin a link leads him: a page that refuses him is none."""
    enters = may_enter_admin(user)
    return {
        "enters": enters,
        "runs": enters and isinstance(user, User) and user.has_perm("devices.view_run"),
        "profiles": enters and isinstance(user, User) and user.has_perm("devices.view_profile"),
    }
