"""Django's handler of requests, where a request that needs no thread meets none.

Stock, each request makes a thread of its own, hops to it three times for signals that have nothing to do on the event
loop, and ends it again: more than half of what a small request costs. What a request does stays Django's.
"""

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import lru_cache
from io import BytesIO
from typing import Any, cast

import django
from asgiref.sync import ThreadSensitiveContext, sync_to_async
from django.core import signals
from django.core.cache import close_caches
from django.core.exceptions import RequestAborted
from django.core.handlers.asgi import ASGIHandler, ASGIRequest, get_script_prefix
from django.core.handlers.base import reset_urlconf
from django.db import close_old_connections, connections, reset_queries
from django.http import HttpRequest, HttpResponse, QueryDict
from django.http.response import HttpResponseBase
from django.urls import ResolverMatch, URLResolver, get_resolver, set_script_prefix
from django.utils.functional import cached_property
from django.utils.log import log_response

MOST_IDLE = 32  # threads that are kept after many requests came at once


class LentThread(ThreadPoolExecutor):
    """A thread for the blocking parts of one request after the other, never of two at once."""

    def __init__(self) -> None:
        super().__init__(1, thread_name_prefix="request")
        self.is_used = False
        """In the request of now."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Run it there."""
        self.is_used = True
        return super().submit(fn, *args, **kwargs)


class LentThreads:
    """Threads that no request uses now."""

    def __init__(self) -> None:
        self._idle: list[LentThread] = []

    @contextmanager
    def lent(self) -> Iterator[LentThread]:
        """One for the block."""
        thread = self._idle.pop() if self._idle else LentThread()
        thread.is_used = False
        try:
            yield thread
        finally:
            if thread.is_used:
                # Last in its queue: whose caller hung up, the database may still work on what he wanted.
                thread.submit(connections.close_all).add_done_callback(lambda _: self._take_back(thread))
            else:
                self._take_back(thread)

    def _take_back(self, thread: LentThread) -> None:
        if len(self._idle) < MOST_IDLE:
            self._idle.append(thread)
        else:
            thread.shutdown(wait=False)


_thread: ContextVar[LentThread] = ContextVar("thread of this request")


class Request(ASGIRequest):
    """Django's, which parses nothing where there is nothing to parse."""

    @cached_property
    def GET(self) -> QueryDict:  # type: ignore[override]  # noqa: N802 - Django's name
        """The query's fields."""
        query = self.META["QUERY_STRING"]
        return QueryDict(query) if query else NO_QUERY


NO_QUERY = QueryDict()  # of all that have none: it cannot be changed


@lru_cache(maxsize=1024)
def _found(resolver: URLResolver, path: str) -> ResolverMatch:
    """Callers ask for the same few addresses again and again; which view one leads to never changes."""
    return resolver.resolve(path)


Receivers = tuple[Callable[..., Any], ...]
BEFORE: Receivers = (reset_queries, close_old_connections)
AFTER: Receivers = (close_old_connections, close_caches, reset_urlconf)
"""What Django does before and after a request, and which here has nothing to do: a request begins with a thread that
has nothing open, and closes at its end what it has opened there; it keeps nothing in Django's caches, and there is but
one map of addresses."""


