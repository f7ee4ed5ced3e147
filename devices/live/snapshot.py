"""All that a page shows, as of now: each PLC with its state and its last run, and the newest runs."""

import asyncio
import contextvars
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from weakref import WeakKeyDictionary

from channels.db import database_sync_to_async
from django.db.models import OuterRef, QuerySet, Subquery
from django.utils import timezone

from devices.control.errors import NotRunning
from devices.control.gateway import current
from devices.control.records import LONG, RunRecord
from devices.live import messages
from devices.models import PLC, Run
from devices.plc.health import Health

RUNS = 50  # the newest, as many as a page shows

Row = dict[str, Any]


class Snapshots:
    """Takes snapshots, one at a time: pages that ask meanwhile share the next one.

    After a burst, a change in the admin or a restart all pages ask at once.
    """

    def __init__(self, read: Callable[[], Awaitable[str]]) -> None:
        self._read = read
        self._running: asyncio.Task[str] | None = None
        self._next: asyncio.Task[str] | None = None

    async def take(self) -> str:
        """A snapshot that was begun after this call, as a frame. Raises DatabaseError."""
        if self._next is None:
            # A task of its own, in a fresh context: the page that asks first may leave before it is done.
            self._next = asyncio.create_task(self._take_after(self._running), context=contextvars.Context())
            self._next.add_done_callback(_retrieve)
        return await asyncio.shield(self._next)

    async def _take_after(self, earlier: "asyncio.Task[str] | None") -> str:
        if earlier is not None:
            await asyncio.wait([earlier])
        self._running, self._next = self._next, None
        return await self._read()


def _retrieve(task: "asyncio.Task[str]") -> None:
    """Its error is told to those who wait, if there are any left; asyncio need not warn."""
    if not task.cancelled():
        task.exception()


_by_loop: WeakKeyDictionary[asyncio.AbstractEventLoop, Snapshots] = WeakKeyDictionary()


def shared() -> Snapshots:
    """The snapshots that all pages of this event loop share."""
    return _by_loop.setdefault(asyncio.get_running_loop(), Snapshots(read))


async def read() -> str:
    """Read it from the database and the pool, and make it one frame."""
    plcs, runs = await database_sync_to_async(_stored)()
    # The health comes last: what changes after it is announced after it.
    return messages.snapshot(now=timezone.now(), plcs=[_with_state(plc) for plc in plcs], runs=runs)


def _stored() -> tuple[list[Row], list[Row]]:
    last_run = Run.objects.filter(plc=OuterRef("pk")).order_by("-id").values("id")[:1]
    plcs = PLC.objects.annotate(last_run_id=Subquery(last_run)).order_by("name")
    rows: list[Row] = [dict(row) for row in plcs.values("id", "name", "title", "area", "is_enabled", "last_run_id")]
    newest = {run.pk: run for run in _runs().order_by("-id")[:RUNS]}
    older = _runs().in_bulk({row["last_run_id"] for row in rows} - newest.keys() - {None})
    return rows, [RunRecord.from_row(run).as_news() for run in (*newest.values(), *older.values())]


def _runs() -> QuerySet[Run]:
    return Run.objects.defer(*LONG)


def _with_state(plc: Mapping[str, Any]) -> Row:
    shown = {name: plc[name] for name in ("id", "name", "title", "area", "last_run_id")}
    if not plc["is_enabled"]:
        return {**shown, "state": "disabled", "reason": "", "mark": ""}
    health = _health(plc["id"])
    return {**shown, "state": health.state.value, "reason": health.reason, "mark": health.mark}


def _health(plc_id: int) -> Health:
    try:
        return current().pool.health(plc_id)
    except NotRunning:
        return Health()  # a process that serves pages only: not known here
