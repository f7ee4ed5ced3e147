"""Registry rows to the frozen specs that the machine's floor works with. Rows stop here."""

import logging
from collections.abc import Callable, Iterable
from functools import partial
from typing import TypeVar

from devices.modbus.errors import ValueRefused
from devices.modbus.types import Endpoint, Limits, Table, TagSpec, WriteFunctions
from devices.models import PLC, Command, Parameter, Profile, Step, Tag
from devices.models.sequence_rules import SEQUENCE, sequence_faults
from devices.models.step_rules import NOTHING_TO_WAIT_FOR, constants
from devices.plc import sequence
from devices.plc.specs import CommandSpec, Operator, ParameterSpec, ParameterType, Phase, PLCSpec, StepSpec

logger = logging.getLogger(__name__)

Spec = TypeVar("Spec")

UNUSABLE = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, ValueRefused)
"""What rows raise that no form would have let in."""


def load() -> dict[str, PLCSpec]:
    """Every registered PLC by name, in six queries whatever their number."""
    plcs = list(PLC.objects.all())  # first: a PLC that is added meanwhile may bring a profile of its own
    profiles = Profile.objects.prefetch_related(
        "tags", "commands__parameters", "commands__steps__parameter", "commands__steps__tag"
    )
    parts = {profile.pk: (profile, *_contents(profile)) for profile in profiles}
    specs = (_usable(f"PLC {plc.name}", partial(plc_spec, plc, *parts[plc.profile_id])) for plc in plcs)
    return {spec.name: spec for spec in specs if spec}


def plc_spec(plc: PLC, profile: Profile, tags: dict[str, TagSpec], commands: dict[str, CommandSpec]) -> PLCSpec:
    """One PLC with the tags and commands of its profile."""
    return PLCSpec(
        id=plc.pk,
        name=plc.name,
        title=plc.title,
        area=plc.area,
        profile=profile.name,
        is_enabled=plc.is_enabled,
        endpoint=_endpoint(plc),
        limits=_limits(profile),
        probe_table=Table(profile.probe_table),
        probe_address=profile.probe_address,
        max_connections=plc.max_connections,
        max_waiting=plc.max_waiting,
        turn_timeout_s=plc.turn_timeout_s,
        keep_open_s=plc.keep_open_s,
        tags=tags,
        commands=commands,
    )


def _contents(profile: Profile) -> tuple[dict[str, TagSpec], dict[str, CommandSpec]]:
    rows = profile.tags.all()
    tags = {row.pk: tag for row in rows if (tag := _usable(f"tag {profile.name}.{row.name}", row.spec))}
    commands = (
        _usable(f"command {profile.name}.{row.name}", partial(command_spec, row, tags))
        for row in profile.commands.all()
    )
    return {tag.name: tag for tag in tags.values()}, {command.name: command for command in commands if command}


def _usable(what: str, make: Callable[[], Spec]) -> Spec | None:
    """The spec, or None for one that the form would have refused: one bad row must not take down the rest."""
    try:
        return make()
    except UNUSABLE as error:
        logger.error("%s cannot be used until it is mended in the admin: %s", what, error)
        return None


def command_spec(command: Command, tags: dict[int, TagSpec]) -> CommandSpec:
    """One command; its steps refer to the profile's tags by their keys."""
    steps = tuple(_steps(command.steps.all(), tags))
    if sum(step.phase is Phase.TRIGGER for step in steps) != 1:
        raise ValueError("a command has exactly one trigger")
    phases = {step.phase for step in steps}
    if Phase.FAIL_IF in phases and Phase.WAIT not in phases:
        raise ValueError(NOTHING_TO_WAIT_FOR)
    return CommandSpec(
        name=command.name,
        title=command.title,
        description=command.description,
        parameters=tuple(_parameter(parameter) for parameter in command.parameters.all()),
        steps=steps,
        time_limit_s=command.time_limit_s,
        poll_interval_s=command.poll_interval_ms / 1000,
        expires_after_s=command.expires_after_s,
        connect_tries=command.connect_tries,
    )


def _steps(steps: Iterable[Step], tags: dict[int, TagSpec]) -> Iterable[StepSpec]:
    return (_step(step, tags.get(step.tag_id) or _foreign(step.tag)) for step in steps)


def _foreign(tag: Tag) -> TagSpec:
    """A tag of another profile: refused by the admin, but rows can be written by other hands."""
    return tag.spec()


def _step(step: Step, tag: TagSpec) -> StepSpec:
    operator = Operator(step.operator)
    if operator is not Operator.GET and not step.value and step.parameter is None:
        raise ValueError(f"{step.phase} {tag.name} {operator} has no value")
    is_numbered = step.value == SEQUENCE
    if is_numbered:
        _require_sequence(step, tag)
    values = constants(tag, operator, step.value) if step.value and not is_numbered else ()
    return StepSpec(
        phase=Phase(step.phase),
        tag=tag,
        operator=operator,
        position=step.position,
        value=values[0] if values and operator is not Operator.IN else None,
        choices=values if operator is Operator.IN else (),
        parameter=sequence.SEQUENCE if is_numbered else step.parameter.name if step.parameter else None,
        timeout_s=step.timeout_s,
        message=step.message,
        tolerance=step.tolerance,
        is_applied=step.is_applied,
    )


def _require_sequence(step: Step, tag: TagSpec) -> None:
    """A number that its tag cannot hold would fail each run, or make two of them look the same."""
    for _, fault in sequence_faults(step.phase, step.operator, tag):
        raise ValueError(f"{step.phase} {tag.name} {step.operator}: {fault}")


def _parameter(parameter: Parameter) -> ParameterSpec:
    if parameter.name == sequence.SEQUENCE:
        raise ValueError("a parameter named sequence could not be told from the number of the run")
    return ParameterSpec(
        name=parameter.name,
        data_type=ParameterType(parameter.data_type),
        label=parameter.label,
        unit=parameter.unit,
        minimum=parameter.minimum,
        maximum=parameter.maximum,
        default=parameter.default,
    )


def _endpoint(plc: PLC) -> Endpoint:
    return Endpoint(
        host=plc.host,
        port=plc.port,
        unit=plc.unit_id,
        connect_timeout_s=plc.connect_timeout_s,
        response_timeout_s=plc.response_timeout_s,
        pause_after_connect_s=plc.pause_after_connect_ms / 1000,
        pause_between_s=plc.pause_between_ms / 1000,
    )


def _limits(profile: Profile) -> Limits:
    return Limits(
        read_registers=profile.read_registers_limit,
        read_bits=profile.read_bits_limit,
        write_registers=profile.write_registers_limit,
        write_bits=profile.write_bits_limit,
        write_functions=WriteFunctions(profile.write_functions),
    )
