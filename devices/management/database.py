"""Whether the database is ready for this version of the gateway."""

from django.db import DatabaseError, connection, connections
from django.db.migrations.executor import MigrationExecutor

from devices.management.errors import CannotStart


def require_migrated() -> None:
    """Raise CannotStart where the database cannot be reached or has not been brought up to date."""
    try:
        executor = MigrationExecutor(connection)
        missing = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except DatabaseError as error:
        raise CannotStart(f"The database does not answer: {error}") from error
    finally:
        connections.close_all()
    if missing:
        raise CannotStart(
            f"The database lacks {len(missing)} migration(s), the first is {missing[0][0]}: run manage.py migrate."
        )
