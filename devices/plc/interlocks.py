"""What a command's interlocks say now: read fresh, nothing is written."""

from collections.abc import Mapping
from dataclasses import dataclass

from devices.modbus.types import Value
from devices.plc import conditions
from devices.plc.session import Session
from devices.plc.specs import CommandSpec, Phase, StepSpec


@dataclass(frozen=True, kw_only=True, slots=True)
class Clause:
    """One condition that must hold before a command writes anything, and whether it does."""

    tag: str
    is_met: bool
    detail: str
    """What was found and what was wanted; of an error that the PLC reports, its own word."""


async def look(session: Session, command: CommandSpec, values: Mapping[str, Value]) -> tuple[Clause, ...]:
    """Read each `check`, and each `fail_if`, whose error must not stand yet; in their order."""
    checks = [await _check(session, step, values) for step in command.of(Phase.CHECK)]
    return (*checks, *[await _error(session, step, values) for step in command.of(Phase.FAIL_IF)])


async def _check(session: Session, step: StepSpec, values: Mapping[str, Value]) -> Clause:
    actual, wanted = await session.read(step.tag), conditions.operand(step, values)
    is_met = conditions.holds(step, actual, wanted)
    return Clause(tag=step.tag.name, is_met=is_met, detail=conditions.describe(step, actual, wanted))


async def _error(session: Session, step: StepSpec, values: Mapping[str, Value]) -> Clause:
    actual = await session.read(step.tag)
    stands = conditions.holds(step, actual, conditions.operand(step, values))
    detail = conditions.tell(step, actual) if stands else f"{step.tag.name} is {conditions.say(step.tag, actual)}"
    return Clause(tag=step.tag.name, is_met=not stands, detail=detail)
