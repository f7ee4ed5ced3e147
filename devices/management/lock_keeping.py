"""Keeping a lock on the database while a process lives, whatever becomes of the connection that holds it."""

import asyncio
import contextvars
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from django.db import Error as DatabaseUnavailable

from devices.management.lock import HeldLock, LockLost

logger = logging.getLogger(__name__)

LOOK_S = 2.0  # between two looks whether the database still knows that it is ours


@asynccontextmanager
async def keeping(lock: HeldLock, *, on_loss: Callable[[], None]) -> AsyncIterator[None]:
    """A database that was restarted has forgotten the lock: another process could take it, and do what we do.

    `on_loss` is called once, where another one has it by now.
    """
    keeping = asyncio.create_task(_keep(lock, on_loss), context=contextvars.Context())
    try:
        yield
    finally:
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)


async def _keep(lock: HeldLock, on_loss: Callable[[], None]) -> None:
    while True:
        await asyncio.sleep(LOOK_S)
        try:
            await asyncio.to_thread(lock.keep)
        except LockLost as error:
            logger.error("%s", error)
            return on_loss()
        except DatabaseUnavailable:
            pass  # it takes no command's record either; it is asked again
        except Exception:
            logger.exception("whether the lock is still ours was not seen by a fault of the gateway")
