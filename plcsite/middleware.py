"""Django's middleware on the event loop: a hook hops to a thread only where it may touch the database or a file.

Stock middleware wraps each of its hooks in a thread hop, 15 for a request that needs none. What the hooks decide
stays Django's; only the place where they run is ours.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from asgiref.sync import sync_to_async
from axes.helpers import get_lockout_response
from django.conf import settings
from django.contrib.auth import middleware as auth
from django.contrib.messages import middleware as messages
from django.contrib.sessions import middleware as sessions
from django.contrib.sessions.exceptions import SessionInterrupted
from django.core.handlers.exception import response_for_exception
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase, ResponseHeaders
from django.middleware import common, csrf, security
from django.utils.deprecation import MiddlewareMixin

from devices.api import problems
from devices.api.rated import KEY_IN_META
from devices.control.errors import HTTPSRequired

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})  # RFC 9110 section 9.2.1
PROBLEM = "application/problem+json"
API = "/api/"
PRIVATE = (API, "/admin/")
TO_BROWSERS = ResponseHeaders(settings.SECURITY_HEADERS)
KEPT_BY_NOBODY = ResponseHeaders({**settings.SECURITY_HEADERS, "Cache-Control": "no-store"})


class OnTheLoop(MiddlewareMixin):
    """Mix in before a stock middleware: its hooks run where they are called, unless one `needs_a_thread`.

    Those that follow each other are gone through in one coroutine: one for each of them, and Django's own between
    them, cost more than what the hooks do.
    """

    is_for_browsers = False
    """A program that shows its key has no session, and passes it by."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        super().__init__(get_response)
        # Django stands between two with a function that makes a response of an exception; so do we.
        following = getattr(get_response, "__wrapped__", None)
        self.layers: tuple[OnTheLoop, ...] = (self,)
        self.inner: Any = get_response  # in async mode it answers an awaitable
        if isinstance(following, OnTheLoop):
            self.layers, self.inner = (self, *following.layers), following.inner
        self.layers_for_programs = tuple(layer for layer in self.layers if not layer.is_for_browsers)
        self._before: Callable[[HttpRequest], HttpResponseBase | None] = getattr(self, "process_request", _nothing)
        self._after: Callable[[HttpRequest, HttpResponseBase], HttpResponseBase] = getattr(
            self, "process_response", _unchanged
        )

    def needs_a_thread(self, request: HttpRequest) -> bool:  # noqa: ARG002
        """Whether process_response will read or write the database for this request."""
        return False

    async def __acall__(self, request: HttpRequest) -> HttpResponseBase:
        passed: list[OnTheLoop] = []
        response: HttpResponseBase | None = None
        for layer in self.layers_for_programs if _is_of_a_program(request) else self.layers:
            try:
                response = layer._before(request)  # noqa: SLF001 - of our own class
                passed.append(layer)
            except Exception as error:
                response = await _told(request, error)
            if response is not None:
                break
        else:
            response = await self.inner(request)
        for layer in reversed(passed):
            try:
                if layer.needs_a_thread(request):
                    response = await sync_to_async(layer._after)(request, response)  # noqa: SLF001
                else:
                    response = layer._after(request, response)  # noqa: SLF001
            except Exception as error:
                response = await _told(request, error)
        return response


_told = sync_to_async(response_for_exception, thread_sensitive=False)


def _is_of_a_program(request: HttpRequest) -> bool:
    return KEY_IN_META in request.META and request.path_info.startswith(API)


def _nothing(request: HttpRequest) -> None:  # noqa: ARG001
    return None


