"""What became of a run that nobody knows the end of: by a read of its proofs, or by a person. Writes to no machine."""

import asyncio
import contextvars
import logging
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress

from channels.db import database_sync_to_async
from django.db import Error as DatabaseUnavailable
from django.utils import timezone

from devices.control import doubts, outcomes
from devices.control.callers import Caller
from devices.control.doubts import Doubt, require_in_doubt, require_provable
from devices.control.errors import (
    IllegalMove,
    NotProvable,
    NotProven,
    NotRead,
    PLCDisabled,
    RecordUnavailable,
)
from devices.control.journal import Journal
from devices.control.outcomes import Outcome
from devices.control.reading import told_as_not_read
from devices.control.records import RunRecord
from devices.control.registry import Registry
from devices.control.sight import find_run_to_act_on
from devices.control.verdicts import Verdict, require_right
from devices.plc import proofs
from devices.plc.health import PROBE_FIRST_S, probe_delay_s
from devices.plc.pool import Pool
from devices.plc.session import Session
from devices.plc.specs import PLCSpec
from devices.plc.turn import Turn

logger = logging.getLogger(__name__)

LOOK_LIMIT_S = 10.0  # for one look at a run's proofs, connecting included
TURN_S = 2.0  # at a start, before a command that waits has its turn; a look that was begun is ended
AGAIN_LONGEST_S = 300.0  # between two tries to reach a PLC that was away at the start
GATEWAY = "gateway"
"""Who settled a run, where nobody asked for it."""


class Visit:
    """One turn with a PLC, and one connection for all that is read in it: made for the first look, not before."""

    def __init__(self, turn: Turn, held: AsyncExitStack) -> None:
        self._turn = turn
        self._held = held
        self._session: Session | None = None

    async def session(self) -> Session:
        """Connect, unless that was done."""
        if self._session is None:
            self._session = await self._held.enter_async_context(self._turn.session())
        return self._session


