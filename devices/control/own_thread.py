"""A thread with a database connection of its own, for looks that calls wait for.

All other reading of a process shares one thread, where a call would stand behind the slowest query of any page. Nor
does the connection come from the pool: slow pages can take all that are in it.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from django.db import InterfaceError, OperationalError, connection

from devices.control.errors import Draining
from devices.control.own_connection import leave_the_pool, look_through_pool

Found = TypeVar("Found")

LOST = (OperationalError, InterfaceError)


class OwnThread:
    """One look after the other, in the order asked."""

    def __init__(self, name: str) -> None:
        self._executor = ThreadPoolExecutor(1, thread_name_prefix=name, initializer=leave_the_pool)
        self._is_stopped = False

    async def run(self, look: Callable[[], Found]) -> Found:
        """What the look finds; raises what it raises, and Draining once the thread has ended."""
        if self._is_stopped:
            raise Draining("the gateway is shutting down and looks at nothing more")
        return await asyncio.get_running_loop().run_in_executor(self._executor, _looked, look)

    def stop(self) -> None:
        """Close the connection and end, once what was asked is done; asked again, it changes nothing."""
        if self._is_stopped:
            return
        self._is_stopped = True
        self._executor.submit(_close)
        self._executor.shutdown(wait=False)


def _looked(look: Callable[[], Found]) -> Found:
    """The connection stays open: a new one costs more than the look, and a descriptor that may be lacking."""
    was_open = connection.connection is not None
    try:
        return _tried(look)
    except LOST:
        if not was_open:
            raise
    # A server that was restarted has dropped what was open: that is no reason to refuse a call.
    found = _tried(look)
    look_through_pool()
    return found


def _tried(look: Callable[[], Found]) -> Found:
    try:
        return look()
    except BaseException:
        connection.close()
        raise


def _close() -> None:
    connection.close()  # that of the thread which runs this: each has another one
