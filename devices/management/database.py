"""Whether the database is ready for this version of the gateway, and the end of its connections."""

from django.db import Error as DatabaseUnavailable
from django.db import connection, connections
from django.db.migrations.executor import MigrationExecutor

from devices.management.errors import CannotStart


def require_migrated() -> None:
    """Raise CannotStart where the database cannot be reached or has not been brought up to date."""
    try:
        executor = MigrationExecutor(connection)
        missing = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except DatabaseUnavailable as error:
        raise CannotStart(f"The database does not answer: {error}") from error
    finally:
        connections.close_all()
    if missing:
        raise CannotStart(
            f"The database lacks {len(missing)} migration(s), the first is {missing[0][0]}: run manage.py migrate."
        )


def close_pools() -> None:
    """Close what a PostgreSQL pool still holds; to be called when nothing uses the database any more."""
    for used in connections.all(initialized_only=True):
        if used.vendor == "postgresql":
            used.close_pool()  # type: ignore[attr-defined]  # PostgreSQL's wrapper has one
