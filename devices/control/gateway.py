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
from devices.control.last_uses import LastUses
from devices.control.lock_outs import LockOuts
from devices.control.mirror import MirrorReader
from devices.control.processes import Processes, new_name
from devices.control.reconcile import Reconciler
from devices.control.records import RunRecord
from devices.control.recover import Recovery, settle_orphans
from devices.control.registry import Registry
from devices.control.stamps import Stamps
from devices.control.status import PLCStatus
from devices.control.underway import Underway
from devices.control.watching import Watching
from devices.plc.leases import Leases
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
    """Pool, journal, registry, watch and announcer of this process, and the tasks of its runs."""

    def __init__(self, *, polls: bool = True, redis_url: str = "", prefix: str = "") -> None:
        """`redis_url`: where PLCs are shared with the poller, which is another process then."""
        self.is_ready = False
        self.is_draining = False
        self.announcer = Announcer()
        self.leases = Leases(redis_url, prefix=prefix) if redis_url else None
        self.mirror = MirrorReader(redis_url, prefix=prefix) if redis_url else None
        self.name = new_name()
        """Of this process, under which its runs are stored."""
        self.processes = Processes(redis_url, prefix=prefix, name=self.name) if redis_url else None
        self._recovering: asyncio.Task[None] | None = None
        self._looking: asyncio.Task[None] | None = None
        self.watching = Watching(announcer=self.announcer, is_active=polls, leases=self.leases)
        self.watching.on_status[:] = [self._note_status]
        self.pool, self.values = self.watching.pool, self.watching.values
        self.journal = Journal(on_commit=self.announcer.tell_run, process=self.name)
        self.stamps = Stamps(redis_url=redis_url, prefix=prefix)
        self.registry = Registry(stamps=self.stamps, on_change=self._note_registry)
        self.last_uses = LastUses()
        self.lock_outs = LockOuts(stamps=self.stamps, on_change=self._note_lock_outs)
        self.reconciler = Reconciler(registry=self.registry, pool=self.pool, journal=self.journal)
        self._runs: dict[asyncio.Task[RunRecord], Underway] = {}
        self._keyed: dict[tuple[str, str], Underway] = {}
        """Those under a caller's Idempotency-Key."""
        self._open: Counter[int] = Counter()
        """Runs under way, by PLC."""

    async def start(self, *, is_alone: bool | None = None) -> None:
        """Settle what a dead process left, load the registry, then be ready.

        `is_alone`: no other process serves this database now. If none is given, others may where they share a Redis.
        """
        global _current  # noqa: PLW0603 - one gateway a process is the point
        is_alone = self.processes is None if is_alone is None else is_alone
        settled = await database_sync_to_async(settle_orphans)() if is_alone else []
        if self.processes is not None:
            await self.processes.start()
        self.journal.start()
        self.last_uses.start()
        self.announcer.start()
        for record in settled:
            self.announcer.tell_run(record)
        await self.registry.start()
        await self.lock_outs.start()
        self.stamps.start()
        await self.reconciler.start()
        # No pause from here on: what is reconciled stands in its PLC's queue before the first command.
        _current = self
        self.is_ready = True
        self.watching.start()
        if self.processes is not None:
            recovery = self._recovery(self.processes)
            self._recovering = asyncio.create_task(recovery.run(), context=contextvars.Context())
        if self.mirror is not None:
            looking = self.mirror.watch(self.announcer.tell_registry)
            self._looking = asyncio.create_task(looking, context=contextvars.Context())

    def of_key(self, caller: str, key: str | None) -> Underway | None:
        """The run under way here that this caller asked for under this key, stored or not yet."""
        return self._keyed.get((caller, key)) if key is not None else None

    def of_number(self, run_id: int) -> Underway | None:
        """The run of this number, if it is under way here."""
        return next((run for run in self._runs.values() if run.is_stored and run.record.id == run_id), None)

    def begin(self, order: Order) -> Underway:
        """Start a run in a task of its own; Draining, PLCLockedOut or QueueFull if it may not start."""
        if self.is_draining:
            raise Draining("the gateway is shutting down and takes no new commands")
        self.lock_outs.require_none(order.plc)
        self._require_room(order.plc)
        is_alone = not self._open[order.plc.id]
        execution = Execution(
            order,
            pool=self.pool,
            journal=self.journal,
            lock_outs=self.lock_outs,
            is_alone=is_alone,
            tell_steps=self.announcer.tell_steps,
        )
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

    def status(self, plc: PLCSpec) -> PLCStatus:
        """The state of a PLC as this process knows it."""
        return self.watching.status(plc)

    def withdraw(self, cancelled: RunRecord) -> None:
        """Take a run whose row is cancelled out of the queue, if it waits here."""
        if underway := self.of_number(cancelled.id):
            underway.execution.withdraw(cancelled)

    async def drain(self, limit_s: float) -> None:
        """Take no more; those who wait for a turn fail, those who run finish, bounded; then close everything."""
        global _current  # noqa: PLW0603
        self.is_draining, self.is_ready = True, False
        await _end(self._recovering)
        await self.reconciler.stop()
        await self.watching.stop_polling()
        await self.pool.close()
        await self._finish_runs(limit_s)
        await self.registry.stop()
        await self.lock_outs.stop()
        await self.stamps.stop()
        await self.journal.stop()
        await self.last_uses.stop()
        await self.announcer.stop()
        await self.watching.stop()
        await self._stop_sharing()
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

    async def _stop_sharing(self) -> None:
        await _end(self._looking)
        if self.processes is not None:
            await self.processes.stop()
        for shared in (self.leases, self.mirror):
            if shared is not None:
                await shared.close()

    def _recovery(self, processes: Processes) -> Recovery:
        return Recovery(
            name=self.name,
            attendance=processes.attendance,
            journal=self.journal,
            reconciler=self.reconciler,
            on_death=self.announcer.tell_registry,
        )

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

    def _note_status(self, plc: PLCSpec) -> None:
        if self.mirror is None or not self.mirror.is_alive:  # else the poller tells it, and knows more
            self.watching.announce_status(plc)

    def _note_registry(self, plcs: Mapping[str, PLCSpec]) -> None:
        self.watching.refresh({plc.id: plc for plc in plcs.values()})
        if self.mirror is not None:
            self.mirror.note_registry()
        self.reconciler.note_registry()
        self.announcer.tell_registry()

    def _note_lock_outs(self) -> None:
        """Nothing that waits may begin when the lock is lifted: who locks a machine is done with what was asked."""
        for underway in self._runs.values():
            if refusal := self.lock_outs.refusal(underway.order.plc):
                underway.execution.refuse(refusal)
        self.announcer.tell_registry()


async def _end(chore: asyncio.Task[None] | None) -> None:
    if chore is not None:
        chore.cancel()
        await asyncio.gather(chore, return_exceptions=True)