def _unchanged(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:  # noqa: ARG001
    return response


class HeadersMiddleware(OnTheLoop):
    """What every answer tells a browser to refuse, and that none keeps what the API or the admin said."""

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        """Add what a view did not say by itself."""
        # Django would look up, encode and check each of them for each answer: these were checked once.
        said = KEPT_BY_NOBODY if request.path_info.startswith(PRIVATE) else TO_BROWSERS
        response.headers._store = {**said._store, **response.headers._store}  # noqa: SLF001
        return response


class SecurityMiddleware(OnTheLoop, security.SecurityMiddleware):
    """HSTS, and the redirect to HTTPS; a program is told, since many would repeat a PUT or a POST as a GET."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        super().__init__(get_response)
        # Its other headers are among the SECURITY_HEADERS, which go to every answer.
        self.content_type_nosniff = False
        self.referrer_policy = self.cross_origin_opener_policy = None

    def process_request(self, request: HttpRequest) -> HttpResponse | None:  # type: ignore[override]
        """The redirect; for the API a problem."""
        redirect = super().process_request(request)
        if redirect is None or not request.path_info.startswith(API):
            return redirect
        if "text/html" in request.headers.get("Accept", ""):
            return redirect
        return problems.of_refusal(HTTPSRequired("call the gateway at its https:// address"), request)


class CommonMiddleware(OnTheLoop, common.CommonMiddleware):
    """Allowed hosts, the missing slash, Content-Length."""


class AuthenticationMiddleware(OnTheLoop, auth.AuthenticationMiddleware):
    """`request.auser()`; `request.user` stays lazy and is for sync views only."""

    is_for_browsers = True


class SessionMiddleware(OnTheLoop, sessions.SessionMiddleware):
    """A thread only for a session that has to be stored: it was changed, or was in use for another minute."""

    is_for_browsers = True

    def needs_a_thread(self, request: HttpRequest) -> bool:
        return request.session.modified or getattr(request.session, "is_due", False)

    def process_response(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        """Store it, where somebody did not end it meanwhile."""
        if request.session.modified or not getattr(request.session, "is_due", False):
            return super().process_response(request, response)
        request.session.modified = True
        with suppress(SessionInterrupted):  # logged out in another window: what was asked for was done all the same
            return super().process_response(request, response)
        return response


class MessageMiddleware(OnTheLoop, messages.MessageMiddleware):
    """A thread only where messages were read or added: they may lie in the session. A program reads none."""

    is_for_browsers = True

    def process_request(self, request: HttpRequest) -> None:
        """Open the box, for pages."""
        if not request.path_info.startswith(API):
            super().process_request(request)

    def needs_a_thread(self, request: HttpRequest) -> bool:
        box = getattr(request, "_messages", None)
        return box is not None and (box.used or box.added_new)


class CsrfViewMiddleware(OnTheLoop, csrf.CsrfViewMiddleware):
    """A thread only for a form: its body is parsed for the token, and a refusal renders a page."""

    is_for_browsers = True

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        super().__init__(get_response)
        if self.async_mode:
            self.process_view = self._aprocess_view  # type: ignore[method-assign,assignment]

    async def _aprocess_view(self, request: HttpRequest, view: Any, args: Any, kwargs: Any) -> HttpResponse | None:
        is_form = request.method not in SAFE_METHODS and not getattr(view, "csrf_exempt", False)
        check = super().process_view
        return (
            await sync_to_async(check)(request, view, args, kwargs) if is_form else check(request, view, args, kwargs)
        )


class LoginLimitMiddleware(OnTheLoop):
    """After too many wrong passwords a page says so. (axes's own middleware hands its callable the wrong arguments.)"""

    is_for_browsers = True

    def needs_a_thread(self, request: HttpRequest) -> bool:
        return getattr(request, "axes_locked_out", False)

    def process_response(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        """In place of the login form."""
        if not self.needs_a_thread(request):
            return response
        credentials = getattr(request, "axes_credentials", None)
        told: HttpResponse = get_lockout_response(request, response, credentials)
        return told


class ProblemMiddleware(OnTheLoop):
    """A wrong method is told as a problem, wherever the view lives; Django's own answer is an empty page."""

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        """Replace a bare 405, keeping the methods that are allowed."""
        if response.status_code != 405 or response.get("Content-Type", "").startswith(PROBLEM):
            return response
        allowed = response.get("Allow", "")
        answer: HttpResponse = problems.problem(
            405, "Method not allowed", f"{request.method} is not possible here: use {allowed}."
        )
        answer["Allow"] = allowed
        return answer
