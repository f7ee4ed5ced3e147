"""Who calls: a machine with its API key, or a person with a session and its CSRF token; and what he may do."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import wraps
from inspect import iscoroutinefunction
from typing import Any, cast

from asgiref.sync import sync_to_async
from channels.db import database_sync_to_async
from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import CsrfViewMiddleware
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe
from ninja.errors import AuthenticationError, HttpError
from ninja.security import APIKeyCookie, APIKeyHeader

from devices.api.handlers import answer_to
from devices.api.keys import Keys
from devices.api.rated import KEY_HEADER, Rated, shown_key
from devices.control.actors import source_of
from devices.control.callers import Caller
from devices.control.rights import rights_of_user
from devices.control.verdicts import RIGHT

WHO_ARE_YOU = "Show a valid API key in the X-API-Key header, or log in."


class ApiKey(Rated, APIKeyHeader):
    """A machine's key. A wrong one ends the search: it does not fall back on a session."""

    param_name = KEY_HEADER

    def __init__(self) -> None:
        super().__init__()
        self._keys = Keys()

    def __str__(self) -> str:
        return "api-key"

    def _get_key(self, request: HttpRequest) -> str | None:
        return shown_key(request)

    async def authenticate(self, request: HttpRequest, key: str | None) -> Caller | None:
        """The owner of the key; None if none was shown."""
        if key is None:
            return None
        caller = await self._keys.caller_with(key, source_of(request))
        if caller is None:
            raise AuthenticationError(message=WHO_ARE_YOU)
        return caller


class Session(Rated, APIKeyCookie):
    """A person who is logged in; whatever is not only read needs the CSRF token too."""

    param_name = settings.SESSION_COOKIE_NAME

    def __str__(self) -> str:
        return "session"

    def _get_key(self, request: HttpRequest) -> str | None:
        return request.COOKIES.get(self.param_name)

    async def authenticate(self, request: HttpRequest, key: str | None) -> Caller | None:
        """The user of the session, if active, with what he may do as the database has it now."""
        user = await request.auser() if key else None
        # Without a session there is nobody to protect: what is missing is a login, not a token.
        if user is None or not (user.is_authenticated and user.is_active):
            raise AuthenticationError(message=WHO_ARE_YOU)
        if reason := _Csrf(_no_view).why_not(request):
            raise HttpError(403, f"The session's CSRF token is missing or wrong ({reason}): send X-CSRFToken.")
        rights = await database_sync_to_async(rights_of_user)(user)
        return Caller(name=f"user {user.get_username()}", source=source_of(request), rights=rights)


METHODS = (ApiKey(), Session())
"""The key first: a wrong one ends the search."""


class _Csrf(CsrfViewMiddleware):
    """Django's check, with the reason in place of its HTML page."""

    def why_not(self, request: HttpRequest) -> str | None:
        """What is wrong with the token, None if nothing."""
        request.csrf_processing_done = False  # type: ignore[attr-defined]
        self.process_request(request)
        return cast("str | None", self.process_view(request, _no_view, (), {}))

    def _reject(self, request: HttpRequest, reason: str) -> str:  # noqa: ARG002
        return reason


def _no_view(_request: HttpRequest) -> HttpResponse:
    """The middleware wants a view; ours are exempt from its check and ask for it here."""
    return HttpResponse()


View = Callable[..., Any]


def for_callers(view: View) -> Callable[..., Awaitable[HttpResponse]]:
    """Of a page that ninja guards with no auth: a browser is sent to log in, a program is told who may call."""

    @csrf_exempt  # nothing is changed here; a wrong method is told as one
    @require_safe
    @wraps(view)
    async def known_only(request: HttpRequest, *args: Any, **path: Any) -> HttpResponse:
        try:
            await _find_caller(request)
        except Exception as error:  # as ninja does it
            response = _to_login(request) if _is_stranger(error) else answer_to(request, error)
        else:
            shown = view if iscoroutinefunction(view) else sync_to_async(view)
            response = await shown(request, *args, **path)
        return response

    return cast("Callable[..., Awaitable[HttpResponse]]", known_only)


async def _find_caller(request: HttpRequest) -> None:
    for method in METHODS:
        if caller := await cast("Awaitable[Caller | None]", method(request)):
            request.auth = caller  # type: ignore[attr-defined]
            return


def _to_login(request: HttpRequest) -> HttpResponse:
    if request.get_preferred_type(["application/json", "text/html"]) == "text/html":
        return redirect_to_login(request.get_full_path())
    return answer_to(request, AuthenticationError(message=WHO_ARE_YOU))


def _is_stranger(error: Exception) -> bool:
    return isinstance(error, AuthenticationError)


def caller_of(request: HttpRequest) -> Caller:
    """Who was found."""
    return cast("Caller", request.auth)  # type: ignore[attr-defined]


async def with_rights(request: HttpRequest) -> Caller:
    """Who was found, and whether he may say what a machine did: asked only where he says it, for it is a query."""
    caller = caller_of(request)
    if not caller.is_person:
        return caller
    user = await request.auser()
    return replace(caller, may_judge=await database_sync_to_async(user.has_perm)(RIGHT))
