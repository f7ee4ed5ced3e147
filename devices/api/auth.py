"""Who calls: a machine with its API key, or a person with a session and its CSRF token."""

import asyncio
import contextvars
import hmac
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import cast

from channels.db import database_sync_to_async
from django.conf import settings
from django.db import transaction
from django.db.models.signals import post_delete, post_save
from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import CsrfViewMiddleware
from ninja.errors import AuthenticationError, HttpError
from ninja.security import APIKeyCookie, APIKeyHeader

from devices.control.records import Caller
from devices.control.verdicts import RIGHT
from devices.models import APIKey
from devices.models.access import digest_of, key_id_of

KEPT_S = 1.0  # after it was revoked by another process, a key works this long
UNKNOWN_DIGEST = "0" * 64  # what an unknown key is compared with, so that its answer takes as long
WHO_ARE_YOU = "Show a valid API key in the X-API-Key header, or log in."

Known = tuple[str, str, bool]
"""A key's digest, the name of its owner, and whether he must send an Idempotency-Key."""


class Keys:
    """The keys that are valid, read at most once a second, by whoever asks first.

    All of them at once: a stranger who tries made-up keys costs the database nothing.
    """

    def __init__(self) -> None:
        self._keys: Mapping[str, Known] = {}
        self._changes = 0
        self._seen = -1
        self._read_at = 0.0
        self._reading: asyncio.Task[None] | None = None
        for signal in (post_save, post_delete):
            signal.connect(self._note_change, sender=APIKey)

    async def caller_with(self, key: str, source: str) -> Caller | None:
        """Who a key stands for; None for an unknown, malformed or revoked one."""
        key_id = key_id_of(key)
        digest, name, needs_key = (await self._valid()).get(key_id or "", (UNKNOWN_DIGEST, "", False))
        if not hmac.compare_digest(digest_of(key), digest):
            return None
        return Caller(name=f"key {name}", source=source, needs_key=needs_key)

    async def _valid(self) -> Mapping[str, Known]:
        while self._seen != self._changes or time.monotonic() - self._read_at > KEPT_S:
            await asyncio.shield(self._read_once())
        return self._keys

    def _read_once(self) -> "asyncio.Task[None]":
        """The reading under way, or a new one: in a task of its own, since a caller may hang up."""
        loop = asyncio.get_running_loop()
        if self._reading is None or self._reading.done() or self._reading.get_loop() is not loop:
            self._reading = loop.create_task(self._read(), context=contextvars.Context())
            self._reading.add_done_callback(_retrieve)
        return self._reading

    async def _read(self) -> None:
        seen, now = self._changes, time.monotonic()
        self._keys = await database_sync_to_async(_stored)()
        self._seen, self._read_at = seen, now

    def _note_change(self, **_: object) -> None:
        transaction.on_commit(self._forget)

    def _forget(self) -> None:
        self._changes += 1


def _stored() -> dict[str, Known]:
    rows = APIKey.objects.filter(revoked_at=None).values_list("key_id", "digest", "name", "needs_idempotency_key")
    return {key_id: (digest, name, needs_key) for key_id, digest, name, needs_key in rows}


def _retrieve(task: "asyncio.Task[None]") -> None:
    """Its error is told to those who wait, if there are any left; asyncio need not warn."""
    if not task.cancelled():
        task.exception()


class ApiKey(APIKeyHeader):
    """A machine's key. A wrong one ends the search: it does not fall back on a session."""

    param_name = "X-API-Key"

    def __init__(self) -> None:
        super().__init__()
        self._keys = Keys()

    def __str__(self) -> str:
        return "api-key"

    async def authenticate(self, request: HttpRequest, key: str | None) -> Caller | None:
        """The owner of the key; None if none was shown."""
        if key is None:
            return None
        caller = await self._keys.caller_with(key, _source(request))
        if caller is None:
            raise AuthenticationError(message=WHO_ARE_YOU)
        return caller


class Session(APIKeyCookie):
    """A person who is logged in; whatever is not only read needs the CSRF token too."""

    param_name = settings.SESSION_COOKIE_NAME

    def __str__(self) -> str:
        return "session"

    def _get_key(self, request: HttpRequest) -> str | None:
        session = request.COOKIES.get(self.param_name)
        # Without a session there is nobody to protect: what is missing is a login, not a token.
        reason = _Csrf(_no_view).why_not(request) if session else None
        if reason:
            raise HttpError(403, f"The session's CSRF token is missing or wrong ({reason}): send X-CSRFToken.")
        return session

    async def authenticate(self, request: HttpRequest, key: str | None) -> Caller | None:
        """The user of the session, if active."""
        user = await request.auser() if key else None
        if user is None or not (user.is_authenticated and user.is_active):
            raise AuthenticationError(message=WHO_ARE_YOU)
        return Caller(name=f"user {user.get_username()}", source=_source(request))


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


def _source(request: HttpRequest) -> str:
    """The peer's address; X-Forwarded-For can be written by anybody, and is ignored."""
    return str(request.META.get("REMOTE_ADDR", ""))
