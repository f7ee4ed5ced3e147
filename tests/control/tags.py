"""A press with tags of every kind to read and write, beside those of rows.py, and callers for them."""

import asyncio
from decimal import Decimal
from typing import Any

from channels.db import database_sync_to_async

from devices.control.callers import Caller
from devices.control.gateway import current
from devices.control.read import read_tag
from devices.control.submit import Reply
from devices.control.values import TagValue
from devices.control.write import WriteRequest, name_of, write
from devices.models import PLC, Profile, Tag
from tests.control.rows import MES
from tests.doubles.faults import Fault
from tests.doubles.wire import Exchange

LONGEST = "a" * 50
HOLDING = {"table": "holding_register"}
MORE: dict[str, dict[str, Any]] = {
    "mode_bit": HOLDING | {"address": 30, "data_type": "bool", "bit": 3},
    "recipe_name": HOLDING | {"address": 40, "data_type": "string", "length": 4},
    "temperature": HOLDING
    | {"address": 50, "data_type": "int16", "scale": Decimal("0.1"), "unit": "°C", "maximum": Decimal(300)},
    "sequence": HOLDING | {"address": 60, "data_type": "uint16"},
    LONGEST: HOLDING | {"address": 61, "data_type": "uint16"},
}


@database_sync_to_async
def add_tags(profile: Profile) -> None:
    """Those of MORE."""
    for name, fields in MORE.items():
        tag = Tag(profile=profile, name=name, **fields)
        tag.full_clean()
        tag.save()


async def put(
    tag: str,
    value: Any,
    *,
    plc: str = "press-1",
    key: str | None = None,
    caller: Caller = MES,
    limit_s: float | None = None,
    **more: Any,
) -> Reply:
    """Write a tag as the API does, and wait for the outcome."""
    given = {"value": value, **more}
    request = WriteRequest(plc=plc, command=name_of(tag), tag=tag, given=given, caller=caller, key=key)
    async with asyncio.timeout(10):
        return await write(request, limit_s)


async def get(tag: str, plc: str = "press-1") -> TagValue:
    """Read a tag of the PLC now."""
    async with asyncio.timeout(20):
        return await read_tag(await current().registry.find(plc), tag)


async def known(tag: str, plc: str = "press-1") -> TagValue:
    """What pages show of a tag, without a look at the PLC."""
    gateway = current()
    return gateway.values.of(await gateway.registry.find(plc)).of(tag)


@database_sync_to_async
def replace_machine(plc: PLC) -> None:
    """As an engineer does who gives a PLC the address of another machine."""
    plc.host = "127.0.0.2"
    plc.save()


def replacing(plc: PLC) -> Fault:
    """The PLC's address is changed while it is asked; the old machine answers all the same."""

    async def change(exchange: Exchange) -> None:
        await replace_machine(plc)
        await exchange.answer()

    return change
