"""One run from its record to its outcome, in a task of its own that no caller can cut."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db import Error as DatabaseUnavailable
from django.utils import timezone

from devices.control import outcomes
from devices.control.callers import Caller
from devices.control.definitions import DefinitionSpec
from devices.control.errors import Expired, IllegalMove, PLCLockedOut, PLCTaken, RecordUnavailable, Withdrawn
from devices.control.journal import NEXT, Journal
from devices.control.lock_outs import LockOuts
from devices.control.outcomes import Outcome
from devices.control.patience import Patience
from devices.control.records import RunRecord
from devices.control.waiting import LOOK_EVERY_S, until_final, until_none_runs
from devices.modbus.errors import LinkUnavailable, ModbusError
from devices.modbus.types import Value
from devices.models import State
from devices.plc.errors import PhaseError, TurnNotGot
from devices.plc.phases import Conversation
from devices.plc.pool import Pool
from devices.plc.sequence import SEQUENCE, sequence_limit, wrapped
from devices.plc.specs import CommandSpec, Phase, PLCSpec
from devices.plc.trace import Stage, Trace
from devices.plc.turn import Turn

logger = logging.getLogger(__name__)

RETRY_RECORD_S = 0.5  # between two tries to store an outcome
ROW_S = 5.0  # in which a row that somebody else has moved can be read

TURN_LOST = (LinkUnavailable, Expired, Withdrawn, PLCLockedOut)
EXPECTED = (ModbusError, PhaseError, RecordUnavailable, IllegalMove, Expired, Withdrawn, PLCLockedOut)


@dataclass(frozen=True, kw_only=True)
class Order:
    """What is to be run, checked and complete."""

    plc: PLCSpec
    command: CommandSpec
    values: Mapping[str, Value]
    caller: Caller
    definition: DefinitionSpec
    key: str | None = None
    """The caller's Idempotency-Key."""
    fingerprint: str = ""
    """Of what was asked for under that key."""


TellSteps = Callable[[int, int, Sequence[Mapping[str, Any]]], None]
"""Told the numbers of PLC and run, and the run's timeline, whenever that has grown."""


