"""The registry as the hot path sees it: frozen specs in memory, refreshed when the admin changes a row."""

import asyncio
import contextvars
import logging
from collections.abc import Callable, Mapping
from typing import Any

from channels.db import database_sync_to_async
from django.db import DatabaseError, transaction
from django.db.models.signals import post_delete, post_save

from devices.control import translate
from devices.control.definitions import Definitions
from devices.control.errors import RecordUnavailable, UnknownPLC
from devices.models import PLC, Command, Parameter, Profile, Step, Tag
from devices.plc.specs import PLCSpec

logger = logging.getLogger(__name__)

WATCHED = (Profile, Tag, PLC, Command, Parameter, Step)

OnChange = Callable[[Mapping[str, PLCSpec]], None]


class Registry:
    """All PLCs with their profiles, ready to use; a change in the admin takes effect at the next call."""

    def __init__(self, *, on_change: OnChange) -> None:
        self._on_change = on_change
        self._plcs: Mapping[str, PLCSpec] = {}
        self.definitions = Definitions()
        self._stored = 0
        """Counts changes seen; what was loaded at an older count is stale."""
        self._loaded = -1
        self._loading: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def start(self) -> None:
        """Load, and watch for changes made in this process."""
        self._loop = asyncio.get_running_loop()
        for model in WATCHED:
            post_save.connect(self._note_change, sender=model, weak=False)
            post_delete.connect(self._note_change, sender=model, weak=False)
        await self.plcs()

    async def stop(self) -> None:
        """Stop watching."""
        self._loop = None
        for model in WATCHED:
            post_save.disconnect(self._note_change, sender=model)
            post_delete.disconnect(self._note_change, sender=model)
        if self._loading is not None:
            await asyncio.gather(self._loading, return_exceptions=True)

    async def plcs(self) -> Mapping[str, PLCSpec]:
        """All PLCs by name."""
        while self._loaded != self._stored:
            await asyncio.shield(self._load_once())
        return self._plcs

    async def find(self, ref: str) -> PLCSpec:
        """The PLC of a name, or of a number; UnknownPLC names what was asked for."""
        plcs = await self.plcs()
        by_id = (plc for plc in plcs.values() if str(plc.id) == ref)
        plc = plcs.get(ref) or next(by_id, None)
        if plc is None:
            raise UnknownPLC(f"no PLC {ref!r} is registered")
        return plc

    def _load_once(self) -> "asyncio.Task[None]":
        """The load under way, or a new one: in a task of its own, since a caller may hang up."""
        if self._loading is None or self._loading.done():
            self._loading = asyncio.create_task(self._load(), context=contextvars.Context())
        return self._loading

    async def _load(self) -> None:
        seen = self._stored
        try:
            plcs = await database_sync_to_async(translate.load)()
        except DatabaseError as error:
            raise RecordUnavailable(f"the registry cannot be read ({error})") from error
        self._plcs, self._loaded = plcs, seen
        self.definitions.forget()
        self._on_change(plcs)

    def _note_change(self, **_: Any) -> None:
        """Called in the admin's thread; what was saved becomes visible when its transaction commits."""
        transaction.on_commit(self._invalidate)

    def _invalidate(self) -> None:
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._reload)

    def _reload(self) -> None:
        self._stored += 1
        if self._loop is not None:
            self._load_once().add_done_callback(_log_failure)


def _log_failure(task: "asyncio.Task[None]") -> None:
    if not task.cancelled() and task.exception():
        logger.error("the registry could not be reloaded: %s", task.exception())
