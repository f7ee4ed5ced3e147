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
    read: Value | None
    """None: the PLC refused to be read."""
    is_met: bool
    detail: str
    """What was found and what was wanted; of an error that the PLC reports, its own word."""


async def look(session: Session, command: CommandSpec, values: Mapping[str, Value]) -> tuple[Clause, ...]:
    """Read each `check`, and each `fail_if`, whose error must not stand yet; in their order."""
    steps = (*command.of(Phase.CHECK), *command.of(Phase.FAIL_IF))
    return tuple([await look_at(session, step, values) for step in steps])


async def look_at(session: Session, step: StepSpec, values: Mapping[str, Value]) -> Clause:
    """Read one of them."""
    read, wanted = await session.read(step.tag), conditions.operand(step, values)
    holds = conditions.holds(step, read, wanted)
    if step.phase is not Phase.FAIL_IF:
        # The engineer's message is for one that is not met: “the guard door is open” would be a false alarm.
        detail, is_met = (conditions.compare if holds else conditions.describe)(step, read, wanted), holds
    elif holds:
        detail, is_met = conditions.tell(step, read), False
    else:
        detail, is_met = f"{step.tag.name} is {conditions.say(step.tag, read)}", True
    return Clause(tag=step.tag.name, read=read, is_met=is_met, detail=detail)
