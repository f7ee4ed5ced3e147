"""A caller asks for a command: recognised if asked for before, else checked and started; and waited for."""

import json
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

from channels.db import database_sync_to_async
from django.db import Error as DatabaseUnavailable

from devices.control import parameters, stored
from devices.control.callers import Caller
from devices.control.errors import (
    InvalidKey,
    KeyRequired,
    KeyReused,
    KeyTaken,
    PLCDisabled,
    RecordUnavailable,
    UnknownCommand,
    no_plc,
)
from devices.control.execute import Order
from devices.control.gateway import current
from devices.control.records import KeyedRun, RunRecord
from devices.control.registry import Registry
from devices.control.reuse import told_where_reused
from devices.control.sight import require_sight_of
from devices.control.underway import Underway
from devices.control.waiting import until_final
from devices.plc.specs import CommandSpec, PLCSpec

__all__ = [
    "Pending",
    "Reply",
    "Request",
    "begin",
    "command_of",
    "order_of",
    "require_enabled",
    "require_key",
    "submit",
]


LONGEST_KEY = 255  # characters, as the row holds them

_by_key = database_sync_to_async(stored.by_key)


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """What a caller asks for, in its own words."""

    plc: str
    """Name or number."""
    command: str
    given: Mapping[str, Any]
    caller: Caller
    key: str | None = None
    """The caller's Idempotency-Key."""
    group: str = ""
    """Fingerprint of the whole group whose key this one's is made of: another group under it is another request."""

    @property
    def fingerprint(self) -> str:
        """SHA-256 of what is asked for, in canonical form: PLC and command as named, parameters as given, sorted.

        Nothing of the registry goes into it, no default and no number of a PLC: the same request is the same
        whatever an engineer has changed since, and one whose command is gone is still recognised.
        """
        asked = {"plc": self.plc, "command": self.command, "parameters": dict(self.given), "group": self.group}
        return sha256(json.dumps(asked, sort_keys=True, separators=(",", ":")).encode()).hexdigest()

    def command_of(self, plc: PLCSpec) -> CommandSpec:
        """What is meant at this PLC; a Refused error where it is nothing that can be run."""
        return command_of(plc, self.command)


@dataclass(frozen=True, kw_only=True, slots=True)
class Reply:
    """The run that a request stands for."""

    run: RunRecord
    is_replayed: bool
    """An earlier request started it; this one started nothing."""


class Pending:
    """A run to wait for: under way in this process, or known by its row."""

    def __init__(self, request: Request, of: Underway | KeyedRun, *, is_replayed: bool) -> None:
        self._request = request
        self._of = of
        self._is_replayed = is_replayed

    @property
    def plc(self) -> PLCSpec | None:
        """The PLC as the run goes to it; None where only its row is known."""
        return self._of.order.plc if isinstance(self._of, Underway) else None

    async def reply(self, limit_s: float | None = None) -> Reply:
        """The run at its end, or as it is when `limit_s` seconds have passed since it was stored."""
        if isinstance(self._of, Underway):
            try:
                return Reply(run=await self._of.outcome(limit_s), is_replayed=self._is_replayed)
            except KeyTaken as error:  # another process was faster, by the database's word
                async with _told(self._request):
                    _require_same(self._request, error.taken.fingerprint)
                self._of = error.taken
        return Reply(run=await until_final(self._of.run, limit_s), is_replayed=True)


async def submit(plc: str, command: str, given: Mapping[str, Any], caller: Caller) -> RunRecord:
    """Run a PLC's command and return its final record.

    `plc` is a name or a number. Raises a Refused error where no run came to be. A caller that goes away
    does not cut the run: it ends in its own task.
    """
    pending = await begin(Request(plc=plc, command=command, given=given, caller=caller))
    return (await pending.reply()).run


