"""A gateway's database of its own, as the migrations make it, and its shell; the tests' own is emptied after each."""

import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import CompletedProcess

import psycopg
import pytest
from django.db import connection

from tests.serving.process import RunningServer, database_url, manage, running_server


@dataclass
class Site:
    """Where it keeps its files, and what else its environment says."""

    data_dir: Path
    env: dict[str, str] = field(default_factory=dict)

    def manage(self, *arguments: str, env: Mapping[str, str] | None = None) -> CompletedProcess[str]:
        return manage(self.data_dir, *arguments, env={**self.env, **(env or {})})

    def python(self, code: str) -> CompletedProcess[str]:
        return self.manage("shell", "--no-imports", "-c", code)

    def printed(self, code: str) -> str:
        """What the code printed, where nothing went wrong."""
        done = self.python(code)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def sql(self, statement: str) -> CompletedProcess[str]:
        return self.python(f"from django.db import connection; connection.cursor().execute({statement!r})")

    def server(self) -> AbstractContextManager[RunningServer]:
        """`serve`, while the block lasts."""
        return running_server(self.data_dir, env=self.env, migrate=False)


@contextmanager
def empty_site(data_dir: Path, name: str) -> Iterator[Site]:
    """Nothing in it. SQLite: the directory; PostgreSQL: a database beside that of the tests, dropped at the end."""
    data_dir.mkdir(exist_ok=True)
    if connection.vendor == "sqlite":
        yield Site(data_dir)
        return
    server = database_url(connection).rpartition("/")[0]
    own = f"{name}_{os.getpid()}"

    def run(statement: str) -> None:
        with psycopg.connect(f"{server}/postgres".replace("postgres://", "postgresql://"), autocommit=True) as server_:
            server_.execute(statement)

    run(f"CREATE DATABASE {own}")
    try:
        yield Site(data_dir, {"DATABASE_URL": f"{server}/{own}"})
    finally:
        run(f"DROP DATABASE {own} WITH (FORCE)")


@contextmanager
def _migrated_site(data_dir: Path, name: str) -> Iterator[Site]:
    with empty_site(data_dir, name) as site:
        made = site.manage("migrate", "--verbosity", "0")
        assert made.returncode == 0, made.stderr
        yield site


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """As migrated."""
    with _migrated_site(tmp_path / "gateway", "own") as site:
        yield site


@pytest.fixture(scope="module")
def kept_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The same, for tests that change nothing in it."""
    with _migrated_site(tmp_path_factory.mktemp("kept"), "kept") as site:
        yield site
