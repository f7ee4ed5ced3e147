"""Shorthands for what callers send and get."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

from channels.db import database_sync_to_async
from django.db import connection
from django.http import HttpResponse
from django.test import AsyncClient

PROBLEM = "application/problem+json"


async def put(client: AsyncClient, address: str, body: Any = None, **more: Any) -> HttpResponse:
    """A PUT with a JSON body, or with none."""
    return await client.put(address, _text(body), content_type="application/json", **more)


async def post(client: AsyncClient, address: str, body: Any = None, **more: Any) -> HttpResponse:
    """A POST with a JSON body, or with none."""
    return await client.post(address, _text(body), content_type="application/json", **more)


def _text(body: Any) -> Any:
    if body is None:
        return b""
    return body if isinstance(body, bytes) else json.dumps(body).encode()


def problem_of(answer: HttpResponse, status: int, code: str) -> dict[str, Any]:
    """The problem that the answer is, whole and consistent."""
    assert answer.status_code == status, answer.content
    assert answer["Content-Type"] == PROBLEM
    assert answer["Cache-Control"] == "no-store"
    assert (status in (429, 503)) == ("Retry-After" in answer)
    told = json.loads(answer.content)
    assert told["type"] == f"tag:plc-gateway,2026:{code}"
    assert told["status"] == status
    assert told["title"]
    assert told["detail"]
    return told


def faults_of(answer: HttpResponse) -> dict[str, str]:
    """What a 422 says of each field."""
    return {fault["field"]: fault["message"] for fault in problem_of(answer, 422, "invalid-parameters")["errors"]}


async def until(holds: Callable[[], bool]) -> None:
    """Wait for something that other tasks bring about."""
    async with asyncio.timeout(15):
        while not holds():  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)


@database_sync_to_async
def rename(table: str, to: str) -> None:
    """Take a table away, or bring it back: a database that does not work."""
    with connection.cursor() as cursor:
        cursor.execute(f'ALTER TABLE "{table}" RENAME TO "{to}"')
