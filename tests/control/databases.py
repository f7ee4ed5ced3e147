"""A database that refuses: locked, or without its table. The same on SQLite and PostgreSQL."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from typing import Any, TypeVar

import pytest
from channels.db import database_sync_to_async
from django.db import connection, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

T = TypeVar("T")

IS_SQLITE = connection.vendor == "sqlite"


def journal_gives_up_after(limit_s: float, monkeypatch: pytest.MonkeyPatch) -> float:
    """Connections that threads open from now on wait only this long for a lock."""
    options = connections.settings["default"].setdefault("OPTIONS", {})
    limit_ms = round(limit_s * 1000)
    if IS_SQLITE:
        patience = f"PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA busy_timeout={limit_ms}"
        monkeypatch.setitem(options, "init_command", patience)
    else:
        monkeypatch.setitem(options, "options", f"-c lock_timeout={limit_ms}")
    return limit_s


class WriteLock:
    """Another program holds the table of runs: it can be read, not written. From a thread and connection of its own."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1)
        self._atomic = transaction.atomic()

    def take(self) -> None:
        """Blocks the caller until it is taken."""
        self._thread.submit(self._take).result()

    def free(self) -> None:
        self._thread.submit(self._free).result()

    def _take(self) -> None:
        self._atomic.__enter__()  # on SQLite this begins IMMEDIATE: nobody else writes
        if not IS_SQLITE:
            with connection.cursor() as cursor:
                cursor.execute("LOCK TABLE devices_run IN EXCLUSIVE MODE")

    def _free(self) -> None:
        if connection.in_atomic_block:
            self._atomic.__exit__(None, None, None)
        connection.close()

    def close(self) -> None:
        self.free()
        self._thread.shutdown()


@pytest.fixture
def write_lock(transactional_db: None) -> Iterator[WriteLock]:
    """A lock that a test may take and free; freed at the end in any case."""
    lock = WriteLock()
    yield lock
    lock.close()


@asynccontextmanager
async def no_table(table: str = "devices_run") -> AsyncIterator[None]:
    """The table, of runs if none is named, is gone for the block."""
    await _rename(table, f"{table}_gone")
    try:
        yield
    finally:
        await _rename(f"{table}_gone", table)


@database_sync_to_async
def _rename(old: str, new: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {old} RENAME TO {new}")


def elsewhere(look: Callable[[], T]) -> T:
    """Look into the database now, from a thread and connection of its own; the event loop waits meanwhile."""

    def closing() -> T:
        try:
            return look()
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(closing).result()


@contextmanager
def commits_of_the_journal() -> Iterator[list[int]]:
    """A list with one entry for each transaction that the journal's thread commits."""
    commits: list[int] = []

    def watch(connection: BaseDatabaseWrapper, **_: Any) -> None:
        if threading.current_thread().name != "journal":
            return
        commit = connection._commit
        connection._commit = lambda: (commits.append(1), commit())[1]

    connection_created.connect(watch, weak=False)
    try:
        yield commits
    finally:
        connection_created.disconnect(watch)


async def eventually(is_so: Callable[[], Any], limit_s: float = 15.0) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(limit_s):
        while not is_so():  # noqa: ASYNC110 - what is waited for fires no event
            await asyncio.sleep(0.005)
