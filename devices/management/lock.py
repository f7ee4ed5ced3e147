"""Who may serve and who may poll a database: the locks that keep out those who would harm each other.

A server that keeps its turns at the PLCs in its own process is alone: a second one would give the same turns again, and
call the first one's running commands orphans. Servers that share their turns over Redis share this lock, too. Pollers
share the PLCs among themselves over Redis; a server that polls shares with nobody.
"""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from devices.management.errors import CannotStart
from devices.management.lock_holders import Holder, holder_of

START_WAIT_S = 60.0  # for another server that starts, and settles what it found
GLANCE_S = 0.1


@dataclass(frozen=True, kw_only=True, slots=True)
class _Lock:
    """What only one process, or one kind of them, may be to a database."""

    number: int
    """Any that nobody else locks in this database."""
    suffix: str
    """Of the file beside an SQLite database."""
    does: str
    way_out: str
    by_now: str = ""
    """What another process does that has it after us."""


SERVER = _Lock(
    number=0x504C4347,  # "PLCG"
    suffix=".lock",
    does="Another gateway{} already serves",
    way_out=(
        "or give this one a DATA_DIR or DATABASE_URL of its own. To serve one database with several processes, start "
        "each of them as `serve --no-poll` with the same REDIS_URL, and `manage.py poll` beside them."
    ),
    by_now="another gateway serves it now",
)
STARTING = _Lock(
    number=0x504C4353,  # "PLCS"
    suffix=".start.lock",
    does="Another gateway{} has been starting for long on",
    way_out="and look at its log.",
)
"""Held by a server that shares until it knows whether it is the first, and has settled what it found."""
POLLER = _Lock(
    number=0x504C4350,  # "PLCP"
    suffix=".poll.lock",
    does="Another process{} already polls the PLCs of",
    way_out="or serve with --no-poll: each PLC is polled by one process, and only `manage.py poll` shares them.",
    by_now="another process polls its PLCs now",
)


class LockLost(Exception):
    """The lock went with its connection, and another process has it now: this one must not go on."""


class HeldLock:
    """A right to this database, as it is held now."""

    def __init__(self, lock: _Lock, holder: Holder, *, is_alone: bool) -> None:
        self._lock = lock
        self._holder = holder
        self.is_alone = is_alone
        """No other process has it, too."""

    def keep(self) -> None:
        """Look whether it is still held, and take it again where its connection was lost; may block for seconds.

        LockLost where another process has it by now, DatabaseUnavailable where the database does not answer.
        """
        if not self._holder.keep(shared=not self.is_alone):
            raise LockLost(
                f"The connection that kept the lock on {self._holder.database} was lost, and {self._lock.by_now}: this "
                "process ends"
            )


class ServerLock(HeldLock):
    """The right to serve this database. Who has it alone knows that what is open there was left by a dead process."""

    def __init__(self, holder: Holder, *, starting: ExitStack | None = None, is_alone: bool = True) -> None:
        super().__init__(SERVER, holder, is_alone=is_alone)
        self._starting = starting

    def share(self) -> None:
        """What a dead process left is settled: others may serve too, where this one shares."""
        if self._starting is None:
            return
        if self.is_alone:
            self._holder.share()
            self.is_alone = False
        self._starting.close()


@contextmanager
def sole_server() -> Iterator[ServerLock]:
    """Be the one server of this database; it is free again however the process ends.

    Raises CannotStart where another process is.
    """
    with _held(SERVER) as holder:
        yield ServerLock(holder)


@contextmanager
def sole_server_without_redis() -> Iterator[ServerLock]:
    """As `sole_server`, for one that would share if it knew over what."""
    hint = "or set REDIS_URL, the same for all processes that serve this database: without it one `serve` is alone."
    with _held(SERVER, way_out=hint) as holder:
        yield ServerLock(holder)


@contextmanager
def one_of_servers() -> Iterator[ServerLock]:
    """Be one of the servers of this database that share their turns. Others come in once `share` was called.

    Raises CannotStart where a server is alone there.
    """
    with ExitStack() as starting:
        starting.enter_context(_held(STARTING, wait_s=START_WAIT_S))
        with _opened(SERVER) as holder:
            is_alone = holder.take()
            if not is_alone and not holder.take(shared=True):
                way_out = (
                    "which shares with nobody, or start it as this one: `serve --no-poll` with the same REDIS_URL, and "
                    "`manage.py poll` beside them."
                )
                raise CannotStart(_occupied(SERVER, holder, way_out))
            if not is_alone:
                starting.close()
            yield ServerLock(holder, starting=starting, is_alone=is_alone)


@contextmanager
def sole_poller() -> Iterator[HeldLock]:
    """Be the one poller of this database, as `sole_server`."""
    with _held(POLLER) as holder:
        yield HeldLock(POLLER, holder, is_alone=True)


@contextmanager
def one_of_the_pollers() -> Iterator[HeldLock]:
    """Be a poller beside others that share the PLCs; CannotStart where a `sole_poller` is."""
    with _held(POLLER, is_shared=True) as holder:
        yield HeldLock(POLLER, holder, is_alone=False)


@contextmanager
def _held(lock: _Lock, *, is_shared: bool = False, wait_s: float = 0.0, way_out: str = "") -> Iterator[Holder]:
    with _opened(lock) as holder:
        end = time.monotonic() + wait_s
        while not holder.take(shared=is_shared):
            if time.monotonic() >= end:
                raise CannotStart(_occupied(lock, holder, way_out))
            time.sleep(GLANCE_S)
        yield holder


def _occupied(lock: _Lock, holder: Holder, way_out: str) -> str:
    number = holder.whose()
    does = lock.does.format(f" (process {number})" if number else "")
    return f"{does} {holder.database}. Stop that one first, {way_out or lock.way_out}"


@contextmanager
def _opened(lock: _Lock) -> Iterator[Holder]:
    holder = holder_of(lock.number, lock.suffix)
    try:
        yield holder
    finally:
        holder.close()
