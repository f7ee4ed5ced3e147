"""An Idempotency-Key that stands for another request already: refused, and told in the audit."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from channels.db import database_sync_to_async
from django.db import Error as DatabaseUnavailable

from devices.control.actors import Actor
from devices.control.audit import Deed, append
from devices.control.callers import Caller
from devices.control.errors import KeyReused
from devices.models import Action

logger = logging.getLogger(__name__)


@asynccontextmanager
async def told_where_reused(caller: Caller, key: str | None, subject: str) -> AsyncIterator[None]:
    """Whoever names two requests alike has a mistake that can cost a batch: it is to be found afterwards."""
    try:
        yield
    except KeyReused as error:
        logger.warning("%s used an Idempotency-Key for something else; nothing was started", caller.name)
        deed = Deed(
            action=Action.KEY_REUSED,
            kind="Idempotency-Key",
            subject=subject,
            detail=f"{key}: {error}",
            by=Actor(name=caller.name, source=caller.source),
        )
        await _append(deed)
        raise


async def _append(deed: Deed) -> None:
    """The caller is refused in any case; that the database takes nothing now is in the log."""
    try:
        await database_sync_to_async(append)(deed)
    except DatabaseUnavailable as error:
        logger.error("a reused Idempotency-Key is not told in the audit: %s", error)