class Handler(ASGIHandler):
    """The site."""

    request_class = Request

    def __init__(self) -> None:
        super().__init__()
        self._threads = LentThreads()
        for stock in BEFORE:
            signals.request_started.disconnect(stock)
        for stock in AFTER:
            signals.request_finished.disconnect(stock)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """One request."""
        with self._threads.lent() as thread:
            _thread.set(thread)
            async with ThreadSensitiveContext(executor=thread):
                await self.handle(scope, receive, send)

    async def handle(self, scope: Any, receive: Any, send: Any) -> None:
        """Read, answer, close; a caller who hangs up meanwhile cancels what is done for him alone."""
        try:
            body = await self.read_body(receive)
        except RequestAborted:
            return
        if prefix := get_script_prefix(scope):
            set_script_prefix(prefix)
        await signals.request_started.asend(sender=self.__class__, scope=scope)
        request, refusal = self.create_request(scope, body)
        if request is None:
            await self.send_response(cast("HttpResponseBase", refusal), send)
            await _close(cast("HttpResponseBase", refusal))
            return
        response = await self._answered_unless_gone(request, receive, send)
        if response is None:
            await signals.request_finished.asend(sender=self.__class__)
        else:
            await _close(response)

    async def read_body(self, receive: Any) -> BytesIO:
        """In memory: the server in front lets no longer one pass."""
        body = BytesIO()
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise RequestAborted
            body.write(message.get("body", b""))
            if not message.get("more_body", False):
                body.seek(0)
                return body

    def resolve_request(self, request: HttpRequest) -> ResolverMatch:
        """Which view answers."""
        request.resolver_match = match = _found(get_resolver(), request.path_info)
        return match

    async def get_response_async(self, request: HttpRequest) -> HttpResponse:
        """Django's, but a thread logs only what has not been logged, and there is but one map of addresses."""
        answered: Any = self._middleware_chain  # type: ignore[attr-defined]
        response: HttpResponse = await answered(request)
        response._resource_closers.append(request.close)  # type: ignore[attr-defined]  # noqa: SLF001
        if response.status_code >= 400 and not getattr(response, "_has_been_logged", False):
            await _log("%s: %s", response.reason_phrase, request.path, response=response, request=request)
        return response

    def make_view_atomic(self, view: Callable[..., Any]) -> Callable[..., Any]:
        """As it is: no database of ours has ATOMIC_REQUESTS."""
        return view

    async def _answered_unless_gone(self, request: HttpRequest, receive: Any, send: Any) -> HttpResponseBase | None:
        """The response, sent; None where the caller went before there was one."""
        answering = cast("asyncio.Task[Any]", asyncio.current_task())
        leaving = asyncio.create_task(_cancel_when_gone(answering, receive))
        try:
            return await self._answer(request, send)
        except asyncio.CancelledError:
            if _has_cancelled(leaving):
                return None
            raise  # the server ends
        finally:
            if _has_cancelled(leaving):
                answering.uncancel()
            leaving.cancel()  # nothing, where it has ended

    async def _answer(self, request: HttpRequest, send: Any) -> HttpResponseBase:
        response: HttpResponseBase = await self.run_get_response(request)
        with suppress(asyncio.CancelledError):  # he went amid the answer: there is one to be closed
            await self.send_response(response, send)
        return response

    async def send_response(self, response: HttpResponseBase, send: Any) -> None:
        """Django's way, but the body of a whole response goes out in one piece: the server holds it all anyway."""
        if response.streaming or response.cookies:
            await super().send_response(response, send)
            return
        kept = response.headers._store.values()  # noqa: SLF001 - as they were written
        headers = [(name.encode("ascii"), value.encode("latin1")) for name, value in kept]
        await send({"type": "http.response.start", "status": response.status_code, "headers": headers})
        await send({"type": "http.response.body", "body": response.content})  # type: ignore[attr-defined]


_log = sync_to_async(log_response, thread_sensitive=False)


async def _cancel_when_gone(answering: asyncio.Task[Any], receive: Any) -> None:
    await receive()  # the body was read: all that can still come is that he hangs up
    answering.cancel()


def _has_cancelled(leaving: asyncio.Task[None]) -> bool:
    return leaving.done() and not leaving.cancelled()


async def _close(response: HttpResponseBase) -> None:
    """In the request's thread, where it has used one: its database connection is closed there."""
    if _thread.get().is_used:
        await sync_to_async(response.close)()
    else:
        response.close()


def load_site() -> Handler:
    """Load Django, and its handler."""
    django.setup(set_prefix=False)
    return Handler()
