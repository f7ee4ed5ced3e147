"""Numbered presses as an engineer registers them: `make` and `knock`, each with the job's number as its trigger."""

from collections.abc import Mapping, Sequence
from typing import Any

from devices.models import PLC, Command, Parameter, Profile, Step, Tag
from tests.faults.numbered_press import ACK, DOOR, KNOCK, MADE, ORDER, START, NumberedPress

PLACES = {"order": ORDER, "start": START, "door": DOOR, "ack": ACK, "made": MADE, "knock": KNOCK}
CONNECT_S = 2.0
ANSWER_S = 0.5
WAIT_S = 0.5

MAKE: list[dict[str, Any]] = [
    {"phase": "check", "tag": "door", "operator": "==", "value": "0", "message": "the door is open"},
    {"phase": "write", "tag": "order", "operator": "set"},
    {"phase": "trigger", "tag": "start", "operator": "set"},
    {"phase": "wait", "tag": "ack", "operator": "==", "timeout_s": WAIT_S},
    {"phase": "read", "tag": "made", "operator": "get"},
    {"phase": "cleanup", "tag": "start", "operator": "set", "value": "0"},
    {"phase": "cleanup", "tag": "ack", "operator": "==", "value": "0", "timeout_s": WAIT_S},
]
KNOCKING: list[dict[str, Any]] = [{"phase": "trigger", "tag": "knock", "operator": "set"}]


def register(presses: Sequence[NumberedPress]) -> list[PLC]:
    """`press-0`, `press-1` and so on, all of one type."""
    profile = _stored(Profile(name="numbered-press"))
    tags = {name: _stored(_tag(profile, name)) for name in PLACES}
    for name, steps in (("make", MAKE), ("knock", KNOCKING)):
        _make_command(profile, name, steps, tags)
    return [_stored(_plc(profile, i, press)) for i, press in enumerate(presses)]


def _make_command(profile: Profile, name: str, steps: list[dict[str, Any]], tags: Mapping[str, Tag]) -> None:
    command = _stored(Command(profile=profile, name=name, poll_interval_ms=10, time_limit_s=5))
    number = _stored(Parameter(command=command, name="number", data_type="integer", minimum=1, maximum=65535))
    for position, step in enumerate(steps):
        parameter = None if "value" in step or step["operator"] == "get" else number
        _stored(Step(command=command, position=position, **{**step, "tag": tags[step["tag"]], "parameter": parameter}))


def _tag(profile: Profile, name: str) -> Tag:
    table, address = PLACES[name]
    return Tag(
        profile=profile, name=name, table=table, address=address, data_type="bool" if name == "door" else "uint16"
    )


def _plc(profile: Profile, i: int, press: NumberedPress) -> PLC:
    limits = {"connect_timeout_s": CONNECT_S, "response_timeout_s": ANSWER_S}
    return PLC(profile=profile, name=f"press-{i}", host=press.double.host, port=press.double.port, **limits)


def _stored(row: Any) -> Any:
    row.full_clean()
    row.save()
    return row