class Reconciler:
    """Moves runs from `unknown` and `timed_out` to what can be shown to be true; the record keeps both."""

    def __init__(
        self, *, registry: Registry, pool: Pool, journal: Journal, again_first_s: float = PROBE_FIRST_S
    ) -> None:
        self._registry = registry
        self._pool = pool
        self._journal = journal
        self._again_first_s = again_first_s
        self._turn_s = TURN_S
        self._changed = asyncio.Event()
        """Set at the next change of the registry."""
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Begin to read what an earlier process left unknown, each PLC by itself; does not wait for the PLCs.

        When this returns, each of these tasks will stand in its PLC's queue before any command that comes later.
        """
        await self._begin(await database_sync_to_async(doubts.left_unknown)())

    async def take_over(self, run_ids: Sequence[int]) -> None:
        """The same for these, which another process has just left unknown."""
        await self._begin(await database_sync_to_async(doubts.left_unknown)(run_ids))

    async def _begin(self, left: Mapping[int, Sequence[int]]) -> None:
        usable = {plc.id: plc for plc in (await self._registry.plcs()).values() if plc.is_enabled}
        for plc_id, run_ids in left.items():
            work = self._settle_all(plc_id, usable.get(plc_id), deque(run_ids))
            task = asyncio.create_task(work, context=contextvars.Context())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def note_registry(self) -> None:
        """PLCs were changed: one that was away or disabled may be there now, and is looked for at once."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def stop(self) -> None:
        """End what still reads or waits for a PLC."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def read(self, run_id: int, caller: Caller) -> RunRecord:
        """Look at the machine in its turn, and settle the run if all its proofs hold.

        Raises NotProven where they do not all hold, NotProvable where none could tell, NotRead where the PLC did not
        answer, RunSettled, UnknownRun, NotPermitted for who may not ask for such a run: in each of these the run stays
        as it was.
        """
        await find_run_to_act_on(run_id, caller)
        doubt = await self._find(run_id)
        require_in_doubt(doubt)
        await database_sync_to_async(require_provable)(doubt)
        plc = await self._plc_of(doubt)
        with told_as_not_read(LOOK_LIMIT_S):
            async with self._visit(plc) as visit:
                return await self._read_at(visit, run_id, caller.name, caller.source)

    async def judge(self, run_id: int, verdict: Verdict, caller: Caller) -> RunRecord:
        """Settle the run as a person says.

        UnknownRun and NotPermitted as for reading it; PersonNeeded for a machine's key, RightMissing for who may not
        say it, RunSettled for a run not in doubt.
        """
        await find_run_to_act_on(run_id, caller)
        require_right(caller)
        doubt = await self._find(run_id)
        require_in_doubt(doubt)
        outcome = outcomes.judged(verdict.state, verdict.effect, by=caller.name, reason=verdict.reason)
        try:
            return await self._settle(doubt.record, outcome, by=caller.name, asked_from=caller.source)
        except IllegalMove:
            require_in_doubt(await self._find(run_id))  # somebody was faster
            raise

    async def _settle_all(self, plc_id: int, plc: PLCSpec | None, left: deque[int]) -> None:
        """Go through a PLC's unknown runs, once it is enabled and can be reached."""
        tries, changed = 0, self._changed
        while left:
            # The first thing is to join the queue: a command that is called from now on waits behind.
            if plc is not None and await self._was_visited(plc, left):
                tries = 0
            else:
                delay_s = probe_delay_s(tries, first_s=self._again_first_s, longest_s=AGAIN_LONGEST_S)
                tries += 1
                with suppress(TimeoutError):
                    await asyncio.wait_for(changed.wait(), delay_s)
            changed = self._changed  # before the look at the registry, so that no change is missed
            with suppress(RecordUnavailable):
                plc = await self._registered(plc_id)

    async def _was_visited(self, plc: PLCSpec, left: deque[int]) -> bool:
        """Whether a turn was had, and some of the runs are no longer left."""
        try:
            with told_as_not_read(LOOK_LIMIT_S):
                async with self._visit(plc) as visit:
                    await self._read_some(visit, left)
        except (NotRead, RecordUnavailable, DatabaseUnavailable) as error:
            logger.warning("what %s did is still unknown: %s", plc.name, error)
            return False
        except Exception:
            logger.exception("the unknown runs of %s were not reconciled", plc.name)
            left.clear()
        return True

    async def _read_some(self, visit: Visit, left: deque[int]) -> None:
        """As many as a command that waits may be kept for: what has a number can be proven after it as well."""
        clock = asyncio.get_running_loop().time
        end = clock() + self._turn_s
        while left:
            try:
                await self._read_at(visit, left[0], GATEWAY)
            except (NotProvable, NotProven) as error:
                logger.info("run %d stays as it is: %s", left[0], error)
            left.popleft()
            if clock() >= end:
                return

    @asynccontextmanager
    async def _visit(self, plc: PLCSpec) -> AsyncIterator[Visit]:
        """The PLC's turn, so that no other run tells the machine anything meanwhile."""
        async with self._pool.turn(plc) as turn, AsyncExitStack() as held:
            yield Visit(turn, held)

    async def _read_at(self, visit: Visit, run_id: int, by: str, asked_from: str = "") -> RunRecord:
        doubt = await self._find(run_id)
        if doubt.is_settled:
            return doubt.record  # somebody was faster
        command = await database_sync_to_async(require_provable)(doubt)
        async with asyncio.timeout(LOOK_LIMIT_S):
            clauses = await proofs.look(await visit.session(), command, doubt.values)
        if not all(clause.is_met for clause in clauses):
            raise NotProven(run=doubt.record, clauses=clauses)
        try:
            proven = outcomes.proven(clause.detail for clause in clauses)
            return await self._settle(doubt.record, proven, by=by, asked_from=asked_from)
        except IllegalMove:
            return (await self._find(run_id)).record

    async def _settle(self, run: RunRecord, outcome: Outcome, *, by: str, asked_from: str) -> RunRecord:
        now = timezone.now()
        earlier = outcomes.earlier(run, at=now, by=by)
        settled = await self._journal.change(
            run,
            **outcome.fields,
            finished_at=now,
            history=[*run.history, earlier],
            asked_from=asked_from,
        )
        logger.info("run %d was %s and is %s, by %s", run.id, run.state, settled.state, by)
        return settled

    async def _find(self, run_id: int) -> Doubt:
        doubt: Doubt = await database_sync_to_async(doubts.find)(run_id)
        return doubt

    async def _plc_of(self, doubt: Doubt) -> PLCSpec:
        """The run's PLC as it is registered now."""
        plc = await self._registered(doubt.plc_id)
        if plc is None:
            raise PLCDisabled(f"{doubt.record.plc} is disabled or cannot be used; a controls engineer can mend that")
        return plc

    async def _registered(self, plc_id: int) -> PLCSpec | None:
        plcs = await self._registry.plcs()
        return next((plc for plc in plcs.values() if plc.id == plc_id and plc.is_enabled), None)
