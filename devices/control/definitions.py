"""What a run ran with: a command as it stands now, with all that it needs of its PLC, under a digest of its own."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from pydantic import TypeAdapter

from devices.modbus.types import Limits
from devices.models import Definition
from devices.plc.specs import CommandSpec, PLCSpec

_COMMAND = TypeAdapter(CommandSpec)
_LIMITS = TypeAdapter(Limits)


@dataclass(frozen=True, kw_only=True, slots=True)
class DefinitionSpec:
    """A command as it stands, ready to be stored; the same digest is the same content."""

    digest: str
    """SHA-256 of the content in canonical JSON."""
    content: dict[str, Any]


def define(plc: PLCSpec, command: CommandSpec) -> DefinitionSpec:
    """Take down a command, and where and how it is sent."""
    content = {
        "plc": {
            "name": plc.name,
            "host": plc.endpoint.host,
            "port": plc.endpoint.port,
            "unit": plc.endpoint.unit,
            "profile": plc.profile,
            "limits": _LIMITS.dump_python(plc.limits, mode="json"),
        },
        "command": _COMMAND.dump_python(command, mode="json"),
    }
    return DefinitionSpec(digest=hashlib.sha256(_canonical(content).encode()).hexdigest(), content=content)


def command_of(content: dict[str, Any]) -> CommandSpec:
    """The command that a stored definition holds; what it does not say yet is as a new command has it."""
    return _COMMAND.validate_python(content["command"])


def _canonical(content: dict[str, Any]) -> str:
    return json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)


class Definitions:
    """Definitions as they are asked for, made once for each command of a PLC as long as its spec stays the same."""

    def __init__(self) -> None:
        self._made: dict[tuple[int, str], tuple[PLCSpec, DefinitionSpec]] = {}

    def of(self, plc: PLCSpec, command: CommandSpec) -> DefinitionSpec:
        """The definition of one of the PLC's commands."""
        made = self._made.get((plc.id, command.name))
        if made is None or made[0] is not plc:
            made = self._made[plc.id, command.name] = plc, define(plc, command)
        return made[1]

    def keep_only(self, plcs: Mapping[str, PLCSpec]) -> None:
        """The registry was loaded anew; by name. What has changed is let go."""
        self._made = {key: made for key, made in self._made.items() if plcs.get(made[0].name) is made[0]}


class StoredDefinitions:
    """The keys of the definitions that are known to be stored; for one thread, inside its transactions."""

    def __init__(self) -> None:
        self._keys: dict[str, int] = {}

    def store(self, specs: list[DefinitionSpec]) -> dict[str, int]:
        """Store those that are missing, and return the keys of all by digest."""
        missing = {spec.digest: spec for spec in specs if spec.digest not in self._keys}
        stored = _store(missing) if missing else {}
        if stored:
            # After the commit: a transaction that is rolled back takes its rows with it.
            transaction.on_commit(lambda: self._keys.update(stored))
        return {spec.digest: stored.get(spec.digest) or self._keys[spec.digest] for spec in specs}


def _store(missing: dict[str, DefinitionSpec]) -> dict[str, int]:
    rows = [Definition(digest=spec.digest, content=spec.content) for spec in missing.values()]
    # Another process may store the same one at this moment.
    Definition.objects.bulk_create(rows, ignore_conflicts=True)
    return dict(Definition.objects.filter(digest__in=missing).values_list("digest", "pk"))
