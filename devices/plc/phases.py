"""A command's way through its phases on one machine: check, write, trigger, wait, read, cleanup."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from itertools import groupby
from typing import Any, TypeVar

from devices.modbus.errors import BUSY, IN_PROGRESS, DeviceException, LinkUnavailable, ModbusError
from devices.modbus.types import Value
from devices.plc import conditions, interlocks, proofs, watch
from devices.plc.errors import (
    DeadlinePassed,
    HandshakeIncomplete,
    InterlockOpen,
    NoAcknowledge,
    PLCSaidNo,
    ReadBackMismatch,
)
from devices.plc.session import Session
from devices.plc.specs import CommandSpec, Operator, Phase, StepSpec
from devices.plc.trace import CUT_SHORT, NotedWrites, Stage, Trace, reason, storable
from devices.plc.turn import Turn
from devices.plc.watch import Look

CLEANUP_LIMIT_S = 10.0  # for the whole cleanup, connecting anew included
SLOT_FREE_S = 0.05  # a PLC that serves one connection sees in its next cycle that the lost one was closed
TRY_AGAIN_S = 0.1  # before the second try of what a PLC refused for now; then twice as long each time
TRY_AGAIN_LONGEST_S = 1.0

BeforeTrigger = Callable[[], Awaitable[None]]

Answer = TypeVar("Answer")


class Conversation:
    """One command being carried out; `trace.stage` tells how far it came when an error ends it."""

    def __init__(self, command: CommandSpec, values: Mapping[str, Value], *, trace: Trace) -> None:
        self._command = command
        self._values = values
        self._trace = trace
        self._deadline = 0.0
        """On the loop's clock: when the machine is not told any more."""

    async def carry_out(self, turn: Turn, before_trigger: BeforeTrigger) -> dict[str, Value]:
        """Run all phases within one turn and return the tags of `read` with their values.

        `before_trigger` makes the intent durable; if it raises, the trigger is not sent.
        """
        clock = asyncio.get_running_loop().time
        self._deadline = clock() + self._command.time_limit_s
        try:
            async with asyncio.timeout_at(self._deadline) as limit, AsyncExitStack() as stack:
                session = await self._connect(turn, stack)
                await self._patiently(lambda: self._check(session))
                await self._patiently(lambda: self._write(session))
                # As late as this: a proof that our own writing of a parameter fulfils would prove nothing.
                await proofs.note(session, self._command, self._values, self._trace)
                # Not between record and trigger: a crash there would leave `unknown`, though nothing was sent.
                await self._prove(session)
                limit.reschedule(None)  # from here on nothing cuts the conversation
                await before_trigger()
                if clock() > self._deadline:
                    raise TimeoutError
                turn.require()
                return await self._tell(session, turn)
        except TimeoutError as error:
            raise DeadlinePassed(
                f"the command's {self._command.time_limit_s:g} s were over before the machine was told"
            ) from error

    async def _connect(self, turn: Turn, stack: AsyncExitStack) -> Session:
        """As often as the command says: nothing was sent yet."""
        for left in reversed(range(self._command.connect_tries)):
            try:
                return await stack.enter_async_context(self._session(turn))
            except LinkUnavailable as error:
                if not left:
                    raise
                await self._pause_before_retry(error, TRY_AGAIN_LONGEST_S)
        raise AssertionError("a command tries at least once")

    def _session(self, turn: Turn) -> AbstractAsyncContextManager[Session]:
        return turn.session(self._trace.note_frame)

    async def _prove(self, session: Session) -> None:
        try:
            await session.prove()
        except CUT_SHORT as error:
            self._trace.remark(f"the connection was not proven: {reason(error)}")
            raise

    async def _patiently(self, ask: Callable[[], Awaitable[Answer]]) -> Answer:
        """Ask again while the PLC is busy: before the machine is told anything, and to clear what it was told."""
        pause_s = TRY_AGAIN_S
        while True:
            try:
                return await ask()
            except DeviceException as error:
                if error.code not in BUSY:
                    raise
                await self._pause_before_retry(error, pause_s)
                pause_s = min(2 * pause_s, TRY_AGAIN_LONGEST_S)

    async def _pause_before_retry(self, error: ModbusError, pause_s: float) -> None:
        """Raise the error where another try would come after the deadline."""
        if asyncio.get_running_loop().time() + pause_s > self._deadline:
            raise error
        self._trace.remark(f"{error}; tried again")
        await asyncio.sleep(pause_s)

    async def _check(self, session: Session) -> None:
        of = self._command.of
        steps = of(Phase.CHECK) + of(Phase.FAIL_IF) or of(Phase.WAIT)
        if not steps:
            return
        with self._trace.noting_failure(*steps):
            clauses = await interlocks.look(session, self._command, self._values)
        for clause in clauses:
            told: dict[str, Value] = {} if clause.is_met else {"error": clause.detail}
            self._trace.note(clause.step, read=clause.read, wanted=clause.wanted, **told)
            if not clause.is_met:
                raise InterlockOpen(clause.detail)

    async def _write(self, session: Session) -> None:
        steps = self._command.of(Phase.WRITE)
        if not steps:
            return
        await self._set(session, steps)
        for found in await self._look(session, self._command.read_back(Phase.WRITE)):
            self._require_as_written(found)

    def _require_as_written(self, found: Look) -> None:
        with self._trace.noting_failure(found.step):
            actual = found.value  # raises where the PLC did not tell it
        self._trace.note(found.step, read=actual)
        wanted, tag = self._value_of(found.step), found.step.tag
        if not conditions.is_near(tag, actual, wanted, found.step.tolerance or 0.0):
            sent, found_now = conditions.say(tag, wanted), conditions.say(tag, actual)
            raise ReadBackMismatch(f"{tag.name} was written as {sent} and reads back as {found_now}")

    async def _set(self, session: Session, steps: tuple[StepSpec, ...]) -> None:
        values = [(step.tag, self._value_of(step)) for step in steps]
        noted = NotedWrites(self._trace, [(step, value) for step, (_, value) in zip(steps, values, strict=True)])
        try:
            await session.write_all(values, sending=noted.sending)
        except CUT_SHORT as error:
            noted.end(error)
            raise

    async def _tell(self, session: Session, turn: Turn) -> dict[str, Value]:
        """Trigger, wait, read; then clean up, also after an error."""
        try:
            await self._trigger(session)
            for _, together in groupby(self._command.of(Phase.WAIT), key=lambda step: step.position):
                await self._wait(session, tuple(together), self._command.of(Phase.FAIL_IF))
            self._trace.stage = Stage.CONFIRMED
            result = await self._read(session)
            await self._clean_up(session)
        except HandshakeIncomplete:
            raise  # the PLC answered, and its handshake does not end: a second time would say the same
        except BaseException:
            await self._clean_up_after_error(session, turn)
            raise
        return result

    async def _trigger(self, session: Session) -> None:
        (step,) = self._command.of(Phase.TRIGGER)
        # The trigger goes last and alone: the PLC acts on its rising edge.
        self._trace.stage = Stage.TRIGGER
        try:
            await self._set(session, (step,))
        except DeviceException as error:
            if error.code != IN_PROGRESS or not self._command.of(Phase.WAIT):
                raise
        self._trace.stage = Stage.TOLD

    async def _wait(self, session: Session, steps: Sequence[StepSpec], errors: Sequence[StepSpec] = ()) -> None:
        """Look until all conditions hold at once and none of the PLC's `errors` does.

        A PLC that acknowledges and reports an error at once said no. An exception to a look is no answer to the
        trigger.
        """
        clock = asyncio.get_running_loop().time
        end = clock() + min(step.timeout_s or self._command.time_limit_s for step in steps)
        while True:
            waited, reported = await self._look_for_answer(session, steps, errors)
            said_no = any(found.is_met for found in reported)
            is_met = all(found.is_met for found in waited) and all(found.refusal is None for found in reported)
            if said_no or is_met or clock() >= end:
                break
            await asyncio.sleep(self._command.poll_interval_s)
        self._note_last((*waited, *reported), {} if said_no or is_met else {"error": "not met in time"})
        _require_no_error(reported)
        if not is_met:
            raise NoAcknowledge(_what_is_missing(waited))

    async def _look_for_answer(
        self, session: Session, steps: Sequence[StepSpec], errors: Sequence[StepSpec]
    ) -> tuple[Sequence[Look], Sequence[Look]]:
        """What is waited for and the errors, which are never read earlier than an acknowledge that counts."""
        looks = await self._look(session, (*steps, *errors))
        waited, reported = looks[: len(steps)], looks[len(steps) :]
        is_answered = all(found.is_met for found in waited) and not any(found.is_met for found in reported)
        if errors and is_answered and not session.reads_at_once([found.step.tag for found in looks]):
            # Joined reads come in another order: an error may have been set since, together with the acknowledge.
            reported = await self._look(session, errors)
        return waited, reported

    def _note_last(self, looks: Sequence[Look], fault: Mapping[str, Value]) -> None:
        for found in looks:
            is_error = found.step.phase is Phase.FAIL_IF
            told = ({"error": "reported by the PLC"} if found.is_met else {}) if is_error else fault
            self._trace.note(found.step, read=found.read, wanted=found.wanted, **told)

    async def _look(self, session: Session, steps: Sequence[StepSpec]) -> tuple[Look, ...]:
        with self._trace.noting_failure(*steps):
            return await watch.look(session, steps, self._values)

    async def _read(self, session: Session) -> dict[str, Value]:
        """What was triggered, where it is to be read back; and the result, in the same request where they touch."""
        written, steps = self._command.read_back(Phase.TRIGGER), self._command.of(Phase.READ)
        looks = await self._look(session, (*written, *steps))
        for found in looks[: len(written)]:
            self._require_as_written(found)
        result = {}
        for found in looks[len(written) :]:
            with self._trace.noting_failure(found.step):
                found.value  # noqa: B018 - raises where the PLC did not tell it
            self._trace.note(found.step, read=found.read)
            result[found.step.tag.name] = storable(found.value)
        return result

    async def _clean_up(self, session: Session) -> None:
        """Clear the trigger and see the acknowledge go; a busy PLC is asked again."""
        steps = self._command.of(Phase.CLEANUP)
        if not steps:
            return
        self._deadline = asyncio.get_running_loop().time() + CLEANUP_LIMIT_S
        try:
            async with asyncio.timeout(CLEANUP_LIMIT_S):
                for step in steps:
                    await self._clean_up_one(session, step)
        except (NoAcknowledge, DeviceException, TimeoutError) as error:
            raise HandshakeIncomplete(str(error) or f"cleanup took longer than {CLEANUP_LIMIT_S:g} s") from error

    async def _clean_up_one(self, session: Session, step: StepSpec) -> None:
        if step.operator is Operator.SET:
            await self._patiently(lambda: self._set(session, (step,)))
        else:
            await self._wait(session, (step,))

    async def _clean_up_after_error(self, session: Session, turn: Turn) -> None:
        """Leave the machine clean where that is possible; the first error is the one to tell."""
        if not self._command.of(Phase.CLEANUP) or self._trace.stage is Stage.BEFORE:
            return
        if turn.is_lost:
            self._trace.remark("cleanup not done: the turn was lost, another process may talk to the PLC now")
            self._trace.is_clean = False
            return
        try:
            if session.is_usable:
                await self._clean_up(session)
            else:
                await asyncio.sleep(SLOT_FREE_S)
                async with asyncio.timeout(CLEANUP_LIMIT_S), self._session(turn) as fresh:
                    await self._clean_up(fresh)
        except (HandshakeIncomplete, ModbusError, TimeoutError) as error:
            self._trace.remark(f"cleanup not done: {error or 'took too long'}")
            self._trace.is_clean = False

    def _value_of(self, step: StepSpec) -> Any:
        return conditions.operand(step, self._values)


def _require_no_error(reported: Sequence[Look]) -> None:
    """PLCSaidNo with the PLC's own word where it reports one."""
    for found in reported:
        if found.is_met:
            raise PLCSaidNo(conditions.tell(found.step, found.value), is_applied=found.step.is_applied)


def _what_is_missing(waited: Sequence[Look]) -> str:
    # Where all are met, an error could not be read: then the last thing known is told.
    return "; ".join(found.describe() for found in waited if not found.is_met) or waited[0].describe()
