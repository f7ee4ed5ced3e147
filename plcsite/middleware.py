"""Django's middleware on the event loop: a hook hops to a thread only where it may touch the database or a file.

Stock middleware wraps each of its hooks in a thread hop, 15 for a request that needs none. What the hooks decide
stays Django's; only the place where they run is ours.
"""

from collections.abc import Callable
from typing import Any

from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib.auth import middleware as auth
from django.contrib.messages import middleware as messages
from django.contrib.sessions import middleware as sessions
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.middleware import clickjacking, common, csrf, security
from django.utils.deprecation import MiddlewareMixin

from devices.api import problems

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})  # RFC 9110 section 9.2.1
PROBLEM = "application/problem+json"


class OnTheLoop(MiddlewareMixin):
    """Mix in before a stock middleware: its hooks run where they are called, unless one `needs_a_thread`."""

    def needs_a_thread(self, request: HttpRequest) -> bool:  # noqa: ARG002
        """Whether process_response will read or write the database for this request."""
        return False

    async def __acall__(self, request: HttpRequest) -> HttpResponseBase:
        before: Callable[[HttpRequest], HttpResponseBase | None] = getattr(self, "process_request", _nothing)
        after: Callable[[HttpRequest, HttpResponseBase], HttpResponseBase] = getattr(
            self, "process_response", _unchanged
        )
        inner: Any = self.get_response  # in async mode it answers an awaitable
        response = before(request) or await inner(request)
        if self.needs_a_thread(request):
            return await sync_to_async(after)(request, response)
        return after(request, response)


def _nothing(request: HttpRequest) -> None:  # noqa: ARG001
    return None


def _unchanged(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:  # noqa: ARG001
    return response


class SecurityMiddleware(OnTheLoop, security.SecurityMiddleware):
    """Headers and the redirect to HTTPS."""


class CommonMiddleware(OnTheLoop, common.CommonMiddleware):
    """Allowed hosts, the missing slash, Content-Length."""


class XFrameOptionsMiddleware(OnTheLoop, clickjacking.XFrameOptionsMiddleware):
    """No page of ours inside another's frame."""


class AuthenticationMiddleware(OnTheLoop, auth.AuthenticationMiddleware):
    """`request.auser()`; `request.user` stays lazy and is for sync views only."""


class SessionMiddleware(OnTheLoop, sessions.SessionMiddleware):
    """A thread only for a session that has to be stored."""

    def needs_a_thread(self, request: HttpRequest) -> bool:
        return request.session.modified or settings.SESSION_SAVE_EVERY_REQUEST


class MessageMiddleware(OnTheLoop, messages.MessageMiddleware):
    """A thread only where messages were read or added: they may lie in the session."""

    def needs_a_thread(self, request: HttpRequest) -> bool:
        box = getattr(request, "_messages", None)
        return box is not None and (box.used or box.added_new)


class CsrfViewMiddleware(OnTheLoop, csrf.CsrfViewMiddleware):
    """A thread only for a form: its body is parsed for the token, and a refusal renders a page."""

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
