"""The long-lived parts of one process, started by `manage.py serve` and never by import."""

import asyncio
import contextlib
import contextvars
import logging
from collections import Counter
from collections.abc import Mapping

from channels.db import database_sync_to_async

from devices.control.announce import Announcer
from devices.control.errors import Draining, KeyTaken, NotRunning, QueueFull
from devices.control.execute import Execution, Order
from devices.control.journal import Journal
from devices.control.reconcile import Reconciler
from devices.control.records import RunRecord
from devices.control.recover import settle_orphans
from devices.control.registry import Registry
from devices.control.underway import Underway
from devices.plc.health import Health
from devices.plc.pool import Pool
from devices.plc.specs import PLCSpec

logger = logging.getLogger(__name__)

QUEUE_RETRY_S = 5.0  # what a caller is told to wait when a PLC's queue is full

_current: "Gateway | None" = None


def current() -> "Gateway":
    """The gateway of this process; NotRunning if there is none."""
    if _current is None:
        raise NotRunning("this process carries out no commands: start it with `manage.py serve`")
    return _current


class Gateway:
    """Pool, journal, registry and announcer of this process, and the tasks of its runs."""

    def __init__(self) -> None:
        self.is_ready = False
        self.is_draining = False
        self.announcer = Announcer()
        self.pool = Pool(on_health=self._note_health)
        self.journal = Journal(on_commit=self.announcer.tell_run)
        self.registry = Registry(on_change=self._note_registry)
        self.reconciler = Reconciler(registry=self.registry, pool=self.pool, journal=self.journal)
        self._runs: dict[asyncio.Task[RunRecord], Underway] = {}
        self._keyed: dict[tuple[str, str], Underway] = {}
        """Those under a caller's Idempotency-Key."""
        self._open: Counter[int] = Counter()
        """Runs under way, by PLC."""

    async def start(self) -> None:
        """Settle what a dead process left, load the registry, then be ready."""
        global _current  # noqa: PLW0603 - one gateway a process is the point
        settled = await database_sync_to_async(settle_orphans)()
        self.journal.start()
        self.announcer.start()
        for record in settled:
            self.announcer.tell_run(record)
        await self.registry.start()
        await self.reconciler.start()
        # No pause from here on: what is reconciled stands in its PLC's queue before the first command.
        _current = self
        self.is_ready = True

    def of_key(self, caller: str, key: str | None) -> Underway | None:
        """The run under way here that this caller asked for under this key, stored or not yet."""
        return self._keyed.get((caller, key)) if key is not None else None

    def of_number(self, run_id: int) -> Underway | None:
        """The run of this number, if it is under way here."""
        return next((run for run in self._runs.values() if run.is_stored and run.record.id == run_id), None)

    def begin(self, order: Order) -> Underway:
        """Start a run in a task of its own; Draining or QueueFull if it may not start."""
        if self.is_draining:
            raise Draining("the gateway is shutting down and takes no new commands")
        self._require_room(order.plc)
        is_alone = not self._open[order.plc.id]
        execution = Execution(order, pool=self.pool, journal=self.journal, is_alone=is_alone)
        # A fresh context: the request's own would drag its database thread and its cancellation along.
        task = asyncio.create_task(execution.run(), context=contextvars.Context())
        underway = self._runs[task] = Underway(order, execution, task)
        if order.key is not None:
            self._keyed[order.caller.name, order.key] = underway
        self._open[order.plc.id] += 1
        task.add_done_callback(lambda done: self._note_end(done, order.plc.id))
        return underway

    def retry_after_s(self, run: RunRecord) -> float | None:
        """How long a run's PLC, which is offline, will be left alone; None where nothing is known."""
        health = self.pool.health(run.plc_id)
        return None if health.next_try_s is None else max(1.0, health.next_try_s - asyncio.get_running_loop().time())

    def withdraw(self, cancelled: RunRecord) -> None:
        """Take a run whose row is cancelled out of the queue, if it waits here."""
        if underway := self.of_number(cancelled.id):
            underway.execution.withdraw(cancelled)

    async def drain(self, limit_s: float) -> None:
        """Take no more; those who wait for a turn fail, those who run finish, bounded; then close everything."""
        global _current  # noqa: PLW0603
        self.is_draining, self.is_ready = True, False
        await self.reconciler.stop()
        await self.pool.close()
        await self._finish_runs(limit_s)
        await self.registry.stop()
        await self.journal.stop()
        await self.announcer.stop()
        if _current is self:
            _current = None

    def hurry(self) -> None:
        """Cut what still runs: each run stores what is then true, and ends."""
        for task in self._runs:
            task.cancel()

    async def _finish_runs(self, limit_s: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(limit_s):
                while self._runs:
                    await asyncio.wait(self._runs)
        if self._runs:
            logger.warning("%d run(s) did not end within %g s and are cut", len(self._runs), limit_s)
            self.hurry()
            await asyncio.wait(self._runs, timeout=limit_s)

    def _require_room(self, plc: PLCSpec) -> None:
        # One runs, whatever the number of connections: commands go one at a time.
        if self._open[plc.id] > plc.max_waiting:
            raise QueueFull(f"{plc.max_waiting} commands already wait for {plc.name}", retry_after_s=QUEUE_RETRY_S)

    def _note_end(self, task: "asyncio.Task[RunRecord]", plc_id: int) -> None:
        order = self._runs.pop(task).order
        if order.key is not None:
            del self._keyed[order.caller.name, order.key]
        self._open[plc_id] -= 1
        error = None if task.cancelled() else task.exception()
        if error and not isinstance(error, KeyTaken):
            logger.error("a run ended without a record: %s", error)

    def _note_health(self, plc: PLCSpec, health: Health) -> None:
        told = {"state": health.state.value, "reason": health.reason, "mark": health.mark}
        self.announcer.tell_plc({"id": plc.id, "name": plc.name, **told})

    def _note_registry(self, plcs: Mapping[str, PLCSpec]) -> None:
        self.pool.refresh({plc.id: plc for plc in plcs.values()})
        self.reconciler.note_registry()
        self.announcer.tell_registry()
