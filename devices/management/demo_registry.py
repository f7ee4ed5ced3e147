"""The demo's registry: a profile, its tags and commands, five PLCs.

What is missing is added, what is there stays as the engineer left it. So running again keeps all data.
"""

from collections.abc import Mapping
from typing import Any, TypeVar

from django.db import models, transaction

from devices.management.demo_machines import HOST, MACHINES, DemoMachine
from devices.modbus.types import TagSpec
from devices.models import PLC, Command, Parameter, Profile, Step, Tag
from devices.simulator import batch_map

PROFILE = "batch-machine"

Row = TypeVar("Row", bound=models.Model)


DESCRIPTIONS = {
    "start": "Trigger: the rising edge starts a batch with the parameters as they are then",
    "reset_fault": "Clears the fault; the machine clears this bit itself",
    "ready": "A start would be accepted",
    "running": "A batch is being made",
    "fault": "Stopped by a fault; no start is accepted until it is reset",
    "start_ack": "The machine took the start; goes when the start is cleared",
    "batch_size": "Good parts to make",
    "nok_num": "Failures in a row that are let pass; one more stops the machine",
    "temperature_setpoint": "Wanted temperature of the tool",
    "good_count": "Good parts of this batch",
    "nok_count": "Failed parts of this batch",
    "temperature": "Measured temperature of the tool",
    "heartbeat": "Plus one every 500 ms: the program runs",
    "state": "PackML state",
    "error_code": "Why the machine stopped",
    "batch_number": "Plus one at each accepted start",
}


WATCHED: Mapping[str, Mapping[str, Any]] = {
    "ready": {"poll_interval_ms": 500},
    "running": {"poll_interval_ms": 500},
    "fault": {"poll_interval_ms": 500},
    "good_count": {"poll_interval_ms": 500, "is_recorded": True},
    "nok_count": {"poll_interval_ms": 500, "is_recorded": True},
    "temperature": {"poll_interval_ms": 500, "is_recorded": True, "dead_band": 0.1},
    "heartbeat": {"poll_interval_ms": 500},
    "state": {"poll_interval_ms": 500},
}
"""How tags are watched; the others every second."""


@transaction.atomic
def create() -> None:
    """Add whatever the demo lacks."""
    profile, _ = _add(Profile, {"name": PROFILE}, {"description": "The simulated batch machine of the demo"})
    tags = {spec.name: _add_tag(profile, spec) for spec in batch_map.TAGS}
    _add_start_batch(profile, tags)
    _add_reset_fault(profile, tags)
    for machine in MACHINES:
        _add_plc(profile, machine, tags["heartbeat"])


def _add_tag(profile: Profile, spec: TagSpec) -> Tag:
    values = {
        "description": DESCRIPTIONS[spec.name],
        "table": spec.table,
        "address": spec.address,
        "data_type": spec.data_type,
        "byte_order": spec.byte_order,
        "unit": spec.unit,
        "minimum": spec.minimum,
        "maximum": spec.maximum,
        "labels": {str(number): text for number, text in spec.labels.items()},
        **WATCHED.get(spec.name, {}),
    }
    return _add(Tag, {"profile": profile, "name": spec.name}, values)[0]


def _add_start_batch(profile: Profile, tags: Mapping[str, Tag]) -> None:
    description = "Starts a batch, also in place of a running one; the result is its batch number"
    command, is_new = _add(
        Command, {"profile": profile, "name": "start_batch"}, {"title": "Start a batch", "description": description}
    )
    if not is_new:
        return
    size = _add_parameter(command, "batch_size", "batch size", default=15, limits=batch_map.BATCH_SIZE_RANGE)
    nok = _add_parameter(command, "nok_num", "maximum consecutive failures", default=3, limits=batch_map.NOK_NUM_RANGE)
    steps = (
        Step(phase="check", tag=tags["fault"], operator="==", value="0", message="the machine has a fault, reset it"),
        # A start that was left set (a link lost amid the handshake) has no rising edge to give: its old
        # acknowledge would pass for ours.
        Step(
            phase="check",
            tag=tags["start_ack"],
            operator="==",
            value="0",
            message="the machine still acknowledges an earlier start, whose start bit was not cleared",
        ),
        Step(phase="write", tag=tags["batch_size"], parameter=size),
        Step(phase="write", tag=tags["nok_num"], parameter=nok),
        Step(phase="trigger", tag=tags["start"], value="1"),
        Step(
            phase="wait",
            tag=tags["start_ack"],
            operator="==",
            value="1",
            timeout_s=5.0,
            message="the machine did not acknowledge the start",
        ),
        Step(phase="read", tag=tags["batch_number"], operator="get"),
        Step(phase="cleanup", tag=tags["start"], value="0"),
        Step(
            phase="cleanup",
            tag=tags["start_ack"],
            operator="==",
            value="0",
            timeout_s=2.0,
            message="the machine did not take back its acknowledge",
        ),
    )
    _add_steps(command, *steps)


def _add_reset_fault(profile: Profile, tags: Mapping[str, Tag]) -> None:
    """A plain command: its one write is the trigger, and nothing confirms it."""
    description = "Clears the fault of the machine"
    command, is_new = _add(
        Command, {"profile": profile, "name": "reset_fault"}, {"title": "Reset the fault", "description": description}
    )
    if is_new:
        _add_steps(command, Step(phase="trigger", tag=tags["reset_fault"], value="1"))


def _add_parameter(command: Command, name: str, label: str, *, default: int, limits: tuple[int, int]) -> Parameter:
    low, high = limits
    values = {"label": label, "data_type": "integer", "default": default, "minimum": low, "maximum": high}
    return _add(Parameter, {"command": command, "name": name}, values)[0]


def _add_steps(command: Command, *steps: Step) -> None:
    """Only to a new command: the order of an engineer's own steps is not ours to guess."""
    for position, step in enumerate(steps, start=1):
        step.command = command
        step.position = position
        step.full_clean()
        step.save()


def _add_plc(profile: Profile, machine: DemoMachine, heartbeat: Tag) -> None:
    values = {
        "title": machine.title,
        "area": machine.area,
        "profile": profile,
        "host": HOST,
        "port": machine.port,
        "watched_tag": heartbeat,
    }
    _add(PLC, {"name": machine.name}, values)


def _add(kind: type[Row], key: Mapping[str, Any], values: Mapping[str, Any]) -> tuple[Row, bool]:
    """The row of that key and whether it is new; one that was there is left as it is."""
    found = kind._default_manager.filter(**key).first()  # noqa: SLF001 - Django's documented name
    if found is not None:
        return found, False
    row = kind(**key, **values)
    row.full_clean()
    row.save()
    return row, True
