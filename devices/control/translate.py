"""Registry rows to the frozen specs that the machine's floor works with. Rows stop here."""

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from devices.control import reach
from devices.modbus.errors import ValueRefused
from devices.modbus.networks import Networks
from devices.modbus.tls import Identity
from devices.modbus.types import Endpoint, Limits, Table, TagSpec
from devices.models import PLC, Command, Parameter, Profile, Step, Tag, heartbeat_rules
from devices.models.sequence_rules import SEQUENCE, sequence_faults
from devices.models.step_rules import NOTHING_TO_WAIT_FOR, constants
from devices.models.tag_rules import write_faults
from devices.plc import sequence
from devices.plc.specs import (
    CommandSpec,
    HeartbeatSpec,
    Operator,
    ParameterSpec,
    ParameterType,
    Phase,
    PLCSpec,
    PollSpec,
    StepSpec,
)

logger = logging.getLogger(__name__)

Spec = TypeVar("Spec")

KEPT_BEATS = 3  # a connection over which a heartbeat goes is kept for so many beats without one
KEPT_LEAST_S = 2.0  # and at least so long, whatever delays a beat

PARTS = ("tags", "commands__parameters", "commands__steps__parameter", "commands__steps__tag")
"""What has to be read with profiles that are translated."""

UNUSABLE = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, ValueRefused)
"""What rows raise that no form would have let in."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Contents:
    """What all PLCs of a profile share."""

    tags: Mapping[str, TagSpec]
    polls: Mapping[str, PollSpec]
    commands: Mapping[str, CommandSpec]


def plc_specs(plcs: Iterable[PLC], profiles: Mapping[int, tuple[Profile, Contents]]) -> Iterable[PLCSpec]:
    """The usable ones of these PLCs, read with their heartbeats; `profiles` by key."""
    known = reach.networks()
    there = (plc for plc in plcs if plc.profile_id in profiles)  # else both have changed meanwhile
    specs = (_usable(f"PLC {plc.name}", partial(_plc_spec, plc, *profiles[plc.profile_id], known)) for plc in there)
    return (spec for spec in specs if spec)


def _plc_spec(plc: PLC, profile: Profile, contents: Contents, networks: Networks) -> PLCSpec:
    limits = profile.limits()
    heartbeat = _heartbeat(plc, limits)
    return PLCSpec(
        id=plc.pk,
        name=plc.name,
        title=plc.title,
        area=plc.area,
        profile=profile.name,
        is_enabled=plc.is_enabled,
        endpoint=_endpoint(plc, networks),
        limits=limits,
        read_gap=profile.read_gap_limit,
        probe_table=Table(profile.probe_table),
        probe_address=profile.probe_address,
        max_connections=plc.max_connections,
        max_waiting=plc.max_waiting,
        turn_timeout_s=plc.turn_timeout_s,
        keep_open_s=_keep_open_s(plc, heartbeat),
        tags=contents.tags,
        commands=contents.commands,
        polls=contents.polls,
        heartbeat=heartbeat,
    )


def _keep_open_s(plc: PLC, heartbeat: HeartbeatSpec) -> float:
    if heartbeat.written is None:
        return plc.keep_open_s
    return max(plc.keep_open_s, KEPT_BEATS * heartbeat.interval_s, KEPT_LEAST_S)


def _heartbeat(plc: PLC, limits: Limits) -> HeartbeatSpec:
    """Without what the form would have refused: a PLC whose heartbeat is unusable can still be worked with."""
    written, watched = plc.heartbeat_tag, plc.watched_tag
    return HeartbeatSpec(
        written=_usable(f"the heartbeat to {plc.name}", partial(_written, plc, written, limits)) if written else None,
        interval_s=plc.heartbeat_interval_ms / 1000,
        watched=_usable(f"the heartbeat of {plc.name}", partial(_watched, plc, watched)) if watched else None,
        limit_s=plc.watched_limit_s,
    )


def _written(plc: PLC, row: Tag, limits: Limits) -> TagSpec:
    tag = _own(plc, row)
    if plc.heartbeat_interval_ms < heartbeat_rules.SHORTEST_BEAT_MS:
        raise ValueError(f"{plc.heartbeat_interval_ms} ms between two beats are too short")
    for fault in heartbeat_rules.written_faults(tag, limits):
        raise ValueError(fault)
    return tag


def _watched(plc: PLC, row: Tag) -> TagSpec:
    if not plc.watched_limit_s > 0:
        raise ValueError(f"it cannot stand still for {plc.watched_limit_s} s")
    return _own(plc, row)


def _own(plc: PLC, row: Tag) -> TagSpec:
    """A tag of another machine type means another place in this PLC."""
    if row.profile_id != plc.profile_id:
        raise ValueError(f"tag {row.name} is of another profile")
    return row.spec()


def contents_of(profile: Profile) -> Contents:
    """The specs that all its PLCs share; it was read with its PARTS."""
    rows = profile.tags.all()
    tags = {row.pk: tag for row in rows if (tag := _usable(f"tag {profile.name}.{row.name}", row.spec))}
    limits = _usable(f"profile {profile.name}", profile.limits)
    polls = {row.name: _poll(row, tags[row.pk], limits) for row in rows if limits and row.pk in tags}
    commands = (
        _usable(f"command {profile.name}.{row.name}", partial(command_spec, row, tags))
        for row in profile.commands.all()
    )
    return Contents(
        tags={tag.name: tag for tag in tags.values()},
        polls=polls,
        commands={command.name: command for command in commands if command},
    )


def _poll(row: Tag, tag: TagSpec, limits: Limits) -> PollSpec:
    return PollSpec(
        tag=tag,
        description=row.description,
        is_writable=not any(write_faults(tag, limits)),
        interval_s=row.poll_interval_ms / 1000,
        dead_band=row.dead_band,
        is_recorded=row.is_recorded,
        record_every_s=row.record_every_s,
    )


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


def _endpoint(plc: PLC, networks: Networks) -> Endpoint:
    return Endpoint(
        host=plc.host,
        port=plc.port,
        unit=plc.unit_id,
        connect_timeout_s=plc.connect_timeout_s,
        response_timeout_s=plc.response_timeout_s,
        pause_after_connect_s=plc.pause_after_connect_ms / 1000,
        pause_between_s=plc.pause_between_ms / 1000,
        networks=networks,
        tls=_identity(plc) if plc.uses_tls else None,
    )


def _identity(plc: PLC) -> Identity:
    """A certificate is made for a name without the point that may end it in the network."""
    name = (plc.tls_server_name or plc.host).removesuffix(".")
    return Identity(folder=reach.folder_of(plc.tls_identity), server_name=name)
