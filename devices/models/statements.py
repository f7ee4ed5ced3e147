"""Plain SQL for rows that are written while a machine waits: the ORM takes several times as long to say the same.

The statements are made from the model, so that a new column is in them. No signals are sent, and nothing is validated.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import Any

from django.db import connection, models

Convert = Callable[[Any], Any]
MOST_PARAMETERS = 900  # of one statement; SQLite had a limit of 999 for long


class Statements:
    """INSERT and UPDATE of one table, for columns as the model's attributes are called (`plc_id`, not `plc`)."""

    def __init__(self, model: type[models.Model]) -> None:
        self.model = model
        meta = model._meta  # noqa: SLF001 - Django's documented name
        self._table = meta.db_table
        self._key = meta.pk.column
        self._fields = {field.attname: field for field in meta.concrete_fields if not field.primary_key}
        self._update_of = cache(self._made_update)
        self._columns = ", ".join(_quoted(field.column) for field in self._fields.values())
        self._places = f"({', '.join(['%s'] * len(self._fields))})"

    def insert(self, rows: Sequence[Mapping[str, Any]]) -> list[tuple[int, Mapping[str, Any]]]:
        """Add rows; each comes back in the same order with its key, and with the defaults of what it left out."""
        most = MOST_PARAMETERS // len(self._fields)
        whole = [self._whole(row) for row in rows]
        keys = [key for start in range(0, len(whole), most) for key in self._insert(whole[start : start + most])]
        return list(zip(keys, whole, strict=True))

    def update(self, key: int, changes: Mapping[str, Any], *, where: Mapping[str, Any]) -> bool:
        """Change a row, if it is as `where` says; whether it was."""
        with connection.cursor() as cursor:
            cursor.execute(
                self._update_of(tuple(changes), tuple(where)),
                [*self._converted(changes), key, *self._converted(where)],
            )
            return bool(cursor.rowcount)

    def _insert(self, rows: Sequence[Mapping[str, Any]]) -> Iterable[int]:
        values = [value for row in rows for value in self._converted(row)]
        places = ", ".join([self._places] * len(rows))
        # Names of ours; what is written goes along beside the statement.
        sql = f"INSERT INTO {self._table} ({self._columns}) VALUES {places} RETURNING {self._key}"  # noqa: S608  # nosec B608
        with connection.cursor() as cursor:
            cursor.execute(sql, values)
            return [key for (key,) in cursor.fetchall()]

    def _whole(self, row: Mapping[str, Any]) -> Mapping[str, Any]:
        if unknown := row.keys() - self._fields.keys():
            raise TypeError(f"{self._table} has no column for {', '.join(sorted(unknown))}")
        return {name: row[name] if name in row else field.get_default() for name, field in self._fields.items()}

    def _made_update(self, changed: tuple[str, ...], where: tuple[str, ...]) -> str:
        sets = ", ".join(f"{self._column(name)} = %s" for name in changed)
        conditions = " AND ".join(f"{column} = %s" for column in (self._key, *map(self._column, where)))
        return f"UPDATE {self._table} SET {sets} WHERE {conditions}"  # names of ours  # noqa: S608  # nosec B608

    def _column(self, name: str) -> str:
        return _quoted(self._fields[name].column)

    def _converted(self, values: Mapping[str, Any]) -> Iterable[Any]:
        vendor = connection.vendor
        return [_converter(self._fields[name], vendor)(value) for name, value in values.items()]


def _quoted(column: str | None) -> str:
    return f'"{column}"'


@cache
def _converter(field: "models.Field[Any, Any]", vendor: str) -> Convert:  # noqa: ARG001 - what a database takes is its own
    """From the model's value to the database's."""
    if isinstance(field, models.JSONField):
        return lambda value: None if value is None else connection.ops.adapt_json_value(value, field.encoder)
    if isinstance(field, models.DateTimeField):
        return lambda value: None if value is None else connection.ops.adapt_datetimefield_value(value)
    if isinstance(field, (models.CharField, models.TextField)):
        return lambda value: None if value is None else str(value)  # one of our enumerations may be meant
    return lambda value: value
