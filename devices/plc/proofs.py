"""Whether a machine did what a command asked, where contact was lost: the command's `proof` conditions. Only reads.

A proof is never a false answer: what held already before the start, what the command itself writes, what a PLC shows
after a restart, or what a later run may have brought about, proves nothing.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from devices.modbus import codec
from devices.modbus.types import TagSpec, Value
from devices.plc import conditions, interlocks, watch
from devices.plc.interlocks import Clause
from devices.plc.sequence import SEQUENCE
from devices.plc.session import Session
from devices.plc.specs import CommandSpec, Operator, Phase
from devices.plc.trace import Trace
from devices.plc.watch import Look


async def look(session: Session, command: CommandSpec, values: Mapping[str, Value]) -> tuple[Clause, ...]:
    """Read each proof now, and each `fail_if`: what was done with an error did not succeed.

    One that the PLC refuses to be read is not met, and says so.
    """
    steps = command.of(Phase.PROOF) + command.of(Phase.FAIL_IF)
    return tuple(_clause(found) for found in await watch.look(session, steps, values))


def _clause(found: Look) -> Clause:
    if found.read is None:
        detail = f"{found.step.tag.name} was not read ({found.refusal})"
        return Clause(step=found.step, wanted=found.wanted, read=None, is_met=False, detail=detail)
    if found.step.phase is not Phase.FAIL_IF:
        return interlocks.of_condition(found)
    said = conditions.tell(found.step, found.read) if found.is_met else conditions.say(found.step.tag, found.read)
    detail = f"the PLC reports an error: {said}" if found.is_met else f"{found.step.tag.name} is {said}"
    return Clause(step=found.step, wanted=found.wanted, read=found.read, is_met=not found.is_met, detail=detail)


async def note(session: Session, command: CommandSpec, values: Mapping[str, Value], trace: Trace) -> None:
    """Before the trigger, and after all else that is written: leave in the trace what the proofs say already."""
    for clause in map(_clause, await watch.look(session, command.of(Phase.PROOF), values)):
        if clause.read is None:
            trace.note(clause.step, error=clause.detail)
        else:
            trace.note(clause.step, read=clause.read, wanted=clause.wanted, is_met=clause.is_met)


def may_have_held(trace: Iterable[Mapping[str, Any]]) -> bool:
    """Whether all proofs may have held before the trigger: unless one was read then that did not."""
    return not any(entry.get("phase") == Phase.PROOF and entry.get("is_met") is False for entry in trace)


def hold_at_zero(command: CommandSpec, values: Mapping[str, Value]) -> bool:
    """Whether a PLC that has restarted, all its registers zero, shows all that the proofs ask for."""
    zeros = [(step, codec.decode(step.tag, [0] * step.tag.count)) for step in command.of(Phase.PROOF)]
    return all(conditions.holds(step, zero, conditions.operand(step, values)) for step, zero in zeros)


def shows_number(command: CommandSpec) -> bool:
    """Whether the machine shows the number of the run that it carried out."""
    named = {parameter.name for parameter in command.parameters}
    return SEQUENCE not in named and any(
        step.parameter == SEQUENCE and step.operator is Operator.EQUAL for step in command.of(Phase.PROOF)
    )


def is_written_over(command: CommandSpec, later: CommandSpec) -> bool:
    """Whether a later command sets a place that carries the number of this one to something else than its own number.

    What its caller gave, or a constant, may be any number; so may its own number in another layout of the tag.
    """
    carriers = [step.tag for step in command.steps if step.parameter == SEQUENCE]
    is_given = any(parameter.name == SEQUENCE for parameter in later.parameters)
    return any(
        tag.overlaps(step.tag) and (is_given or step.parameter != SEQUENCE or _layout(tag) != _layout(step.tag))
        for step in later.steps
        if step.operator is Operator.SET
        for tag in carriers
    )


def _layout(tag: TagSpec) -> object:
    """All that tells which registers a value becomes."""
    return tag.address, tag.data_type, tag.byte_order, tag.bit, tag.length, tag.scale, tag.offset


def written_by_itself(command: CommandSpec) -> str | None:
    """The tag of a proof whose place in the PLC the command itself writes: it would show our own doing."""
    written = [step.tag for step in command.steps if step.operator is Operator.SET]
    looked_at = [step.tag for step in command.of(Phase.PROOF)]
    return next((tag.name for tag in looked_at if any(tag.overlaps(other) for other in written)), None)
