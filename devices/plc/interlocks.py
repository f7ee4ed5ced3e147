"""What stands against a command now: read fresh, nothing is written."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from devices.modbus.types import DataType, Table, Value
from devices.plc import conditions, watch
from devices.plc.conditions import Wanted
from devices.plc.session import Session
from devices.plc.specs import CommandSpec, Phase, StepSpec
from devices.plc.watch import Look

Place = tuple[Table, int, int | None, DataType]


@dataclass(frozen=True, kw_only=True, slots=True)
class Clause:
    """One condition that must hold before a command writes anything, and whether it does."""

    step: StepSpec
    wanted: Wanted
    read: Value | None
    """None: the PLC refused to be read."""
    is_met: bool
    detail: str
    """What was found and what was wanted; of an error that the PLC reports, its own word."""


async def look(session: Session, command: CommandSpec, values: Mapping[str, Value]) -> tuple[Clause, ...]:
    """Read each `check`; each `fail_if`, whose error must not stand yet; and the waits, whose answer must not.

    Without a run its number is not known: what compares with it is left out. DeviceException where the PLC does not
    let one of them be read.
    """
    clauses = {Phase.CHECK: of_condition, Phase.FAIL_IF: _of_error}
    steps = [step for phase in clauses for step in command.of(phase) if _is_known(step, values)]
    waits = command.of(Phase.WAIT)
    waits = waits if all(_is_known(step, values) for step in waits) else ()
    if not (steps or waits):
        return ()
    looks = await watch.look(session, (*steps, *waits), values)
    for found in looks:
        found.value  # noqa: B018 - raises where it was not read
    told = [clauses[found.step.phase](found) for found in looks[: len(steps)]]
    return (*told, *_of_waits(looks[len(steps) :], _own_writing(command, values)))


def _is_known(step: StepSpec, values: Mapping[str, Value]) -> bool:
    return step.parameter is None or step.parameter in values


def of_condition(found: Look) -> Clause:
    """What a condition says that should hold and was read."""
    # The engineer's message is for one that is not met: “the guard door is open” would be a false alarm.
    say = conditions.compare if found.is_met else conditions.describe
    return _clause(found, found.is_met, say(found.step, found.value, found.wanted))


def _of_error(found: Look) -> Clause:
    """An error that stands before the start could not be told from one of this command."""
    if found.is_met:
        error = conditions.tell(found.step, found.value)
        return _clause(found, False, f"the PLC reports an error already, clear it first: {error}")
    return _clause(found, True, f"{found.step.tag.name} is {conditions.say(found.step.tag, found.value)}")


def _of_waits(waits: Sequence[Look], own: Mapping[Place, Value]) -> Sequence[Clause]:
    """Would all that is waited for stand there though the machine did nothing? Then it is no answer: no false success.

    It may stand from an earlier start, or be the command's own writing. A trigger that the machine clears undoes what
    stood before: to wait for that is an answer.
    """
    if not waits or not all(conditions.holds(found.step, _untouched(found, own), found.wanted) for found in waits):
        return ()
    told = ", ".join(
        f"{found.step.tag.name} is {conditions.say(found.step.tag, _untouched(found, own))}" for found in waits
    )
    is_own = any(_place(found.step) in own for found in waits)
    reason = "the command itself writes what it waits for" if is_own else "what the command waits for is there already"
    return (_clause(waits[0], False, f"{reason}, {'mend the command' if is_own else 'clear it first'}: {told}"),)


def _untouched(found: Look, own: Mapping[Place, Value]) -> Value:
    """What would be read after the trigger from a machine that does nothing."""
    return own.get(_place(found.step), found.value)


def _own_writing(command: CommandSpec, values: Mapping[str, Value]) -> Mapping[Place, Value]:
    steps = [*command.of(Phase.WRITE), *command.of(Phase.TRIGGER)]
    known = [step for step in steps if _is_known(step, values)]
    return {_place(step): conditions.as_read(step.tag, conditions.operand(step, values)) for step in known}


def _place(step: StepSpec) -> Place:
    tag = step.tag
    return tag.table, tag.address, tag.bit, tag.data_type


def _clause(found: Look, is_met: bool, detail: str) -> Clause:
    return Clause(step=found.step, wanted=found.wanted, read=found.value, is_met=is_met, detail=detail)
