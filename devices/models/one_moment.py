"""Read several things as they stood at one moment, whatever is committed meanwhile."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection, transaction


@contextmanager
def one_moment() -> Iterator[None]:
    """The queries of the block see what was committed when the first of them began. For reading; waits for nobody."""
    if connection.vendor == "sqlite":
        # Not `atomic`: that begins by taking the write lock (settings), and would wait for whoever writes.
        with connection.cursor() as cursor:
            cursor.execute("BEGIN")
            try:
                yield
            finally:
                cursor.execute("ROLLBACK")
        return
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        yield
