"""What stands behind the audit in the database itself: triggers that refuse to change or remove an entry.

A migration that alters the table on SQLite makes it anew, without its triggers: it has to put them up again.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

TABLE = "devices_auditentry"
REFUSAL = "audit entries are never changed or removed"

_TWIN = f"SELECT 1 FROM {TABLE} WHERE id = NEW.id OR digest = NEW.digest"  # our own name  # noqa: S608  # nosec B608
_SQLITE = {
    f"{TABLE}_stays": f"BEFORE UPDATE ON {TABLE}",
    f"{TABLE}_is_kept": f"BEFORE DELETE ON {TABLE}",
    # INSERT OR REPLACE removes a row without a word to the trigger above.
    f"{TABLE}_is_not_replaced": f"BEFORE INSERT ON {TABLE} WHEN EXISTS ({_TWIN})",
}
_FUNCTION = f"{TABLE}_refuse"
_TRIGGER = f"{TABLE}_append_only"


def install(connection: Any) -> None:
    """Put the triggers up."""
    _run(connection, _INSTALL[connection.vendor]())


def remove(connection: Any) -> None:
    """Take them down; nothing happens where there are none."""
    _run(connection, _REMOVE[connection.vendor]())


def is_installed(connection: Any) -> bool:
    """Whether the database refuses now."""
    with connection.cursor() as cursor:
        cursor.execute(_COUNT[connection.vendor])
        return bool(cursor.fetchone()[0] == _EXPECTED[connection.vendor])


def _run(connection: Any, statements: Iterator[str]) -> None:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def _install_sqlite() -> Iterator[str]:
    for name, when in _SQLITE.items():
        yield f"CREATE TRIGGER {name} {when} BEGIN SELECT RAISE(ABORT, '{REFUSAL}'); END"


def _remove_sqlite() -> Iterator[str]:
    for name in _SQLITE:
        yield f"DROP TRIGGER IF EXISTS {name}"


def _install_postgresql() -> Iterator[str]:
    yield (
        f"CREATE OR REPLACE FUNCTION {_FUNCTION}() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{REFUSAL}' USING ERRCODE = 'integrity_constraint_violation'; END $$"
    )
    yield (
        f"CREATE TRIGGER {_TRIGGER} BEFORE UPDATE OR DELETE OR TRUNCATE ON {TABLE} "
        f"FOR EACH STATEMENT EXECUTE FUNCTION {_FUNCTION}()"
    )
    # Also in a session that plays replica, where other triggers sleep.
    yield f"ALTER TABLE {TABLE} ENABLE ALWAYS TRIGGER {_TRIGGER}"


def _remove_postgresql() -> Iterator[str]:
    yield f"DROP TRIGGER IF EXISTS {_TRIGGER} ON {TABLE}"
    yield f"DROP FUNCTION IF EXISTS {_FUNCTION}()"


_INSTALL: Mapping[str, Callable[[], Iterator[str]]] = {"sqlite": _install_sqlite, "postgresql": _install_postgresql}
_REMOVE: Mapping[str, Callable[[], Iterator[str]]] = {"sqlite": _remove_sqlite, "postgresql": _remove_postgresql}
_COUNT = {
    "sqlite": f"SELECT count(*) FROM sqlite_master WHERE type = 'trigger' AND tbl_name = '{TABLE}'",  # our own name  # noqa: S608  # nosec B608
    "postgresql": f"SELECT count(*) FROM pg_trigger WHERE tgname = '{_TRIGGER}' AND tgenabled = 'A'",  # our own name  # noqa: S608  # nosec B608
}
_EXPECTED = {"sqlite": len(_SQLITE), "postgresql": 1}