async def begin(request: Request) -> Pending:
    """Start what is asked for, or find the run that the caller's key stands on already.

    The key is looked up before anything about the PLC. Raises a Refused error where no run came to be.
    """
    _require_key(request)
    async with _told(request):
        return await _begin(request)


async def _begin(request: Request) -> Pending:
    if request.key is not None and (known := await _known(request, request.key)):
        return known
    gateway = current()
    plc = await gateway.registry.find_for(request.plc, request.caller.rights)
    await gateway.lock_outs.refresh()
    # A twin may have begun while the database was asked; nothing is awaited from this look to our beginning.
    if twin := _twin(request):
        return twin
    order = order_of(gateway.registry, plc, request.command_of(plc), request.given, request.caller)
    if request.key is not None:
        order = replace(order, key=request.key, fingerprint=request.fingerprint)
    return Pending(request, gateway.begin(order), is_replayed=False)


def order_of(registry: Registry, plc: PLCSpec, command: CommandSpec, given: Mapping[str, Any], caller: Caller) -> Order:
    """What is asked for, permitted, checked and complete; a Refused error says what is wrong with it.

    The right is looked at before the parameters: who lacks it learns nothing of the command. Then its ceilings.
    """
    caller.rights.require_run(plc, command.name)
    require_enabled(plc)
    values = parameters.check(command, given)
    caller.rights.require_run(plc, command.name, values)
    return Order(
        plc=plc,
        command=command,
        values=values,
        caller=caller,
        definition=registry.definitions.of(plc, command),
    )


def require_enabled(plc: PLCSpec) -> None:
    """PLCDisabled where an engineer wants it left alone."""
    if not plc.is_enabled:
        raise PLCDisabled(f"{plc.name} is disabled in the registry; a controls engineer can enable it")


def command_of(plc: PLCSpec, name: str) -> CommandSpec:
    """The PLC's command of a name; UnknownCommand names those that it has."""
    command = plc.commands.get(name)
    if command is None:
        known = ", ".join(sorted(plc.commands)) or "none"
        raise UnknownCommand(f"{plc.name} has no command {name!r}; it has: {known}")
    return command


def _require_key(request: Request) -> None:
    if request.key is None:
        if request.caller.needs_key:
            raise KeyRequired(f"{request.caller.name} must send an Idempotency-Key with each command")
    else:
        require_key(request.key)


def require_key(key: str, *, longest: int = LONGEST_KEY) -> None:
    """InvalidKey where it is none."""
    if not (0 < len(key) <= longest and all("!" <= character <= "~" for character in key)):
        raise InvalidKey(f"the Idempotency-Key must have 1 to {longest} visible ASCII characters and no space")


async def _known(request: Request, key: str) -> Pending | None:
    """What an earlier request under this key started."""
    if twin := _twin(request):
        return twin
    try:
        found = await _by_key(request.caller.name, key)
    except DatabaseUnavailable as error:
        raise RecordUnavailable(
            "whether an earlier request under this Idempotency-Key was carried out cannot be looked up now: send it "
            "again under the same key"
        ) from error
    if found is None:
        return None
    _require_same(request, found.fingerprint)
    await require_sight_of(found.run, request.plc, request.caller)
    return Pending(request, found, is_replayed=True)


def _twin(request: Request) -> Pending | None:
    """A run of this process under the same key; its row may not be stored yet."""
    twin = current().of_key(request.caller.name, request.key)
    if twin is None:
        return None
    _require_same(request, twin.order.fingerprint)
    if not request.caller.rights.sees(twin.order.plc):
        raise no_plc(request.plc)
    return Pending(request, twin, is_replayed=True)


def _told(request: Request) -> AbstractAsyncContextManager[None]:
    return told_where_reused(request.caller, request.key, f"{request.plc} {request.command}")


def _require_same(request: Request, fingerprint: str) -> None:
    if request.fingerprint != fingerprint:
        raise KeyReused("this Idempotency-Key stands for another request of yours: nothing was started")
