"""How a lock on a database is held: by a connection that stays open, or by a file beside it."""

import fcntl
import logging
import os
import time
from pathlib import Path
from typing import IO, Any, Protocol

from django.db import Error as DatabaseUnavailable
from django.db import connection

from devices.control.own_connection import own_connection
from devices.management.errors import CannotStart

logger = logging.getLogger(__name__)

END_S = 0.2  # that a connection takes to end which the database was told to end

_Session = tuple[int, str]
"""Number and beginning: numbers are used again."""
_WHO = "SELECT pid, backend_start::text FROM pg_stat_activity WHERE pid = pg_backend_pid()"
_TAKE = "SELECT pg_try_advisory_lock(%(lock)s)"
_TAKE_SHARED = "SELECT pg_try_advisory_lock_shared(%(lock)s)"
_SHARE = "SELECT pg_advisory_lock_shared(%(lock)s), pg_advisory_unlock(%(lock)s)"
_END_SESSION = """
SELECT pg_terminate_backend(pid) FROM pg_locks JOIN pg_stat_activity USING (pid)
WHERE locktype = 'advisory' AND classid = 0 AND objid = %(lock)s AND granted
    AND pid = %(pid)s AND backend_start::text = %(since)s
"""


def holder_of(number: int, suffix: str) -> "Holder":
    """The lock of this number, or in the file of this suffix, of the default database; nothing is taken yet."""
    if connection.vendor == "postgresql":
        return DatabaseServer(number)
    path = _path_of_database()
    return Nothing() if path is None else DatabaseFile(suffix, path)


class Holder(Protocol):
    """How a lock is held, by kind of database."""

    database: str

    def take(self, *, shared: bool = False) -> bool:
        """Whether it was free; does not wait."""

    def share(self) -> None:
        """Let others share what was ours alone. CannotStart where one came between who wants it alone."""

    def keep(self, *, shared: bool) -> bool:
        """Whether it is held, still or again. False: another process has it. DatabaseUnavailable: nobody knows."""

    def whose(self) -> str:
        """The number of the process that holds it, where that is known."""

    def close(self) -> None:
        """Give it back."""


class DatabaseServer:
    """PostgreSQL: a lock of a connection that stays open; the server frees it when the connection ends."""

    def __init__(self, number: int) -> None:
        self._number = number
        self._connection = own_connection()  # the pool would take it back open
        self._connection.inc_thread_sharing()
        self._session: _Session | None = None
        """The connection that holds the lock, as the database knows it."""
        self.database = f"the database {connection.settings_dict['NAME']}"

    def take(self, *, shared: bool = False) -> bool:
        (is_taken,) = self._ask(_TAKE_SHARED if shared else _TAKE)
        if is_taken:
            self._session = self._ask(_WHO)
        return bool(is_taken)

    def share(self) -> None:
        self._ask(_SHARE)

    def keep(self, *, shared: bool) -> bool:
        if self._is_connected():
            return True
        self._connection.close()
        if self.take(shared=shared) or self._is_free_of_former(shared=shared):
            logger.warning("The connection that kept the lock on %s was lost; it is taken again", self.database)
            return True
        return False

    def _is_connected(self) -> bool:
        try:
            return self._session is not None and self._ask(_WHO) == self._session
        except DatabaseUnavailable:
            return False

    def _is_free_of_former(self, *, shared: bool) -> bool:
        """The database may not have noticed that our former connection is lost: end it there."""
        pid, since = self._session or (0, "")
        self._ask(_END_SESSION, pid=pid, since=since)
        time.sleep(END_S)
        return self.take(shared=shared)

    def whose(self) -> str:
        return ""

    def close(self) -> None:
        self._connection.close()

    def _ask(self, question: str, **given: Any) -> Any:
        with self._connection.cursor() as cursor:
            cursor.execute(question, {"lock": self._number, **given})
            return cursor.fetchone()


class DatabaseFile:
    """SQLite: a file beside it, which the kernel frees when the process ends."""

    def __init__(self, suffix: str, database: Path) -> None:
        self.database = str(database)
        self._file = _open(database.with_name(database.name + suffix))

    def take(self, *, shared: bool = False) -> bool:
        try:
            fcntl.flock(self._file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        self._write("" if shared else str(os.getpid()))  # of several none is the one to stop
        return True

    def share(self) -> None:
        # The kernel lets go of the one before it gives the other.
        if not self.take(shared=True):
            raise CannotStart(f"Another gateway began to serve {self.database} alone while this one started.")

    def keep(self, *, shared: bool) -> bool:  # noqa: ARG002
        return True

    def whose(self) -> str:
        self._file.seek(0)
        return self._file.read().strip()

    def close(self) -> None:
        self._file.close()

    def _write(self, text: str) -> None:
        self._file.truncate(0)
        self._file.write(text)
        self._file.flush()


class Nothing:
    """A database in memory: nobody else can reach it."""

    database = "the database in memory"

    def take(self, *, shared: bool = False) -> bool:  # noqa: ARG002
        return True

    def share(self) -> None:
        return

    def keep(self, *, shared: bool) -> bool:  # noqa: ARG002
        return True

    def whose(self) -> str:
        return ""

    def close(self) -> None:
        return


def _path_of_database() -> Path | None:
    name = str(connection.settings_dict["NAME"])
    is_file = connection.vendor == "sqlite" and not name.startswith("file:") and name != ":memory:"
    return Path(name).resolve() if is_file else None


def _open(path: Path) -> IO[str]:
    # The file stays behind: were it deleted, two servers could each hold a lock on a file of that name.
    try:
        return open(path, "a+", opener=lambda name, flags: os.open(name, flags, 0o600))
    except OSError as error:
        raise CannotStart(f"Cannot write the lock file {path}: {error.strerror}.") from error
