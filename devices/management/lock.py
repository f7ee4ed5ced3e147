"""One gateway a database: the lock that keeps a second one out.

Turns at the PLCs and the settling of a dead process's runs are kept in one process. A second one on the same
database would connect to a PLC that is in use, and call the first one's running commands orphans.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from django.db import connection

from devices.management.errors import CannotStart

LOCK = 0x504C4347  # "PLCG"; any number that nobody else locks in this database


@contextmanager
def sole_server() -> Iterator[None]:
    """Hold the database for this process; it is free again however the process ends.

    Raises CannotStart where another server holds it.
    """
    with _database_server() if connection.vendor == "postgresql" else _database_file():
        yield


@contextmanager
def _database_server() -> Iterator[None]:
    """PostgreSQL: a lock of a connection that stays open; the server frees it when the connection ends."""
    holder = connection.copy()
    try:
        with holder.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_lock(%s)", [LOCK])
            if not cursor.fetchone()[0]:
                raise CannotStart(_occupied(f"the database {connection.settings_dict['NAME']}", ""))
        yield
    finally:
        holder.close()


@contextmanager
def _database_file() -> Iterator[None]:
    database = _path_of_database()
    if database is None:
        yield
        return
    with _opened(database.with_name(database.name + ".lock")) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise CannotStart(_occupied(database, file.read().strip())) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def _path_of_database() -> Path | None:
    name = str(connection.settings_dict["NAME"])
    is_file = connection.vendor == "sqlite" and not name.startswith("file:") and name != ":memory:"
    return Path(name).resolve() if is_file else None


def _opened(path: Path) -> IO[str]:
    # The file stays behind: were it deleted, two servers could each hold a lock on a file of that name.
    try:
        return open(path, "a+", opener=lambda name, flags: os.open(name, flags, 0o600))
    except OSError as error:
        raise CannotStart(f"Cannot write the lock file {path}: {error.strerror}.") from error


def _occupied(database: Path | str, holder: str) -> str:
    return (
        f"Another gateway{f' (process {holder})' if holder else ''} already serves {database}. Stop that one first, "
        "or give this one a DATA_DIR or DATABASE_URL of its own: turns at the PLCs are kept in one process."
    )
