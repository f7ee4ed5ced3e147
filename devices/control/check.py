"""Dry run: what would stop a command now. Nothing is written, and no run comes to be."""

import asyncio
from collections.abc import Mapping
from typing import Any

from devices.control.errors import NotRead
from devices.control.gateway import current
from devices.control.records import Caller
from devices.control.submit import order_of
from devices.modbus.errors import ModbusError
from devices.plc import interlocks
from devices.plc.errors import PLCOffline
from devices.plc.interlocks import Clause

LATER_S = 5.0  # what a caller is told to wait where the PLC gives no better time


async def check(plc: str, command: str, given: Mapping[str, Any], caller: Caller) -> tuple[Clause, ...]:
    """Read the interlocks of a PLC's command with these parameters, in the PLC's turn like any command.

    Raises a Refused error where the command could not even be asked for, NotRead where the PLC did not answer.
    """
    gateway = current()
    order = order_of(gateway.registry, await gateway.registry.find(plc), command, given, caller)
    try:
        async with asyncio.timeout(order.command.time_limit_s), gateway.pool.session(order.plc) as session:
            return await interlocks.look(session, order.command, order.values)
    except PLCOffline as error:
        raise NotRead(str(error), retry_after_s=error.retry_after_s) from error
    except (ModbusError, TimeoutError) as error:
        limit = f"the command's {order.command.time_limit_s:g} s were over before all was read"
        raise NotRead(str(error) or limit, retry_after_s=LATER_S) from error
