"""The live page: an empty frame that the browser fills from the WebSocket."""

from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from devices.live.access import may_watch

CONTENT_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
"""What a PLC or a user writes can do nothing on the page, even if it got there as markup."""


@require_safe
@never_cache
async def live(request: HttpRequest) -> HttpResponse:
    """The page, or the way to log in."""
    if not settings.LIVE_PUBLIC and not may_watch(await request.auser()):
        return redirect_to_login(request.get_full_path())
    page = render(request, "live/live.html", {"login_url": redirect_to_login(request.path).url})
    page.headers["Content-Security-Policy"] = CONTENT_POLICY
    return page
