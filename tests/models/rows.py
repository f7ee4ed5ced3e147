"""Rows that are right, so that a test changes only what it is about; and the faults of a row."""

from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import Model

from devices.models import PLC, Command, Parameter, Profile, Step, Tag


def faults_of(row: Model) -> dict[str, list[str]]:
    """What the row's form would show, by field; empty if it may be stored."""
    try:
        row.full_clean()
    except ValidationError as error:
        return error.message_dict
    return {}


def profile(**changes: Any) -> Profile:
    return Profile(**{"name": "batch-machine"} | changes)


def plc(of: Profile, **changes: Any) -> PLC:
    return PLC(**{"name": "press-1", "profile": of, "host": "192.168.0.10"} | changes)


def coil(of: Profile, **changes: Any) -> Tag:
    return Tag(**{"profile": of, "name": "start", "table": "coil", "address": 0, "data_type": "bool"} | changes)


def register(of: Profile, **changes: Any) -> Tag:
    usual = {"profile": of, "name": "batch_size", "table": "holding_register", "address": 0, "data_type": "uint16"}
    return Tag(**usual | changes)


def command(of: Profile, **changes: Any) -> Command:
    return Command(**{"profile": of, "name": "start_batch"} | changes)


def parameter(of: Command, **changes: Any) -> Parameter:
    return Parameter(**{"command": of, "name": "batch_size", "data_type": "integer"} | changes)


def step(of: Command, tag: Tag, **changes: Any) -> Step:
    return Step(**{"command": of, "tag": tag, "phase": "write", "operator": "set", "value": "1"} | changes)


def stored(row: Any) -> Any:
    """The row, checked and saved."""
    row.full_clean()
    row.save()
    return row
