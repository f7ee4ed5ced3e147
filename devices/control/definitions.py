"""A command as it stood when a run was made, from its stored form back to its spec."""

from typing import Any

from pydantic import TypeAdapter

from devices.plc.specs import CommandSpec

_COMMAND = TypeAdapter(CommandSpec)


def command_of(content: dict[str, Any]) -> CommandSpec:
    """The command that a stored definition holds."""
    return _COMMAND.validate_python(content["command"])
