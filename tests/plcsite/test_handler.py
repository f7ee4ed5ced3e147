"""Threads are lent to requests: none where none is needed, one at a time, and what they opened is closed."""

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import connection
from django.http import HttpRequest, HttpResponse

from plcsite import handler
from plcsite.handler import Handler, LentThreads

SCOPE = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": [(b"host", b"localhost")]}


class Site(Handler):
    """Answers with a view alone, as if all middleware let it through."""

    def __init__(self, view: Callable[[HttpRequest], Any]) -> None:
        super().__init__()
        self._view = view

    async def get_response_async(self, request: HttpRequest) -> HttpResponse:
        return await self._view(request)


class Caller:
    """One who asks, and hangs up when told to."""

    def __init__(self, *, hangs_up: asyncio.Event | None = None) -> None:
        self.heard: list[dict[str, Any]] = []
        self._hangs_up = hangs_up or asyncio.Event()
        self._to_say = [{"type": "http.request", "body": b"", "more_body": False}]

    async def asks(self, site: Site) -> str:
        """What he was answered."""
        await site(SCOPE, self._say, self._hear)
        return b"".join(message.get("body", b"") for message in self.heard).decode()

    async def _say(self) -> dict[str, Any]:
        if self._to_say:
            return self._to_say.pop()
        await self._hangs_up.wait()
        return {"type": "http.disconnect"}

    async def _hear(self, message: dict[str, Any]) -> None:
        self.heard.append(message)


def wait_for_idle(threads: LentThreads, count: int = 1) -> None:
    """A thread comes back once it has closed what was opened there."""
    deadline = time.monotonic() + 10
    while len(threads._idle) < count:
        assert time.monotonic() < deadline, "no thread came back"
        time.sleep(0.01)


async def in_thread(_request: HttpRequest) -> HttpResponse:
    """Says in which thread it worked."""
    return HttpResponse(str(await sync_to_async(threading.get_ident)()))


class TestARequest:
    async def test_makes_no_thread_where_it_needs_none(self) -> None:
        async def view(_request: HttpRequest) -> HttpResponse:
            return HttpResponse("fine")

        site = Site(view)
        assert await Caller().asks(site) == "fine"
        (lent,) = site._threads._idle
        assert not lent._threads

    async def test_uses_the_thread_of_the_one_before(self) -> None:
        site = Site(in_thread)
        first = await Caller().asks(site)
        await asyncio.to_thread(wait_for_idle, site._threads)
        assert await Caller().asks(site) == first

    async def test_shares_its_thread_with_no_other(self) -> None:
        def wait_for_the_other() -> int:
            both.wait(10)
            return threading.get_ident()

        async def view(_request: HttpRequest) -> HttpResponse:
            return HttpResponse(str(await sync_to_async(wait_for_the_other)()))

        both, site = threading.Barrier(2), Site(view)
        one, other = await asyncio.gather(Caller().asks(site), Caller().asks(site))
        assert one != other

    @pytest.mark.django_db(transaction=True)
    async def test_closes_what_its_thread_has_opened(self, settings: Any) -> None:
        opened: list[Any] = []

        def look() -> None:
            connection.ensure_connection()
            opened.append(connection.connection)

        async def view(_request: HttpRequest) -> HttpResponse:
            await sync_to_async(look)()
            return HttpResponse()

        async def is_open(_request: HttpRequest) -> HttpResponse:
            return HttpResponse(str(await sync_to_async(lambda: connection.connection)()))

        site = Site(view)
        await Caller().asks(site)
        site._view = is_open
        assert len(opened) == 1
        assert await Caller().asks(site) == "None"

    async def test_whose_caller_hangs_up_is_cancelled_and_its_thread_lent_on_once_it_is_idle(self) -> None:
        def work() -> None:
            began.set()
            go_on.wait(10)

        async def view(_request: HttpRequest) -> HttpResponse:
            try:
                await sync_to_async(work)()
            except asyncio.CancelledError:
                ended.append("cancelled")
                raise
            return HttpResponse()

        began, go_on, hangs_up = threading.Event(), threading.Event(), asyncio.Event()
        ended: list[str] = []
        site = Site(view)
        asking = asyncio.create_task(Caller(hangs_up=hangs_up).asks(site))
        await asyncio.to_thread(began.wait, 10)
        hangs_up.set()
        await asyncio.sleep(0.05)
        site._view = in_thread
        assert await asyncio.wait_for(Caller().asks(site), 5)  # not behind the one that still works
        go_on.set()
        assert await asking == ""
        assert ended == ["cancelled"]


class TestAThread:
    def test_that_still_works_is_not_lent(self) -> None:
        threads, go_on = LentThreads(), threading.Event()
        with threads.lent() as busy:
            busy.submit(go_on.wait, 10)
        with threads.lent() as other:
            assert other is not busy
            other.submit(lambda: None)
        assert busy not in threads._idle
        go_on.set()
        wait_for_idle(threads, 2)
        assert set(threads._idle) == {busy, other}
        for thread in (busy, other):
            thread.shutdown()

    @pytest.mark.django_db(transaction=True)
    def test_comes_back_with_nothing_open_however_its_request_ended(self) -> None:
        threads = LentThreads()
        with threads.lent() as thread:  # killed before anybody could close what it opened
            thread.submit(connection.ensure_connection).result()
        wait_for_idle(threads)
        with threads.lent() as again:
            assert again is thread
            assert again.submit(lambda: connection.connection).result() is None
        thread.shutdown()

    def test_ends_where_many_are_idle(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(handler, "MOST_IDLE", 1)
        threads = LentThreads()
        with threads.lent() as first, threads.lent() as second:
            pass
        assert threads._idle == [second]
        with pytest.raises(RuntimeError, match="shutdown"):
            first.submit(time.monotonic)
