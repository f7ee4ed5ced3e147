"""Pages that use, or do not use, what the middleware offers."""

from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from django.urls import include, path
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET

from devices.api import api
from devices.live.urls import urlpatterns as live


@csrf_exempt
async def trivial(_request: HttpRequest) -> HttpResponse:
    """What an API request needs of middleware: nothing."""
    return HttpResponse("ok")


async def count(request: HttpRequest) -> HttpResponse:
    """Count the visits of a session."""
    seen = await request.session.aget("seen", 0) + 1
    await request.session.aset("seen", seen)
    return HttpResponse(str(seen))


async def tell(request: HttpRequest) -> HttpResponse:
    """Leave a message for the next page."""
    messages.info(request, request.GET["text"])
    return HttpResponse("told")


def read(request: HttpRequest) -> HttpResponse:
    """Show the messages that wait."""
    return HttpResponse(", ".join(str(message) for message in messages.get_messages(request)))


async def whoami(request: HttpRequest) -> HttpResponse:
    """The user of the session."""
    return HttpResponse((await request.auser()).get_username())


@csrf_exempt
async def seen(request: HttpRequest) -> HttpResponse:
    """Whether the middleware for browsers was met."""
    return HttpResponse(", ".join(name for name in ("session", "auser") if hasattr(request, name)))


async def gone(_request: HttpRequest) -> HttpResponse:
    """Nothing, and says no more than that."""
    return HttpResponse(status=410)


@require_GET
async def only_get(_request: HttpRequest) -> HttpResponse:
    """Refuses other methods."""
    return HttpResponse("ok")


async def form(_request: HttpRequest) -> HttpResponse:
    """Takes forms with a token."""
    return HttpResponse("taken")


async def bug(_request: HttpRequest) -> HttpResponse:
    """A mistake of ours."""
    raise ZeroDivisionError("secret of the inside")


urlpatterns = [
    path("seen", seen),
    path("api/seen", seen),
    path("trivial", trivial),
    path("count", count),
    path("tell", tell),
    path("read", read),
    path("whoami", whoami),
    path("only-get", csrf_exempt(only_get)),
    path("gone", gone),
    path("form", form),
    path("bug", bug),
    path("admin/", admin.site.urls),
    path("api/", api.urls),
    path("", include(live)),  # the login page is one of them
]
handler404 = "devices.api.problems.not_found"
handler500 = "devices.api.problems.server_error"
