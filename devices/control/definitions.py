"""A command as it stood when a run was made, from its stored form back to its spec."""

from typing import Any

from pydantic import TypeAdapter

from devices.plc.specs import CommandSpec

COMMAND: TypeAdapter[CommandSpec] = TypeAdapter(CommandSpec)


def command_of(content: Any) -> CommandSpec:
    """The command of a definition's content; ValueError for one that cannot be read."""
    return COMMAND.validate_python(content)
