"""Write one tag: a command of one step, checked, stored, told once and read back like any other.

Its name has a space, which no engineer's command can have, so that the two are never taken for each other.
"""

from contextlib import suppress
from dataclasses import dataclass

from django.utils import timezone

from devices.control.errors import Refused, TagNotWritable
from devices.control.gateway import current
from devices.control.read import as_registered, note, poll_of
from devices.control.records import RunRecord
from devices.control.rights import TAG_WRITE
from devices.control.submit import Reply, Request, begin
from devices.modbus.types import DataType, TagSpec
from devices.models import State
from devices.models.tag_rules import write_faults
from devices.plc.specs import CommandSpec, Operator, ParameterSpec, ParameterType, Phase, PLCSpec, StepSpec

VALUE = "value"
"""The one parameter."""
EXACTLY = 0.0  # what the tag's type makes of the value; a float32 reads back as the float32 that it is

TYPES = {DataType.BOOL: ParameterType.BOOLEAN, DataType.STRING: ParameterType.TEXT}


def name_of(tag: str) -> str:
    """What the writing of a tag is called in the records."""
    return TAG_WRITE + tag


def command_to_write(plc: PLCSpec, name: str) -> CommandSpec:
    """The command that writes a tag; UnknownTag, or TagNotWritable with the reason.

    The write is the trigger: who knows what a machine does when a value changes?
    """
    tag = poll_of(plc, name).tag
    for fault in write_faults(tag, plc.limits):
        raise TagNotWritable(fault)
    return CommandSpec(
        name=name_of(name),
        parameters=(ParameterSpec(name=VALUE, data_type=_type_of(tag), unit=tag.unit),),
        steps=(
            StepSpec(phase=Phase.TRIGGER, tag=tag, operator=Operator.SET, parameter=VALUE, tolerance=EXACTLY),
            StepSpec(phase=Phase.READ, tag=tag, operator=Operator.GET),
        ),
    )


def _type_of(tag: TagSpec) -> ParameterType:
    number = ParameterType.INTEGER if tag.has_whole_values else ParameterType.NUMBER
    return TYPES.get(tag.data_type, number)


@dataclass(frozen=True, kw_only=True, slots=True)
class WriteRequest(Request):
    """A caller wants a tag to hold a value: `command` is the name that the run will have."""

    tag: str

    def command_of(self, plc: PLCSpec) -> CommandSpec:
        """A command made for this tag, as the PLC's profile describes it now."""
        return command_to_write(plc, self.tag)


async def write(request: WriteRequest, limit_s: float | None) -> Reply:
    """Write the tag and tell how that ended, or where it stands after `limit_s` seconds.

    Raises a Refused error where no run came to be. What reads back is what pages and API show from then on.
    """
    pending = await begin(request)
    reply = await pending.reply(limit_s)
    if pending.plc and reply.run.state is State.SUCCEEDED and not reply.is_replayed:
        await _show(pending.plc, reply.run, request.tag)
    return reply


async def _show(plc: PLCSpec, run: RunRecord, tag: str) -> None:
    """Keep what was read back. The answer to the caller does not hang on it: the PLC may be another one by now."""
    with suppress(Refused):
        gateway = current()
        if now := await as_registered(gateway, plc, tag):
            note(gateway, now, tag, run.result[tag], at=run.finished_at or timezone.now())
