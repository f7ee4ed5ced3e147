"""A command's way through its phases on one machine: check, write, trigger, wait, read, cleanup."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from devices.modbus.errors import DeviceException, ModbusError
from devices.modbus.types import Value
from devices.plc import conditions, interlocks, proofs
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

CLEANUP_LIMIT_S = 10.0  # for the whole cleanup, connecting anew included
SLOT_FREE_S = 0.05  # a PLC that serves one connection sees in its next cycle that the lost one was closed
IN_PROGRESS = 5  # exception code: accepted, takes long; the acknowledge will tell

BeforeTrigger = Callable[[], Awaitable[None]]


class Conversation:
    """One command being carried out; `trace.stage` tells how far it came when an error ends it."""

    def __init__(self, command: CommandSpec, values: Mapping[str, Value], *, trace: Trace) -> None:
        self._command = command
        self._values = values
        self._trace = trace

    async def carry_out(self, turn: Turn, before_trigger: BeforeTrigger) -> dict[str, Value]:
        """Run all phases within one turn and return the tags of `read` with their values.

        `before_trigger` makes the intent durable; if it raises, the trigger is not sent.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._command.time_limit_s
        try:
            async with asyncio.timeout_at(deadline) as limit, turn.session() as session:
                await self._check(session)
                await self._write(session)
                # As late as this: a proof that our own writing of a parameter fulfils would prove nothing.
                await proofs.note(session, self._command, self._values, self._trace)
                # Not between record and trigger: a crash there would leave `unknown`, though nothing was sent.
                await session.prove()
                limit.reschedule(None)  # from here on nothing cuts the conversation
                await before_trigger()
                if loop.time() > deadline:
                    raise TimeoutError
                return await self._tell(session, turn)
        except TimeoutError as error:
            raise DeadlinePassed(
                f"the command's {self._command.time_limit_s:g} s were over before the machine was told"
            ) from error

    async def _check(self, session: Session) -> None:
        for step in self._command.of(Phase.CHECK):
            clause = await interlocks.look_at(session, step, self._values)
            self._trace.note(step, read=clause.read)
            if not clause.is_met:
                raise InterlockOpen(clause.detail)
        for step in self._command.of(Phase.FAIL_IF):
            await self._require_no_old_error(session, step)

    async def _require_no_old_error(self, session: Session, step: StepSpec) -> None:
        """An error that stands before the start could not be told from one of this command."""
        clause = await interlocks.look_at(session, step, self._values)
        if not clause.is_met:
            self._trace.note(step, read=clause.read)
            raise InterlockOpen(f"the PLC reports an error already, clear it first: {clause.detail}")

    async def _write(self, session: Session) -> None:
        steps = self._command.of(Phase.WRITE)
        if not steps:
            return
        await self._set(session, steps)
        for step in steps:
            if step.tolerance is not None:
                await self._read_back(session, step, step.tolerance)

    async def _read_back(self, session: Session, step: StepSpec, tolerance: float) -> None:
        wanted, actual = self._value_of(step), await self._read(session, step)
        if not conditions.is_near(step.tag, actual, wanted, tolerance):
            found, sent = conditions.say(step.tag, actual), conditions.say(step.tag, wanted)
            raise ReadBackMismatch(f"{step.tag.name} was written as {sent} and reads back as {found}")

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
            for step in self._command.of(Phase.WAIT):
                await self._wait(session, step, self._command.of(Phase.FAIL_IF))
            self._trace.stage = Stage.CONFIRMED
            result = {step.tag.name: storable(await self._read(session, step)) for step in self._command.of(Phase.READ)}
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

    async def _wait(self, session: Session, step: StepSpec, errors: tuple[StepSpec, ...] = ()) -> None:
        """Look until the condition holds and none of the PLC's `errors` does.

        The errors are looked at last: a PLC that acknowledges and reports an error at once said no. An exception to
        a look is no answer to the trigger.
        """
        wanted = self._value_of(step)
        clock = asyncio.get_running_loop().time
        end = clock() + (step.timeout_s or self._command.time_limit_s)
        while True:
            actual = await self._look(session, step)
            is_without_error = await self._has_no_error(session, errors)
            if is_without_error and actual is not None and conditions.holds(step, actual, wanted):
                self._trace.note(step, read=actual)
                return
            if clock() >= end:
                self._trace.note(step, read=actual, error="not met in time")
                raise NoAcknowledge(conditions.describe(step, actual, wanted))
            await asyncio.sleep(self._command.poll_interval_s)

    async def _has_no_error(self, session: Session, errors: tuple[StepSpec, ...]) -> bool:
        """PLCSaidNo with the PLC's own word where it reports one; False if that could not be read this time."""
        found = [(step, await self._look(session, step)) for step in errors]
        for step, actual in found:
            if actual is not None and conditions.holds(step, actual, self._value_of(step)):
                self._trace.note(step, read=actual)
                raise PLCSaidNo(conditions.tell(step, actual), is_applied=step.is_applied)
        return all(actual is not None for _, actual in found)

    async def _look(self, session: Session, step: StepSpec) -> Value | None:
        try:
            return await session.read(step.tag)
        except DeviceException:
            return None

    async def _read(self, session: Session, step: StepSpec) -> Value:
        value = await session.read(step.tag)
        self._trace.note(step, read=value)
        return value

    async def _clean_up(self, session: Session) -> None:
        """Clear the trigger and see the acknowledge go."""
        try:
            async with asyncio.timeout(CLEANUP_LIMIT_S):
                for step in self._command.of(Phase.CLEANUP):
                    if step.operator is Operator.SET:
                        await self._set(session, (step,))
                    else:
                        await self._wait(session, step)
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
