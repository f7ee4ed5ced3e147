"""Settle what a dead process left: at the start of one that is alone, and all the time beside others.

The start's part ends before the server says that it is ready.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence

from channels.db import database_sync_to_async
from django.db import Error as DatabaseUnavailable
from django.db.models import F, QuerySet
from django.utils import timezone

from devices.control import outcomes
from devices.control.errors import IllegalMove, RecordUnavailable
from devices.control.journal import Journal
from devices.control.outcomes import Outcome
from devices.control.processes import Attendance
from devices.control.reconcile import Reconciler
from devices.control.records import LONG, RunRecord
from devices.models import Run, State

logger = logging.getLogger(__name__)

NEWS = 200  # runs that are announced; a page shows 50
NOT_TOLD = outcomes.failed("The gateway restarted before the machine was told.")
MAYBE_TOLD = outcomes.unknown("The gateway restarted after the trigger may have been sent. Look at the machine.")

LOOK_S = 1.0  # between two looks at what others left
GONE = "The gateway's process that carried it out stopped, or stood still for too long,"
NOT_TOLD_BY_GONE = outcomes.failed(f"{GONE} before the machine was told.")
MAYBE_TOLD_BY_GONE = outcomes.unknown(f"{GONE} after the trigger may have been sent. Look at the machine.")


def settle_orphans() -> list[RunRecord]:
    """Give every open run the outcome that its last durable record allows.

    For a process that is alone: every open row is an orphan, since the lock of `serve` proves that nobody else runs.

    Returns the newest of them, in the order in which they were asked for, to be announced as any change is: a page at
    another process has missed nothing of ours that would make it look again. Older ones, which no page shows but as
    the last of a quiet PLC, come with the snapshot that every page takes once the registry is loaded.
    """
    open_runs = Run.objects.filter(state__in=[State.QUEUED, State.RUNNING])
    newest = list(open_runs.order_by("-id").values_list("id", flat=True)[:NEWS])
    count = _settle(open_runs.filter(triggered_at=None), NOT_TOLD)
    count += _settle(open_runs.exclude(triggered_at=None), MAYBE_TOLD)
    if count:
        logger.warning("settled %d run(s) that an earlier process left open", count)
    return [RunRecord.from_row(run) for run in Run.objects.defer(*LONG).filter(pk__in=newest).order_by("id")]


def _settle(runs: QuerySet[Run], outcome: Outcome) -> int:
    return runs.update(
        **outcome.fields,
        finished_at=timezone.now(),
        version=F("version") + 1,
    )


class Recovery:
    """Settles what processes that died leave, while this one serves: each run once, whoever else does the same.

    A run moves only from the version that was looked at. So where its process lives after all, either that one stores
    the trigger first and the run is looked at anew, or its trigger finds no row and is never sent.
    """

    def __init__(
        self,
        *,
        name: str,
        attendance: Attendance,
        journal: Journal,
        reconciler: Reconciler,
        on_death: Callable[[], None],
    ) -> None:
        """`name`: this process's. `on_death`: what a process told last, before it died, may be known to nobody."""
        self._name = name
        self._attendance = attendance
        self._journal = journal
        self._reconciler = reconciler
        self._on_death = on_death
        self._to_be_read: set[int] = set()
        """Runs settled here as unknown that nobody reads yet: what fails is tried again at the next look."""
        self._buried: frozenset[str] = frozenset()
        self._strangers: set[str] = set()

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_S)
            try:
                await self._look()
            except (DatabaseUnavailable, RecordUnavailable) as error:
                logger.warning("what processes that died left is not settled yet: %s", error)
            except Exception:
                logger.exception("what processes that died left is not settled by a fault of the gateway")

    async def _look(self) -> None:
        dead = self._attendance.dead()
        left: Sequence[tuple[RunRecord, str]] = await database_sync_to_async(_left_by_others)(self._name)
        self._warn_of_strangers({name for _, name in left})
        runs = [run for run, name in left if self._attendance.is_dead(name)]
        told = await asyncio.gather(*map(self._settle, runs), return_exceptions=True)
        settled = [run for run in told if isinstance(run, RunRecord)]
        self._to_be_read |= {run.id for run in settled if run.state is State.UNKNOWN}
        if settled:
            logger.warning("settled %d run(s) that a process left which is gone", len(settled))
        if dead - self._buried:
            logger.warning("gone without a word: %s", ", ".join(sorted(dead - self._buried)))
            self._on_death()
        self._buried = dead
        await self._have_read()
        for error in told:
            if isinstance(error, BaseException):
                raise error

    async def _have_read(self) -> None:
        if self._to_be_read:
            await self._reconciler.take_over(sorted(self._to_be_read))
            self._to_be_read.clear()

    async def _settle(self, run: RunRecord) -> RunRecord | None:
        """None where somebody else was faster."""
        outcome = NOT_TOLD_BY_GONE if run.triggered_at is None else MAYBE_TOLD_BY_GONE
        try:
            return await self._journal.change(run, **outcome.fields, finished_at=timezone.now())
        except IllegalMove:
            return None

    def _warn_of_strangers(self, names: set[str]) -> None:
        strangers = {name for name in names if name and self._attendance.is_stranger(name)}
        for name in strangers - self._strangers:
            logger.warning(
                "%s carries out a run and is not known in this Redis: all processes that serve this database must have "
                "the same REDIS_URL and SECRET_KEY",
                name,
            )
        self._strangers |= strangers


def _left_by_others(name: str) -> Sequence[tuple[RunRecord, str]]:
    """Open runs, and the process that carries out each."""
    rows = Run.objects.filter(state__in=[State.QUEUED, State.RUNNING]).exclude(process=name).defer(*LONG)
    return [(RunRecord.from_row(row), row.process) for row in rows.order_by("id")]
