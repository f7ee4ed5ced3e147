"""The docs: whole, and of use where there is no internet."""

import json
import re
from typing import Any

import pytest
from django.contrib.staticfiles import finders
from django.test import AsyncClient

from devices.api import problems
from devices.api.schemas import ProblemOut, RunOut
from devices.control.gateway import Gateway
from devices.control.group import LONGEST_GROUP_KEY
from tests.api.callers import put
from tests.doubles.fault_server import FaultServer

RESULTS = {"200", "409", "423", "502", "503", "504"}
OTHER_RESULTS = {
    "check": {"200", "423", "503"},
    "cancel": {"200", "409", "503"},
    "reconcile": {"200", "409", "503"},
    "runs": {"207", "503"},
    "lock-out": {"200", "423", "503"},
}


@pytest.fixture
async def caller(key: str) -> AsyncClient:
    """Somebody who shows a key."""
    return AsyncClient(X_API_KEY=key)


@pytest.fixture
async def openapi(caller: AsyncClient) -> dict[str, Any]:
    """The document, as a caller gets it."""
    return (await caller.get("/api/openapi.json")).json()


@pytest.fixture
def operations(openapi: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """By method and address."""
    return {
        f"{method.upper()} {path}": operation
        for path, operations in openapi["paths"].items()
        for method, operation in operations.items()
    }


@pytest.mark.django_db(transaction=True)
class TestTheDocument:
    def test_has_a_name_and_a_version(self, openapi):
        assert (openapi["info"]["title"], openapi["info"]["version"]) == ("PLC gateway", "1.0.0")

    def test_has_every_operation_with_a_summary_and_a_description(self, operations):
        assert operations.keys() == {
            "PUT /api/start/{id}",
            "POST /api/plcs/{plc}/commands/{command}",
            "POST /api/plcs/{plc}/commands/{command}/check",
            "GET /api/plcs",
            "GET /api/plcs/{plc}",
            "GET /api/plcs/{plc}/commands",
            "GET /api/plcs/{plc}/tags",
            "GET /api/plcs/{plc}/tags/{tag}",
            "PUT /api/plcs/{plc}/tags/{tag}",
            "GET /api/plcs/{plc}/history",
            "GET /api/plcs/{plc}/history.csv",
            "GET /api/plcs/{plc}/lock-out",
            "PUT /api/plcs/{plc}/lock-out",
            "DELETE /api/plcs/{plc}/lock-out",
            "GET /api/plcs/{plc}/openapi.json",
            "GET /api/runs",
            "POST /api/runs",
            "GET /api/runs/{run}",
            "POST /api/runs/{run}/cancel",
            "POST /api/runs/{run}/reconcile",
            "GET /api/health/live",
            "GET /api/health/ready",
        }
        assert all(operation["summary"] and operation["description"] for operation in operations.values())

    def test_tells_what_each_operation_answers_when_it_fails(self, operations):
        for name, operation in operations.items():
            errors = {status: content for status, content in operation["responses"].items() if int(status) >= 400}
            assert all(content["content"].keys() == {problems.MEDIA_TYPE} for content in errors.values())
            if "health" not in name:
                assert errors.keys() >= {"401", "403", "422", "500", "503"}
            if not name.startswith("GET"):
                results = OTHER_RESULTS.get(name.rpartition("/")[2], RESULTS)
                assert operation["responses"].keys() >= results | {"400", "401", "403", "413", "415", "422"}
                assert ("{" in name) == ("404" in operation["responses"])

    def test_asks_for_a_key_or_a_session(self, operations):
        for name, operation in operations.items():
            assert operation.get("security") == (None if "health" in name else [{"ApiKey": []}, {"Session": []}])

    def test_describes_the_start(self, openapi, operations):
        body = openapi["components"]["schemas"]["StartIn"]
        told = {
            name: (field["type"], field["description"], field["default"]) for name, field in body["properties"].items()
        }
        assert told == {
            "batsize": ("integer", "batch size", 15),
            "noksize": ("integer", "maximum consecutive failures", 3),
        }
        assert not body["additionalProperties"]
        assert not body.get("required")
        assert not operations["PUT /api/start/{id}"]["requestBody"]["required"]

    def test_describes_keys_and_waiting_where_a_command_is_run(self, operations):
        for name in ("PUT /api/start/{id}", "POST /api/plcs/{plc}/commands/{command}"):
            given = {(parameter["in"], parameter["name"]) for parameter in operations[name]["parameters"]}
            assert given >= {("header", "Idempotency-Key"), ("header", "Prefer"), ("query", "wait")}
            assert "202" in operations[name]["responses"]

    def test_describes_a_group_as_it_is_answered(self, operations):
        group = operations["POST /api/runs"]
        assert [status for status in group["responses"] if int(status) < 400] == ["207"]
        (key,) = [given for given in group["parameters"] if given["name"] == "Idempotency-Key"]
        assert key["schema"]["maxLength"] == LONGEST_GROUP_KEY == 251

    async def test_fits_what_is_answered(self, mes: AsyncClient, machine: FaultServer):
        RunOut.model_validate((await put(mes, "/api/start/press-1")).json())
        await machine.refuse_connects()
        ProblemOut.model_validate((await put(mes, "/api/start/press-1")).json())
        ProblemOut.model_validate((await put(mes, "/api/start/press-1", {"batsize": 0})).json())


@pytest.mark.django_db(transaction=True)
class TestThePage:
    async def test_needs_no_internet(self, caller: AsyncClient):
        page = (await caller.get("/api/docs")).content.decode()
        addresses = re.findall(r'(?:src|href|url)\s*=\s*"([^"]+)"', page)
        assert len(addresses) >= 3
        assert all(address.startswith("/static/") for address in addresses)
        assert all(finders.find(address.removeprefix("/static/")) for address in addresses)
        assert "//" not in page.replace("<!DOCTYPE", "")

    async def test_sends_the_document_to_no_validator(self, caller: AsyncClient):
        page = (await caller.get("/api/docs")).content.decode()
        settings = json.loads(re.search(r"<script type=\"application/json\"[^>]*>(.*?)</script>", page, re.DOTALL)[1])
        assert settings["validatorUrl"] is None
        assert settings["url"] == "/api/openapi.json"


@pytest.mark.django_db(transaction=True)
class TestHealth:
    async def test_lives_without_a_gateway_and_is_not_ready(self, async_client: AsyncClient):
        assert (await async_client.get("/api/health/live")).json() == {"status": "alive"}
        assert (await async_client.get("/api/health/ready")).status_code == 503

    async def test_is_ready_once_the_gateway_is(self, async_client: AsyncClient, gateway: Gateway):
        answer = await async_client.get("/api/health/ready")
        assert (answer.status_code, answer.json()) == (200, {"status": "ready"})

    @pytest.mark.parametrize("change", [{"is_draining": True}, {"is_ready": False}])
    async def test_is_not_ready_while_the_gateway_is_not(self, async_client: AsyncClient, gateway: Gateway, change):
        for name, value in change.items():
            setattr(gateway, name, value)
        answer = await async_client.get("/api/health/ready")
        assert answer.status_code == 503
        assert answer.json().keys() == {"type", "title", "status", "detail"}
        assert answer["Cache-Control"] == "no-store"
