"""A command's way through its phases on one machine: check, write, trigger, wait, read, cleanup."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from itertools import groupby
from typing import Any, TypeVar

from devices.modbus.errors import BUSY, IN_PROGRESS, DeviceException, LinkUnavailable, ModbusError
from devices.modbus.types import Value
from devices.plc import conditions, interlocks, watch
from devices.plc.errors import (
    DeadlinePassed,
    HandshakeIncomplete,
    InterlockOpen,
    NoAcknowledge,
    PLCSaidNo,
    ReadBackMismatch,
)
from devices.plc.pool import Turn
from devices.plc.session import Session
from devices.plc.specs import CommandSpec, Operator, Phase, StepSpec
from devices.plc.trace import Stage, Trace, storable
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
                # Not between record and trigger: a crash there would leave `unknown`, though nothing was sent.
                await session.prove()
                limit.reschedule(None)  # from here on nothing cuts the conversation
                await before_trigger()
                if clock() > self._deadline:
                    raise TimeoutError
                return await self._tell(session, turn)
        except TimeoutError as error:
            raise DeadlinePassed(
                f"the command's {self._command.time_limit_s:g} s were over before the machine was told"
            ) from error

    async def _connect(self, turn: Turn, stack: AsyncExitStack) -> Session:
        """As often as the command says: nothing was sent yet."""
        for left in reversed(range(self._command.connect_tries)):
            try:
                return await stack.enter_async_context(turn.session())
            except LinkUnavailable as error:
                if not left:
                    raise
                await self._pause_before_retry(error, TRY_AGAIN_LONGEST_S)
        raise AssertionError("a command tries at least once")

    async def _patiently(self, ask: Callable[[], Awaitable[Answer]]) -> Answer:
        """Ask again while the PLC is busy: the machine was not told anything yet."""
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
        for clause in await interlocks.look(session, self._command, self._values):
            self._trace.note(clause.step, read=clause.read)
            if not clause.is_met:
                raise InterlockOpen(clause.detail)

    async def _write(self, session: Session) -> None:
        steps = self._command.of(Phase.WRITE)
        if not steps:
            return
        await self._set(session, steps)
        await self._read_back(session, tuple(step for step in steps if step.tolerance is not None))

    async def _read_back(self, session: Session, steps: Sequence[StepSpec]) -> None:
        for found in await watch.look(session, steps, self._values):
            self._trace.note(found.step, read=found.value)
            wanted, tag = self._value_of(found.step), found.step.tag
            if not conditions.is_near(tag, found.value, wanted, found.step.tolerance or 0.0):
                actual, sent = conditions.say(tag, found.value), conditions.say(tag, wanted)
                raise ReadBackMismatch(f"{tag.name} was written as {sent} and reads back as {actual}")

    async def _set(self, session: Session, steps: tuple[StepSpec, ...]) -> None:
        values = [(step.tag, self._value_of(step)) for step in steps]
        left = list(zip(steps, values, strict=True))

        def note_confirmed(count: int) -> None:
            for step, (_, value) in left[:count]:
                self._trace.note(step, sent=value)
            del left[:count]

        try:
            await session.write_all(values, on_confirmed=note_confirmed)
        except ModbusError as error:
            for step, _ in left:
                self._trace.note(step, error=f"not confirmed: {error}")
            raise

    async def _tell(self, session: Session, turn: Turn) -> dict[str, Value]:
        """Trigger, wait, read; then clean up, also after an error."""
        try:
            await self._trigger(session)
            for _, together in groupby(self._command.of(Phase.WAIT), key=lambda step: step.position):
                await self._wait(session, tuple(together), self._command.of(Phase.FAIL_IF))
            self._trace.stage = Stage.CONFIRMED
            result = await self._read(session, self._command.of(Phase.READ))
        except BaseException:
            await self._clean_up_after_error(session, turn)
            raise
        await self._clean_up(session)
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

        The errors are looked at last: a PLC that acknowledges and reports an error at once said no. An exception to
        a look is no answer to the trigger.
        """
        clock = asyncio.get_running_loop().time
        start = clock()
        while True:
            looks = await watch.look(session, (*steps, *errors), self._values)
            waited, reported = looks[: len(steps)], looks[len(steps) :]
            is_silent = self._hear(reported)
            if is_silent and all(found.is_met for found in waited):
                return self._note_met(waited)
            self._require_time_left(waited, clock() - start)
            await asyncio.sleep(self._command.poll_interval_s)

    def _hear(self, reported: Sequence[Look]) -> bool:
        """PLCSaidNo with the PLC's own word where it reports an error; False if that could not be read this time."""
        for found in reported:
            if found.is_met:
                self._trace.note(found.step, read=found.read)
                raise PLCSaidNo(conditions.tell(found.step, found.value), is_applied=found.step.is_applied)
        return all(found.refusal is None for found in reported)

    def _note_met(self, waited: Sequence[Look]) -> None:
        for found in waited:
            self._trace.note(found.step, read=found.read)

    def _require_time_left(self, waited: Sequence[Look], passed_s: float) -> None:
        if passed_s < min(found.step.timeout_s or self._command.time_limit_s for found in waited):
            return
        for found in waited:
            self._trace.note(found.step, read=found.read, error="not met in time")
        # Where all are met, an error could not be read: then the last thing known is told.
        missing = [found for found in waited if not found.is_met] or waited
        raise NoAcknowledge("; ".join(found.describe() for found in missing))

    async def _read(self, session: Session, steps: Sequence[StepSpec]) -> dict[str, Value]:
        result = {}
        for found in await watch.look(session, steps, self._values):
            self._trace.note(found.step, read=found.value)
            result[found.step.tag.name] = storable(found.value)
        return result

    async def _clean_up(self, session: Session) -> None:
        """Clear the trigger and see the acknowledge go."""
        try:
            async with asyncio.timeout(CLEANUP_LIMIT_S):
                for step in self._command.of(Phase.CLEANUP):
                    if step.operator is Operator.SET:
                        await self._set(session, (step,))
                    else:
                        await self._wait(session, (step,))
        except (NoAcknowledge, DeviceException, TimeoutError) as error:
            raise HandshakeIncomplete(str(error) or f"cleanup took longer than {CLEANUP_LIMIT_S:g} s") from error

    async def _clean_up_after_error(self, session: Session, turn: Turn) -> None:
        """Leave the machine clean where that is possible; the first error is the one to tell."""
        if not self._command.of(Phase.CLEANUP) or self._trace.stage is Stage.BEFORE:
            return
        try:
            if session.is_usable:
                await self._clean_up(session)
            else:
                await asyncio.sleep(SLOT_FREE_S)
                async with asyncio.timeout(CLEANUP_LIMIT_S), turn.session() as fresh:
                    await self._clean_up(fresh)
        except (HandshakeIncomplete, ModbusError, TimeoutError) as error:
            self._trace.remark(f"cleanup not done: {error or 'took too long'}")
            self._trace.is_clean = False

    def _value_of(self, step: StepSpec) -> Any:
        return conditions.operand(step, self._values)