class Execution:
    """One run on its way from T1 to T4 (docs/architecture.md)."""

    def __init__(  # noqa: PLR0913 - its collaborators
        self,
        order: Order,
        *,
        pool: Pool,
        journal: Journal,
        lock_outs: LockOuts,
        is_alone: bool,
        tell_steps: TellSteps | None = None,
    ) -> None:
        self._order = order
        self._is_alone = is_alone
        """No other run of its PLC is open here, which it could overtake."""
        self._pool = pool
        self._journal = journal
        self._lock_outs = lock_outs
        self._tell_steps = tell_steps
        self._trace = Trace(on_entry=self._note_entry)
        self._patience = Patience(order.command.expires_after_s)
        self._record: RunRecord
        self._is_stored = False
        self._turn_end: float
        """On the loop's clock: for how long it may wait to begin."""
        self._decided: Outcome | None = None
        self.accepted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done once the run is stored (T1); never, where it could not be."""

    @property
    def record(self) -> RunRecord:
        """As stored last; there is one from `accepted` on."""
        return self._record

    @property
    def timeline(self) -> list[dict[str, Any]]:
        """What has happened so far, step by step; stored with the outcome."""
        return list(self._trace.entries)

    async def run(self) -> RunRecord:
        """Store the run, carry it out, store its outcome; RecordUnavailable if it could not even be stored.

        Cut (cancelled), it stores what is then true and returns that: its caller still waits for an answer.
        """
        try:
            async with AsyncExitStack() as held:
                turn = await self._begin(held)
                # T4 belongs to the turn: the next run on this PLC starts when this one is settled.
                await self._settle(await self._outcome(turn))
        except BaseException as error:
            if not self._is_stored:
                raise
            if not self._record.state.is_final:
                await self._settle(self._outcome_of(error))
            if not isinstance(error, (*EXPECTED, asyncio.CancelledError)):
                raise
        return self._record

    async def _begin(self, held: AsyncExitStack) -> Turn:
        """T1, its turn, T2: in one commit where the PLC is free."""
        order, is_at_once = self._order, self._is_alone and self._pool.is_free(self._order.plc)
        if not is_at_once:
            await self._store_waiting()
        self._turn_end = asyncio.get_running_loop().time() + order.plc.turn_timeout_s
        try:
            coming = self._pool.turn(order.plc) if is_at_once else self._patience.turn(self._pool, order.plc)
            turn = await held.enter_async_context(coming)
        except TURN_LOST:
            if not self._is_stored:
                await self._store_waiting()
            raise
        await (self._store_at_once() if is_at_once else self._store_begun())
        return turn

    async def _store_at_once(self) -> None:
        try:
            await self._store(self._accept(**self._begun()))
        except IllegalMove:  # another process runs a command there
            await self._store_waiting()
            await self._store_begun()

    async def _store_begun(self) -> None:
        """T2. The turn of a process that died is free before the run is settled which it left there: wait for that."""
        while True:
            try:
                return await self._change(**self._begun())
            except PLCTaken as error:
                if self._left_of_turn_s() <= 0:
                    raise TurnNotGot(f"the database did not let it begin: {error}") from error
                async with self._patience.waiting():
                    await asyncio.sleep(LOOK_EVERY_S)  # it may refuse what nobody sees running
                    await self._until_none_runs()

    def _left_of_turn_s(self) -> float:
        return self._turn_end - asyncio.get_running_loop().time()

    async def _until_none_runs(self) -> None:
        plc = self._order.plc
        try:
            running = await until_none_runs(plc.id, self._left_of_turn_s())
        except DatabaseUnavailable as error:
            raise RecordUnavailable("whether a command runs at the PLC cannot be looked up now") from error
        if running is not None:
            raise TurnNotGot(
                f"run {running} stood as running there for the {plc.turn_timeout_s:g} s that a turn may take"
            )

    async def _store_waiting(self) -> None:
        try:
            await self._store(self._accept())
        except IllegalMove as error:
            raise RecordUnavailable("the PLC was deleted meanwhile") from error

    def _begun(self) -> dict[str, Any]:
        """T2; and T3 where nothing is looked at in between: what a crash leaves is then the stricter `unknown`."""
        now = timezone.now()
        begun: dict[str, Any] = {"state": State.RUNNING, "started_at": now}
        if not self._order.command.looks_first:
            begun["triggered_at"] = now
        if sequence_limit(self._order.command) is not None:
            begun["sequence"] = NEXT
        return begun

    def _values(self) -> Mapping[str, Value]:
        """What the steps refer to: the caller's parameters, and the number of the run."""
        limit = sequence_limit(self._order.command)
        if limit is None or self._record.sequence is None:
            return self._order.values
        return {**self._order.values, SEQUENCE: wrapped(self._record.sequence, limit)}

    async def _outcome(self, turn: Turn) -> Outcome:
        conversation = Conversation(self._order.command, self._values(), trace=self._trace)
        try:
            await self._require_not_locked_out()
            self._patience.require_not_late()
            result = await conversation.carry_out(turn, self._record_trigger)
            command = self._order.command
            return outcomes.succeeded(
                result,
                is_acknowledged=bool(command.of(Phase.WAIT)),
                is_read_back=bool(command.read_back(Phase.TRIGGER)),
            )
        except EXPECTED as error:
            return self._outcome_of(error)
        except Exception as error:
            logger.exception("run %s met a bug", self._record.id)
            return self._outcome_of(error)

    def withdraw(self, cancelled: RunRecord) -> None:
        """Leave the queue at once: the run is cancelled, and its row says so already."""
        self._record = cancelled
        self._patience.end(Withdrawn("the run was withdrawn"))

    def refuse(self, why: PLCLockedOut) -> None:
        """Leave the queue at once, where the run still waits there: it fails with this."""
        self._patience.end(why)

    async def _require_not_locked_out(self) -> None:
        """Before anything is sent, before the trigger is recorded and before it is sent: each takes its time, and
        somebody who has locked the machine out may stand in it by then.
        """
        await self._lock_outs.refresh()
        self._lock_outs.require_none(self._order.plc)

    def _outcome_of(self, error: BaseException) -> Outcome:
        if isinstance(error, Expired):
            return outcomes.expired(f"The machine was not told: {error}.")
        return outcomes.of_error(error, self._trace.stage, is_clean=self._trace.is_clean)

    def _accept(self, **begun: Any) -> "asyncio.Future[RunRecord]":
        """T1, with T2 where its turn has come."""
        order = self._order
        return self._journal.accept(
            plc_id=order.plc.id,
            plc_name=order.plc.name,
            command=order.command.name,
            parameters=dict(order.values),
            caller=order.caller.name,
            source=order.caller.source,
            definition=order.definition,
            accepted_at=begun.get("started_at") or timezone.now(),
            idempotency_key=order.key,
            fingerprint=order.fingerprint,
            **begun,
        )

    async def _record_trigger(self) -> None:
        """T3, durable before the trigger goes out: what a crash leaves behind is then `unknown`, never lost."""
        await self._require_not_locked_out()
        if self._record.triggered_at is None:
            await self._change(triggered_at=timezone.now(), trace=self.timeline)
            await self._require_not_locked_out()

    def _note_entry(self) -> None:
        if self._tell_steps is None:
            return
        try:
            self._tell_steps(self._order.plc.id, self._record.id, self._trace.entries)
        except Exception:
            # The machine is under way: that nobody sees it is no reason to stop.
            logger.exception("the timeline of run %s is not told", self._record.id)

    async def _change(self, **fields: Any) -> None:
        await self._store(self._journal.change(self._record, **fields))

    async def _store(self, storing: "asyncio.Future[RunRecord]") -> None:
        """Wait for a change to be stored, also when the run is cut meanwhile: the row must not overtake the record."""
        try:
            await asyncio.shield(storing)
        finally:
            # Cut: the journal has the change and will write it. A record of the version before could not be settled.
            if not storing.done():
                await asyncio.wait([storing])
            self._record, self._is_stored = storing.result(), True
            if not self.accepted.done():
                self.accepted.set_result(None)

    async def _settle(self, outcome: Outcome) -> None:
        """T4: try until the outcome is stored; a crash meanwhile leaves T3, and that means `unknown`."""
        outcome = self._decided = self._decided or outcome  # who is cut while he tries to store it keeps the first
        while True:
            try:
                return await self._change(
                    **outcome.fields,
                    result=outcome.result,
                    trace=self.timeline,
                    frames=self._trace.frames.as_json() if settings.FRAMES_DAYS > 0 else [],
                    **self._early_trigger_taken_back(),
                    finished_at=timezone.now(),
                )
            except IllegalMove:
                # Another process cancelled it while it waited here: its word stands.
                self._record = await until_final(self._record, ROW_S)
                if not self._record.state.is_final:
                    raise
                return None
            except RecordUnavailable:
                logger.warning("the outcome of run %s is not stored yet: %s", self._record.id, outcome.state)
                await asyncio.sleep(RETRY_RECORD_S)

    def _early_trigger_taken_back(self) -> dict[str, None]:
        """T3 is recorded early where nothing is looked at; now it is known that the trigger was not sent."""
        is_early = self._trace.stage is Stage.BEFORE and self._record.triggered_at is not None
        return {"triggered_at": None} if is_early else {}
