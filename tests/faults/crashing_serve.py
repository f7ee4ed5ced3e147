"""`manage.py`, only that the process kills itself where the file CRASH_FILE says: the product has no hook for tests.

`python -m tests.faults.crashing_serve serve`. The points hang on what every way of doing it has: a change of a run's
row and its commit, and what goes over the link. All of them are defined here.
"""

import os
import signal
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import django
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.query import QuerySet

import manage
from devices.modbus.link import Link
from devices.modbus.types import Table, Words
from tests.faults.numbered_press import ACK, TRIGGERS

MOMENTS = {"accepted_at": "T1", "started_at": "T2", "triggered_at": "T3", "finished_at": "T4"}
AS_ONE = "T2 with T3"
"""Of one run, and in one change: what a command that looks at nothing before its trigger begins with."""
COMMITS = tuple(f"{when} {moment}" for moment in (*MOMENTS.values(), AS_ONE) for when in ("before", "after"))
"""`before T1`: its row is written, and the commit is not asked for yet."""
BEFORE_TRIGGER = "before the trigger is sent"
AFTER_TRIGGER = "after the trigger is answered"
AFTER_ACKNOWLEDGE = "after the acknowledge"
BEFORE_CLEANUP = "before the trigger is cleared"
AMID_RECOVERY = "amid the recovery"
POINTS = (*COMMITS, BEFORE_TRIGGER, AFTER_TRIGGER, AFTER_ACKNOWLEDGE, BEFORE_CLEANUP)

_written = threading.local()


def die_at(point: str) -> None:
    """Die now, without a word, if this is the point that was asked for."""
    file = Path(os.environ["CRASH_FILE"])
    if file.exists() and file.read_text() == point:
        os.kill(os.getpid(), signal.SIGKILL)


def moments_of(fields: Mapping[str, Any]) -> set[str]:
    """What a change of one run makes durable."""
    if fields.get("finished_at"):  # says once more, or takes back, when the machine was told
        return {"T4"}
    moments = {moment for field, moment in MOMENTS.items() if fields.get(field)}
    return moments | {AS_ONE} if {"T2", "T3"} <= moments else moments


def note_written(moments: set[str]) -> None:
    """These moments of runs are in this thread's transaction."""
    _written.moments = getattr(_written, "moments", set()) | moments


def watch_rows() -> None:
    """Once Django is loaded: see which moments of runs the journal writes, and when it commits them.

    And the recovery, which is no journal.
    """
    from devices.models.statements import Statements

    update, insert, change = QuerySet.update, Statements.insert, Statements.update

    def updating(rows: Any, **fields: Any) -> int:
        count = update(rows, **fields)
        if rows.model.__name__ == "Run":
            note_written(moments_of(fields))
            if "finished_at" in fields and threading.current_thread().name != "journal":
                die_at(AMID_RECOVERY)
        return count

    def inserting(table: Any, rows: Sequence[Mapping[str, Any]]) -> Any:
        added = insert(table, rows)
        if table.model.__name__ == "Run":
            note_written({moment for row in rows for moment in moments_of(row)})
        return added

    def changing(table: Any, key: int, changes: Mapping[str, Any], *, where: Mapping[str, Any]) -> bool:
        is_changed = change(table, key, changes, where=where)
        if table.model.__name__ == "Run":
            note_written(moments_of(changes))
        return is_changed

    QuerySet.update, Statements.insert, Statements.update = updating, inserting, changing


def watch_commits() -> None:
    """Die before or after the commit that makes a moment durable."""
    commit = BaseDatabaseWrapper.commit

    def committing(connection: Any) -> None:
        moments = sorted(getattr(_written, "moments", ()))
        _written.moments = set()
        is_journal = threading.current_thread().name == "journal"
        for moment in moments if is_journal else ():
            die_at(f"before {moment}")
        commit(connection)
        for moment in moments if is_journal else ():
            die_at(f"after {moment}")

    BaseDatabaseWrapper.commit = committing


def watch_link() -> None:
    """Die before the trigger goes out, after its echo, at its acknowledge, before it is cleared."""
    write: Callable[..., Any] = Link.write
    read: Callable[..., Any] = Link.read

    async def writing(link: Link, table: Table, address: int, words: Words, *more: Any) -> None:
        is_trigger = (table, address) in TRIGGERS
        if is_trigger:
            die_at(BEFORE_TRIGGER if any(words) else BEFORE_CLEANUP)
        await write(link, table, address, words, *more)
        if is_trigger and any(words):
            die_at(AFTER_TRIGGER)

    async def reading(link: Link, table: Table, address: int, count: int) -> Words:
        words: Words = await read(link, table, address, count)
        if (table, address) == ACK and any(words):
            die_at(AFTER_ACKNOWLEDGE)
        return words

    Link.write, Link.read = writing, reading  # type: ignore[method-assign]


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "plcsite.settings")
    django.setup()
    watch_rows()
    watch_commits()
    watch_link()
    manage.main()
