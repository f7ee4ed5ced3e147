"""Dry run: what would stop a command now. Nothing is written, and no run comes to be."""

import asyncio
from collections.abc import Mapping
from typing import Any

from devices.control.errors import QueueFull
from devices.control.gateway import QUEUE_RETRY_S, current
from devices.control.reading import told_as_not_read
from devices.control.records import Caller
from devices.control.submit import order_of
from devices.plc import interlocks
from devices.plc.interlocks import Clause
from devices.plc.pool import Pool
from devices.plc.specs import PLCSpec


async def check(plc: str, command: str, given: Mapping[str, Any], caller: Caller) -> tuple[Clause, ...]:
    """Read the interlocks of a PLC's command with these parameters, in the PLC's turn like any command.

    Raises a Refused error where the command could not even be asked for, QueueFull where as many wait for the PLC as
    may: commands are not to wait behind ever more checks. NotRead where the PLC did not answer.
    """
    gateway = current()
    order = order_of(gateway.registry, await gateway.registry.find(plc), command, given, caller)
    _require_room(gateway.pool, order.plc)
    limit_s = order.command.time_limit_s
    with told_as_not_read(limit_s):
        async with asyncio.timeout(limit_s), gateway.pool.session(order.plc) as session:
            return await interlocks.look(session, order.command, order.values)


def _require_room(pool: Pool, plc: PLCSpec) -> None:
    if not pool.is_free(plc) and pool.waiting(plc) >= plc.max_waiting:
        raise QueueFull(f"{plc.max_waiting} already wait for {plc.name}", retry_after_s=QUEUE_RETRY_S)
