"""A caller asks for a command: checked, started, and waited for."""

import asyncio
from collections.abc import Mapping
from typing import Any

from devices.control import parameters
from devices.control.errors import PLCDisabled, UnknownCommand
from devices.control.execute import Order
from devices.control.gateway import current
from devices.control.records import Caller, RunRecord
from devices.control.registry import Registry
from devices.plc.specs import CommandSpec, PLCSpec

__all__ = ["Caller", "submit"]


async def submit(plc: str, command: str, given: Mapping[str, Any], caller: Caller) -> RunRecord:
    """Run a PLC's command and return its final record.

    `plc` is a name or a number. Raises a Refused error where no run came to be. A caller that goes away
    does not cut the run: it ends in its own task.
    """
    gateway = current()
    spec = await gateway.registry.find(plc)
    order = order_of(gateway.registry, spec, command, given, caller)
    return await asyncio.shield(gateway.begin(order))


def order_of(registry: Registry, plc: PLCSpec, name: str, given: Mapping[str, Any], caller: Caller) -> Order:
    """What is asked for, checked and complete; a Refused error says what is wrong with it."""
    command = _command_of(plc, name)
    if not plc.is_enabled:
        raise PLCDisabled(f"{plc.name} is disabled in the registry; a controls engineer can enable it")
    return Order(
        plc=plc,
        command=command,
        values=parameters.check(command, given),
        caller=caller,
        definition=registry.definitions.of(plc, command),
    )


def _command_of(plc: PLCSpec, name: str) -> CommandSpec:
    command = plc.commands.get(name)
    if command is None:
        known = ", ".join(sorted(plc.commands)) or "none"
        raise UnknownCommand(f"{plc.name} has no command {name!r}; it has: {known}")
    return command
