"""A machine type with one command of each kind, its PLC at the double's port, and a caller."""

import asyncio
from typing import Any

from channels.db import database_sync_to_async

from devices.control.callers import Caller
from devices.control.records import RunRecord
from devices.control.rights import EVERYTHING
from devices.control.submit import submit
from devices.modbus.types import Table
from devices.models import PLC, Command, Parameter, Profile, Run, Step, Tag
from tests import prepared

MES = Caller(name="key mes-line-1", source="10.0.0.7", rights=EVERYTHING)

TAGS: dict[str, tuple[Table, int, str]] = {
    "start": (Table.COIL, 0, "bool"),
    "reset": (Table.COIL, 1, "bool"),
    "fault": (Table.DISCRETE_INPUT, 2, "bool"),
    "ack": (Table.DISCRETE_INPUT, 3, "bool"),
    "batch_size": (Table.HOLDING_REGISTER, 0, "uint16"),
    "nok_num": (Table.HOLDING_REGISTER, 1, "uint16"),
    "recipe": (Table.HOLDING_REGISTER, 5, "uint16"),
    "setpoint": (Table.HOLDING_REGISTER, 10, "float32"),
    "batch_number": (Table.INPUT_REGISTER, 9, "uint32"),
}
PLACES = {name: (table, address) for name, (table, address, _) in TAGS.items()}

PATIENT = {"connect_timeout_s": 5.0, "response_timeout_s": 5.0}  # that this computer is busy makes no PLC late
GIVES_UP_SOON = {"connect_timeout_s": 1.0, "response_timeout_s": 1.0}  # where the test waits for that
WAIT_S = 0.2  # for the acknowledge to come, and to go

HANDSHAKE: list[dict[str, Any]] = [
    {"phase": "check", "tag": "fault", "operator": "==", "value": "0", "message": "the machine has a fault"},
    {"phase": "write", "tag": "batch_size", "parameter": "batch_size"},
    {"phase": "write", "tag": "nok_num", "parameter": "nok_num"},
    {"phase": "write", "tag": "recipe", "value": "7"},
    {"phase": "write", "tag": "setpoint", "value": "21.5"},
    {"phase": "trigger", "tag": "start", "value": "1"},
    {
        "phase": "wait",
        "tag": "ack",
        "operator": "==",
        "value": "1",
        "timeout_s": WAIT_S,
        "message": "no answer to start",
    },
    {"phase": "read", "tag": "batch_number", "operator": "get"},
    {"phase": "cleanup", "tag": "start", "value": "0"},
    {"phase": "cleanup", "tag": "ack", "operator": "==", "value": "0", "timeout_s": WAIT_S, "message": "it stays"},
]
PARAMETERS: list[dict[str, Any]] = [
    {"name": "batch_size", "data_type": "integer", "default": 15, "minimum": 1, "maximum": 10_000},
    {"name": "nok_num", "data_type": "integer", "default": 3, "minimum": 0, "maximum": 1000},
]


def make_profile(name: str = "batch-machine") -> Profile:
    """Tags; `start_batch`, a handshake with parameters; `reset`, one plain write."""
    if name != "batch-machine" or Profile.objects.exists():
        return make_profile_anew(name)
    prepared.put_in(make_profile_anew)
    return Profile.objects.get()


def make_profile_anew(name: str = "batch-machine") -> Profile:
    """Row by row, as an engineer does, each told in the audit."""
    profile = _stored(Profile(name=name))
    for tag, (table, address, data_type) in TAGS.items():
        _stored(Tag(profile=profile, name=tag, table=table, address=address, data_type=data_type))
    make_command(profile, "start_batch", HANDSHAKE, PARAMETERS)
    make_command(profile, "reset", [{"phase": "trigger", "tag": "reset", "value": "1"}])
    return profile


def make_command(
    profile: Profile,
    name: str,
    steps: list[dict[str, Any]],
    parameters: list[dict[str, Any]] | None = None,
    **more: Any,
) -> Command:
    """A command of these steps; tags and parameters by name."""
    command = _stored(Command(profile=profile, name=name, poll_interval_ms=10, **more))
    inputs = {given["name"]: _stored(Parameter(command=command, **given)) for given in parameters or []}
    for position, step in enumerate(steps):
        tag = Tag.objects.get(profile=profile, name=step["tag"])
        fields = {**step, "tag": tag, "parameter": inputs.get(step.get("parameter", ""))}
        _stored(Step(command=command, position=position, **fields))
    return command


@database_sync_to_async
def change_command(name: str, **fields: Any) -> None:
    """Change a command as the admin does."""
    command = Command.objects.get(name=name)
    for field, value in fields.items():
        setattr(command, field, value)
    _stored(command)


def make_plc(profile: Profile, name: str = "press-1", **settings: Any) -> PLC:
    """A PLC whose answers may be late."""
    usual = {"host": "127.0.0.1", "port": 1, **PATIENT}
    return _stored(PLC(profile=profile, name=name, **usual | settings))


def _stored(row: Any) -> Any:
    row.full_clean()
    row.save()
    return row


async def call(command: str = "start_batch", given: dict[str, Any] | None = None, *, plc: str = "press-1") -> RunRecord:
    """Ask for a command as the MES does, and wait for its outcome."""
    async with asyncio.timeout(30):
        return await submit(plc, command, given or {}, MES)


@database_sync_to_async
def runs() -> list[Run]:
    """All rows, oldest first."""
    return list(Run.objects.order_by("id"))


async def the_run() -> Run:
    """The only row."""
    (run,) = await runs()
    return run


async def stored_as(record: RunRecord) -> Run:
    """The row of a record, proven to say the same as the record that the caller got, in a true order of times."""
    run = await database_sync_to_async(Run.objects.get)(pk=record.id)
    assert RunRecord.from_row(run) == record
    times = [run.accepted_at, run.started_at, run.triggered_at, run.finished_at]
    happened = [at for at in times if at is not None]
    assert happened == sorted(happened)
    assert run.version <= len(happened), "a moment costs one durable change at most"
    return run
