"""The site in a process of its own on the test's database, and a MES that calls it; import them into a conftest.

Whoever uses them says in a fixture `registry` what is registered before the server starts.
"""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from django.conf import settings
from django.db import connection

from tests.access import new_key
from tests.serving.process import RunningServer, database_url, running_server

__all__ = ["environment", "key", "mes", "server"]


@pytest.fixture
def key(transactional_db: None) -> str:
    """The key of a MES."""
    return new_key()


@pytest.fixture
def environment(registry: object) -> dict[str, str]:
    """For a child server on this test's database, with what is registered there."""
    redis = {"REDIS_URL": settings.REDIS_URL} if settings.REDIS_URL else {}
    return {"DATABASE_URL": database_url(connection), "LIVE_PUBLIC": "1", "SECRET_KEY": settings.SECRET_KEY, **redis}


@pytest.fixture
async def server(environment: dict[str, str], tmp_path: Path) -> AsyncIterator[RunningServer]:
    """The site; the machines in this process live on while it starts and ends."""
    context = running_server(tmp_path, env=environment, migrate=False)
    running = await asyncio.to_thread(context.__enter__)
    yield running
    await asyncio.to_thread(context.__exit__, None, None, None)


@pytest.fixture
async def mes(server: RunningServer, key: str) -> AsyncIterator[httpx.AsyncClient]:
    """A caller with a key."""
    async with httpx.AsyncClient(base_url=server.url, headers={"X-API-Key": key}, timeout=60) as client:
        yield client
