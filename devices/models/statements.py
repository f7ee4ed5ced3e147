"""Plain SQL for rows that are written while a machine waits: the ORM takes several times as long to say the same.

The statements are made from the model, so that a new column is in them. No signals are sent, and nothing is validated.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections, models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.base.operations import BaseDatabaseOperations

Convert = Callable[[BaseDatabaseOperations, Any], Any]
MOST_PARAMETERS = 900  # of one statement; SQLite had a limit of 999 for long


class Statements:
    """INSERT and UPDATE of one table, for columns as the model's attributes are called (`plc_id`, not `plc`)."""

    def __init__(self, model: type[models.Model]) -> None:
        self.model = model
        meta = model._meta  # noqa: SLF001 - Django's documented name
        self._table = meta.db_table
        self._key = meta.pk.column
        self._fields = {field.attname: field for field in meta.concrete_fields if not field.primary_key}
        self._converters = {name: _converter(field) for name, field in self._fields.items()}
        self._update_of = cache(self._made_update)
        self._columns = ", ".join(map(self._column, self._fields))
        self._places = f"({', '.join(['%s'] * len(self._fields))})"
        self._empty_of = cache(self._written_empty)

    def insert(self, rows: Sequence[Mapping[str, Any]]) -> list[tuple[int, Mapping[str, Any]]]:
        """Add rows; each comes back in the same order with its key, and with the defaults of what it left out."""
        most = MOST_PARAMETERS // len(self._fields)
        whole = [self._whole(row) for row in rows]
        values = self._values(whole, given=rows)
        keys = [key for start in range(0, len(rows), most) for key in self._insert(values[start : start + most])]
        return list(zip(keys, whole, strict=True))

    def update(self, key: int, changes: Mapping[str, Any], *, where: Mapping[str, Any]) -> bool:
        """Change a row, if it is as `where` says; whether it was."""
        ops = _database().ops
        values = [*self._converted(ops, changes), key, *self._converted(ops, where)]
        return bool(_run(self._update_of(tuple(changes), tuple(where)), values).rowcount)

    def _insert(self, rows: Sequence[Sequence[Any]]) -> list[int]:
        places = ", ".join([self._places] * len(rows))
        # Names of ours; what is written goes along beside the statement.
        sql = f"INSERT INTO {self._table} ({self._columns}) VALUES {places} RETURNING {self._key}"  # noqa: S608  # nosec B608
        return [key for (key,) in rows_of(sql, [value for row in rows for value in row])]

    def _whole(self, row: Mapping[str, Any]) -> Mapping[str, Any]:
        if unknown := row.keys() - self._fields.keys():
            raise TypeError(f"{self._table} has no column for {', '.join(sorted(unknown))}")
        return {name: row[name] if name in row else field.get_default() for name, field in self._fields.items()}

    def _values(self, rows: Sequence[Mapping[str, Any]], *, given: Sequence[Mapping[str, Any]]) -> list[list[Any]]:
        """Whole rows as the database takes them; an empty object that was not `given` is not written anew each time."""
        database, converters = _database(), self._converters.items()
        ops, empty = database.ops, self._empty_of(database.vendor)
        return [
            [
                empty[name] if name in empty and name not in said else convert(ops, row[name])
                for name, convert in converters
            ]
            for row, said in zip(rows, given, strict=True)
        ]

    def _written_empty(self, _vendor: str) -> Mapping[str, Any]:
        """As this database takes it, by column."""
        ops = _database().ops
        empty = {name: field.default() for name, field in self._fields.items() if field.default in (dict, list)}
        return {name: self._converters[name](ops, value) for name, value in empty.items()}

    def _made_update(self, changed: tuple[str, ...], where: tuple[str, ...]) -> str:
        sets = ", ".join(f"{self._column(name)} = %s" for name in changed)
        conditions = " AND ".join(f"{column} = %s" for column in (self._key, *map(self._column, where)))
        return f"UPDATE {self._table} SET {sets} WHERE {conditions}"  # names of ours  # noqa: S608  # nosec B608

    def _column(self, name: str) -> str:
        return f'"{self._fields[name].column}"'

    def _converted(self, ops: BaseDatabaseOperations, values: Mapping[str, Any]) -> Iterable[Any]:
        return [self._converters[name](ops, value) for name, value in values.items()]


def rows_of(sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    """What a statement finds; `%s` in it stands for a value.

    Within a transaction: its begin has tried the connection.
    """
    with _database().wrap_database_errors:
        return list(_run(sql, values))


def _run(sql: str, values: Sequence[Any]) -> Any:
    """By the driver itself, its errors translated: Django's cursors take as long as SQLite to write the row."""
    database = _database()
    database.validate_no_broken_transaction()
    database.ensure_connection()
    with database.wrap_database_errors:
        return database.connection.execute(sql.replace("%s", "?") if database.vendor == "sqlite" else sql, values)


def _database() -> BaseDatabaseWrapper:
    """This thread's, itself: Django's stand-in for it looks it up at each word."""
    return connections[DEFAULT_DB_ALIAS]


def _converter(field: "models.Field[Any, Any]") -> Convert:
    """From the model's value to the database's."""
    if isinstance(field, models.JSONField):
        return lambda ops, value: None if value is None else ops.adapt_json_value(value, field.encoder)
    if isinstance(field, models.DateTimeField):
        return lambda ops, value: None if value is None else ops.adapt_datetimefield_value(value)
    if isinstance(field, (models.CharField, models.TextField)):
        return lambda _, value: None if value is None else str(value)  # one of our enumerations may be meant
    return lambda _, value: value
