"""Who gets what from each route of the API; a route without a row fails."""

import json
from collections.abc import Iterator

import pytest
from asgiref.sync import sync_to_async
from django.http import HttpResponse
from django.test import AsyncClient

from devices.api import api
from devices.models import PLC, LockOut
from tests.security.callers import CALLERS, everybody

#                                                  viewer   engineer  auditor   key    revoked
#                                       anonymous  | operator |  MES   | security | other |
#                                                |  |   |   |   |   |   |   |   |   |
ANSWERS = """
GET  /api/health/live                           200 200 200 200 200 200 200 200 200 200
GET  /api/health/ready                          200 200 200 200 200 200 200 200 200 200
GET  /api/plcs                                  401 200 200 200 200 200 200 200 200 401
GET  /api/plcs/{plc}                            401 200 200 200 200 200 404 200 404 401
GET  /api/plcs/{plc}/commands                   401 200 200 200 200 200 404 200 404 401
GET  /api/plcs/{plc}/openapi.json               401 200 200 200 200 200 404 200 404 401
GET  /api/plcs/{plc}/tags                       401 200 200 200 200 200 404 200 404 401
GET  /api/plcs/{plc}/tags/{tag}                 401 200 200 200 200 200 404 200 404 401
GET  /api/plcs/{plc}/history                    401 200 200 200 200 200 404 200 404 401
GET  /api/plcs/{plc}/history.csv                401 200 200 200 200 200 404 200 404 401
PUT  /api/start/{id}                            401 403 200 200 200 403 404 200 404 401
POST /api/plcs/{plc}/commands/{command}         401 403 200 200 200 403 404 200 404 401
POST /api/plcs/{plc}/commands/{command}/check   401 403 200 200 200 403 404 200 404 401
PUT  /api/plcs/{plc}/tags/{tag}                 401 403 403 200 200 403 404 200 404 401
GET  /api/runs                                  401 200 200 200 200 200 200 200 200 401
POST /api/runs                                  401 403 200 200 200 403 404 200 404 401
GET  /api/runs/{run}                            401 200 200 200 200 200 404 200 404 401
POST /api/runs/{run}/cancel                     401 403 409 409 409 403 404 409 404 401
POST /api/runs/{run}/reconcile                  401 403 409 409 409 403 404 409 404 401
GET  /api/plcs/{plc}/lock-out                   401 200 200 200 200 200 404 200 404 401
PUT  /api/plcs/{plc}/lock-out                   401 403 403 200 403 403 404 200 404 401
DELETE /api/plcs/{plc}/lock-out                 401 403 403 200 403 403 404 200 404 401
"""
"""The status for each of CALLERS; of a group of commands the status of its one command."""

BODIES = {
    "PUT /api/start/{id}": {"batsize": 15},
    "POST /api/plcs/{plc}/commands/{command}": {"batch_size": 15},
    "POST /api/plcs/{plc}/commands/{command}/check": {"batch_size": 15},
    "PUT /api/plcs/{plc}/tags/{tag}": {"value": 15},
    "POST /api/runs": {"commands": [{"plc": "press-1", "command": "start_batch", "parameters": {"batch_size": 15}}]},
    "PUT /api/plcs/{plc}/lock-out": {"reason": "the belt is being changed"},
}
QUERIES = {"GET /api/plcs/{plc}/history": "?tag=good_count", "GET /api/plcs/{plc}/history.csv": "?tag=good_count"}


def rows() -> Iterator[tuple[str, list[int]]]:
    """Each route as the API documents it, with its statuses."""
    for line in ANSWERS.strip().splitlines():
        method, path, *statuses = line.split()
        yield f"{method} {path}", [int(status) for status in statuses]


def documented() -> set[str]:
    """All that the API serves."""
    paths = api.get_openapi_schema()["paths"]
    return {f"{method.upper()} {path}" for path, item in paths.items() for method in item}


class TestEveryRoute:
    def test_has_a_row(self):
        assert {route for route, _ in rows()} == documented()
        assert all(len(statuses) == len(CALLERS) for _, statuses in rows())

    async def test_answers_each_caller_as_the_table_says(self, press: PLC, roles, gateway, subtests: pytest.Subtests):
        other = await PLC.objects.aget(name="press-2")
        callers = await everybody(press, other)
        run = await a_run(callers["key"])
        for route, statuses in rows():
            for caller, wanted in zip(CALLERS, statuses, strict=True):
                await prepare(press, route)
                with subtests.test(route, caller=caller):
                    assert status_of(await ask(callers[caller], route, run)) == wanted


async def a_run(client: AsyncClient) -> int:
    answer = await ask(client, "PUT /api/start/{id}", 0)
    assert answer.status_code == 200, answer.content
    return json.loads(answer.content)["id"]


async def ask(client: AsyncClient, route: str, run: int) -> HttpResponse:
    method, path = route.split()
    address = path.format(plc="press-1", id="press-1", command="start_batch", tag="batch_size", run=run)
    body = json.dumps(BODIES[route]) if route in BODIES else ""
    kind = {"content_type": "application/json"} if method != "GET" else {}
    return await client.generic(method, address + QUERIES.get(route, ""), body, **kind)


def status_of(answer: HttpResponse) -> int:
    """Of a group of one command what became of that."""
    if answer.status_code == 207:
        (result,) = json.loads(answer.content)["results"]
        return result["status"]
    return answer.status_code


@sync_to_async
def prepare(press: PLC, route: str) -> None:
    """A machine that is locked out, for who is to unlock it, and else one that is free."""
    for row in LockOut.objects.all():
        row.delete()
    if route.startswith("DELETE"):
        LockOut(plc=press, by="user otto", reason="the belt is being changed").save()
