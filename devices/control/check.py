"""Dry run: what would stop a command now. Nothing is written, and no run comes to be."""

from collections.abc import Mapping
from typing import Any

from devices.control.callers import Caller
from devices.control.gateway import current
from devices.control.read import reading_session
from devices.control.submit import command_of, order_of
from devices.plc import interlocks
from devices.plc.interlocks import Clause


async def check(plc: str, command: str, given: Mapping[str, Any], caller: Caller) -> tuple[Clause, ...]:
    """Read the interlocks of a PLC's command with these parameters, in the PLC's turn like any command.

    Raises a Refused error where the command could not even be asked for, QueueFull where as many wait for the PLC as
    may, NotRead where the PLC did not answer.
    """
    gateway = current()
    spec = await gateway.registry.find_for(plc, caller.rights)
    await gateway.lock_outs.refresh()
    order = order_of(gateway.registry, spec, command_of(spec, command), given, caller)
    gateway.lock_outs.require_none(spec)
    async with reading_session(gateway, order.plc, order.command.time_limit_s) as session:
        return await interlocks.look(session, order.command, order.values)
