"""Registers PLCs in a database of the product, a process of its own: `... registry` reads a Plan from stdin.

Prints the key of a MES that may run all commands of all PLCs.
"""

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import django


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is registered."""

    ports: Sequence[int]
    """Of `plc-0`, `plc-1` and so on."""
    tags: int = 0
    """That are polled once a second: half uint32 in input registers, of which five change, and half coils."""
    settings: dict[str, Any] = field(default_factory=dict)
    """Of each PLC, where they are not the usual ones."""


def main() -> None:
    """Register, in a database that is migrated."""
    django.setup()
    from django.db import transaction

    from devices.models import Right
    from tests.access import new_key

    with transaction.atomic():
        _register(Plan(**json.load(sys.stdin)))
        key = new_key("mes", Right.VIEW, Right.EXECUTE)
    print(json.dumps({"key": key}))


def _register(plan: Plan) -> None:
    from devices.models import PLC, Tag
    from tests.models import rows

    profile = rows.stored(rows.profile())
    _add_command(profile)
    Tag.objects.bulk_create(_watched(profile, plan.tags))
    PLC.objects.bulk_create(
        rows.plc(profile, name=f"plc-{number}", host="127.0.0.1", port=port, **plan.settings)
        for number, port in enumerate(plan.ports)
    )


def _add_command(profile: Any) -> None:
    """Two neighbouring registers, then a coil; nothing is looked at, as the peers look at nothing."""
    from tests.models import rows

    unwatched = {"poll_interval_ms": 0}
    names = ("batch_size", "nok_num")
    tags = [rows.stored(rows.register(profile, name=name, address=at, **unwatched)) for at, name in enumerate(names)]
    command = rows.stored(rows.command(profile))
    for position, tag in enumerate(tags, start=1):
        parameter = rows.stored(rows.parameter(command, name=tag.name))
        rows.stored(rows.step(command, tag, position=position, value="", parameter=parameter))
    start = rows.stored(rows.coil(profile, **unwatched))
    rows.stored(rows.step(command, start, phase="trigger", position=3))


def _watched(profile: Any, count: int) -> Iterator[Any]:
    from tests.models import rows

    for number in range(count // 2):
        place = {"name": f"value_{number:02}", "table": "input_register", "address": 2 * number, "data_type": "uint32"}
        yield rows.register(profile, **place)
    for number in range(count - count // 2):
        yield rows.coil(profile, name=f"bit_{number:02}", address=number)


if __name__ == "__main__":
    main()
