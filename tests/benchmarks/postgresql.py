"""A PostgreSQL database for one run, on the server that DATABASE_URL names; dropped afterwards."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql


class NotConfigured(Exception):
    """There is no such server: the rows are left out."""


@contextmanager
def own_database() -> Iterator[dict[str, str]]:
    """DATABASE_URL and REDIS_URL for a child. NotConfigured where the environment names none."""
    url, redis_url = os.environ.get("DATABASE_URL", ""), os.environ.get("REDIS_URL", "")
    if not (url.startswith("postgres") and redis_url):
        raise NotConfigured("DATABASE_URL and REDIS_URL name no PostgreSQL and no Redis")
    parts = urlsplit(url)
    name = f"{parts.path.strip('/')}_bench_{os.getpid()}"
    with psycopg.connect(urlunsplit(parts._replace(path="/postgres")), autocommit=True) as server:
        server.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            yield {"DATABASE_URL": urlunsplit(parts._replace(path=f"/{name}")), "REDIS_URL": redis_url}
        finally:
            server.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
