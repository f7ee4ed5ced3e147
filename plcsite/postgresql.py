"""What every session of PostgreSQL is told: how long it may keep others waiting, and how soon a lost server is noticed.

Left alone, PostgreSQL waits for ever: for a process that stands still between its UPDATE and its COMMIT, and for two
hours for a host that has lost its power. Whoever needs the row waits with it.
"""

from collections.abc import Mapping
from typing import Any

_AT_THE_SERVER = {
    "lock_timeout": "20s",  # as long as SQLite waits
    "idle_in_transaction_session_timeout": "10s",  # what it had changed is taken back, its locks are free
    "tcp_keepalives_idle": "5",  # seconds, here and below
    "tcp_keepalives_interval": "2",
    "tcp_keepalives_count": "3",
}
"""For the server to notice that we are gone, or stand still."""
_HERE = {
    "connect_timeout": 5,  # seconds
    "tcp_user_timeout": 5000,  # milliseconds
    "keepalives_idle": 5,  # seconds, here and below
    "keepalives_interval": 2,
    "keepalives_count": 3,
}
"""Libpq's settings, for us to notice that the server is gone."""
POOL = {
    "min_size": 2,
    "max_size": 10,
    "timeout": 5.0,  # seconds that a thread waits for a connection
    "reconnect_timeout": 5.0,  # or the pauses between its own tries grow to minutes, and outlast what they wait for
}


def options_beside(said: Mapping[str, Any]) -> dict[str, Any]:
    """Ours, and what the URL says after its ?: sslmode, sslrootcert. Where both say something, the URL counts."""
    ours = " ".join(f"-c {name}={value}" for name, value in _AT_THE_SERVER.items())
    # Of settings that come twice the server takes the last one.
    return {**_HERE, **said, "options": f"{ours} {said.get('options', '')}".rstrip()}
