"""Connections to the database that no pool lends: of threads that commands wait for, and of what holds a lock.

A pool is for requests. Ten slow pages take all of it, and whoever borrowed from it like them would wait behind them.
"""

from django.db import DEFAULT_DB_ALIAS, connection, connections
from django.db.backends.base.base import BaseDatabaseWrapper


def own_connection() -> BaseDatabaseWrapper:
    """A connection to the default database beside that of this thread, and beside the pool; not open yet."""
    own = connection.copy()
    own.settings_dict["OPTIONS"].pop("pool", None)
    return own


def leave_the_pool() -> None:
    """From now on this thread has a connection of its own; it stays open until it is closed. SQLite has no pool."""
    if "pool" in connection.settings_dict["OPTIONS"]:
        connections[DEFAULT_DB_ALIAS] = own_connection()


def look_through_pool() -> None:
    """Replace what a restarted server has dropped, before requests find one lost connection after the other."""
    pool = getattr(connections.create_connection(DEFAULT_DB_ALIAS), "pool", None)
    if pool is not None:
        pool.check()
