"""A copy of the database that is whole: taken while the gateway works, looked through, and never over another file."""

import os
import shutil
import sqlite3
import subprocess  # nosec B404  # PostgreSQL's own programs, by arguments, without a shell
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from django.db import Error as DatabaseUnavailable
from django.db import connection
from django.db.backends.postgresql.client import DatabaseClient
from django.db.migrations.recorder import MigrationRecorder

DUMP = ("--format=custom", "--no-password")
"""Custom: compressed, and pg_restore reads it. Whoever runs us at night can type no password."""


class CannotBackUp(Exception):
    """No file was left behind; the message says what to do."""


def back_up(target: Path) -> None:
    """Write the whole database into `target`, a new file that only its owner may read. Raises CannotBackUp."""
    _require_gateway()
    copy = _dump if connection.vendor == "postgresql" else _copy
    try:
        with _new_file(target) as draft:
            copy(draft)
    except OSError as error:
        raise CannotBackUp(f"{target} cannot be written: {error.strerror}.") from error


def _require_gateway() -> None:
    """Without our tables it is another database than `serve` has: of a shell without its DATA_DIR or DATABASE_URL."""
    name = connection.settings_dict["NAME"]
    is_there = connection.vendor != "sqlite" or Path(name).exists()  # SQLite would make it, empty
    try:
        applied = MigrationRecorder(connection).applied_migrations() if is_there else {}
    except DatabaseUnavailable as error:
        raise CannotBackUp(f"The database does not answer: {error}") from error
    if not any(app == "devices" for app, _ in applied):
        raise CannotBackUp(
            f"There is no gateway's database at {name}: set DATA_DIR or DATABASE_URL as they are for `serve`."
        )


@contextmanager
def _new_file(target: Path) -> Iterator[Path]:
    """A file to write into, which gets its name once it is whole; nothing is left where it does not get so far."""
    draft = target.with_name(f"{target.name}.part")
    if os.path.lexists(target):
        raise CannotBackUp(f"{target} is there already, and is not written over: give each backup a name of its own.")
    try:
        os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        raise CannotBackUp(
            f"{draft} is there: another backup writes it, or one was cut off. Where none runs, delete it."
        ) from None
    try:
        yield draft
        _to_disk(draft)
        draft.rename(target)
        _to_disk(target.parent)
    finally:
        draft.unlink(missing_ok=True)


def _to_disk(path: Path) -> None:
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def _copy(draft: Path) -> None:
    """SQLite: all in one step, as things stand at its begin. It holds up no writer, and none makes it begin anew."""
    connection.ensure_connection()
    try:
        with closing(sqlite3.connect(draft)) as copy:
            connection.connection.backup(copy)
            copy.execute("PRAGMA journal_mode=DELETE")  # all in the one file; `serve` goes back to WAL
            faults = [row[0] for row in copy.execute("PRAGMA integrity_check(1)") if row[0] != "ok"]
            faults += [
                f"a row of {row[0]} refers to none" for row in copy.execute("PRAGMA foreign_key_check").fetchall()
            ]
    except sqlite3.Error as error:
        raise CannotBackUp(f"The database could not be copied: {error}.") from error
    if faults:
        raise CannotBackUp(f"The copy is not whole, nor then is the database: {faults[0]}. Keep the earlier backups.")


def _dump(draft: Path) -> None:
    """PostgreSQL: pg_dump, which sees it as it stood at its begin; then all of it is read once more."""
    (_, *arguments), login = DatabaseClient.settings_to_cmd_args_env(connection.settings_dict, list(DUMP))
    _run("pg_dump", [f"--file={draft}", *arguments], login or {})
    _run("pg_restore", ["--file=/dev/null", str(draft)], {})


def _run(program: str, arguments: Sequence[str], login: Mapping[str, str]) -> None:
    """A password goes by the environment, which no other account can read; a command line is shown to all."""
    found = shutil.which(program)
    if found is None:
        raise CannotBackUp(
            f"{program} is not installed here: install PostgreSQL's client programs, no older than the server, or run "
            f"where they are: pg_dump {' '.join(DUMP)} --file=FILE DATABASE"
        )
    done = subprocess.run(  # noqa: S603  # nosec B603  # no shell, and nothing that a caller sends
        [found, *arguments], env={**os.environ, **login}, stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
    if done.returncode:
        raise CannotBackUp(f"{program} failed: {done.stderr.decode(errors='replace').strip()}")
