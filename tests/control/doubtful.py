"""Runs that nobody knows the end of, on a machine that shows afterwards what it did."""

import hashlib
import json
from typing import Any

from channels.db import database_sync_to_async
from django.utils import timezone
from pydantic import TypeAdapter

from devices.control.loading import Loader
from devices.control.records import RunRecord
from devices.modbus.types import DataType, Table, TagSpec, Value
from devices.models import PLC, Definition, Run, State, Tag
from devices.plc.specs import CommandSpec, Operator, Phase, PLCSpec, StepSpec
from tests.control import rows
from tests.control.rows import call
from tests.doubles.fault_server import FaultServer

ACTIVE = TagSpec(name="active", table=Table.DISCRETE_INPUT, address=8, data_type=DataType.BOOL)
ECHO = TagSpec(name="echo", table=Table.INPUT_REGISTER, address=20, data_type=DataType.UINT16)
START = TagSpec(name="start", table=Table.COIL, address=0, data_type=DataType.BOOL)
PLACES = {tag.name: (tag.table, tag.address) for tag in (ACTIVE, ECHO)}

NOT_BEFORE = [{"at_ms": 1.0, "phase": "proof", "tag": "active", "operator": "==", "read": False, "is_met": False}]
"""The trace of a run whose proof was looked at before the trigger, and did not hold."""

STEPS: list[dict[str, Any]] = [
    {"phase": "write", "tag": "batch_size", "parameter": "batch_size"},
    {"phase": "trigger", "tag": "start", "value": "1"},
    {"phase": "wait", "tag": "ack", "operator": "==", "value": "1", "timeout_s": rows.WAIT_S},
    {"phase": "cleanup", "tag": "start", "value": "0"},
]


def proof(tag: TagSpec, value: Value | None = None, **more: Any) -> StepSpec:
    """One proof condition."""
    return StepSpec(phase=Phase.PROOF, tag=tag, value=value, **{"operator": Operator.EQUAL} | more)


IS_ACTIVE = proof(ACTIVE, True)
IS_OURS = proof(ECHO, parameter="sequence")


def command(*proofs: StepSpec, **more: Any) -> CommandSpec:
    """A command that sets `start`, with these proofs."""
    trigger = StepSpec(phase=Phase.TRIGGER, tag=START, operator=Operator.SET, value=True)
    return CommandSpec(name="lost", steps=(trigger, *proofs), **more)


@database_sync_to_async
def make_command(press: PLC, *proofs: dict[str, Any]) -> None:
    """`lost`: a handshake of `press`'s profile with these proofs."""
    for tag in (ACTIVE, ECHO):
        place = {"table": tag.table, "address": tag.address, "data_type": tag.data_type}
        rows._stored(Tag(profile=press.profile, name=tag.name, **place))
    rows.make_command(press.profile, "lost", [*STEPS, *({"phase": "proof"} | proof for proof in proofs)], SIZE)


SIZE = rows.PARAMETERS[:1]
PROOF = {"tag": "active", "operator": "==", "value": "1"}


async def lost(machine: FaultServer) -> RunRecord:
    """A run of `lost` whose trigger was carried out and never answered, with its definition."""
    machine.swallow_answer_to("start")
    record = await call("lost")
    assert record.state is State.UNKNOWN
    await define(record.id, (await registered()).commands["lost"])
    return record


@database_sync_to_async
def registered() -> PLCSpec:
    """`press-1` as it stands in the registry now."""
    return Loader().load()["press-1"]


@database_sync_to_async
def define(run_id: int, command: CommandSpec) -> None:
    """Note the command that a run ran with."""
    Run.objects.filter(pk=run_id).update(definition=definition_of(command))


def definition_of(command: CommandSpec) -> Definition:
    """The command, as it is kept with its runs."""
    text = json.dumps({"command": TypeAdapter(CommandSpec).dump_python(command, mode="json")})
    found = Definition.objects.get_or_create(
        digest=hashlib.sha256(text.encode()).hexdigest(), defaults={"content": json.loads(text)}
    )
    return found[0]


@database_sync_to_async
def left(press: PLC, command: CommandSpec | None, **fields: Any) -> Run:
    """The row of a run that ended in doubt, told to the machine, its proof not met before."""
    at = timezone.now()
    usual = {"plc": press, "plc_name": press.name, "command": "lost", "caller": "user anna", "accepted_at": at}
    usual |= {"state": State.UNKNOWN, "effect": "unknown", "retry": "after_reconcile", "detail": "lost", "version": 4}
    usual |= {"started_at": at, "triggered_at": at, "finished_at": at, "trace": NOT_BEFORE, "parameters": {}}
    return Run.objects.create(**usual | {"definition": command and definition_of(command)} | fields)


@database_sync_to_async
def row(run_id: int) -> Run:
    """As it is stored now."""
    return Run.objects.get(pk=run_id)


async def is_as_before(record: RunRecord) -> bool:
    """The row is still what the record says."""
    return RunRecord.from_row(await row(record.id)) == record
