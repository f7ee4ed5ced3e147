"""What stands against a command now: read fresh, nothing is written."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from devices.modbus.types import Value
from devices.plc import conditions, watch
from devices.plc.session import Session
from devices.plc.specs import CommandSpec, Phase, StepSpec
from devices.plc.watch import Look


@dataclass(frozen=True, kw_only=True, slots=True)
class Clause:
    """One condition that must hold before a command writes anything, and whether it does."""

    step: StepSpec
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
    looks = await watch.look(session, (*steps, *waits), values)
    for found in looks:
        found.value  # noqa: B018 - raises where it was not read
    told = [clauses[found.step.phase](found) for found in looks[: len(steps)]]
    return (*told, *_of_waits(looks[len(steps) :]))


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


def _of_waits(waits: Sequence[Look]) -> Sequence[Clause]:
    """An answer that stands before the start could not be told from the one to this command: no false success."""
    if not waits or not all(found.is_met for found in waits):
        return ()
    told = ", ".join(f"{found.step.tag.name} is {conditions.say(found.step.tag, found.value)}" for found in waits)
    detail = f"what the command waits for is there already, clear it first: {told}"
    return (_clause(waits[0], False, detail),)


def _clause(found: Look, is_met: bool, detail: str) -> Clause:
    return Clause(step=found.step, read=found.value, is_met=is_met, detail=detail)
