"""One PLC's own API: true to what its commands take and answer, and of use where there is no internet."""

import json
import re
from collections.abc import Callable
from decimal import Decimal
from functools import cache
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.contrib.staticfiles import finders
from django.test import AsyncClient
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from devices.api import problems
from devices.api.answer_headers import ANSWER_HEADERS
from devices.api.schemas import COMMANDING
from devices.modbus.types import Table
from devices.models import Command, Parameter, Profile, Step, Tag
from tests.api.callers import post, problem_of, put
from tests.doubles import faults
from tests.doubles.fault_server import FaultServer

pytestmark = pytest.mark.django_db(transaction=True)

DOCUMENT = "/api/plcs/press-1/openapi.json"
PAGE = "/api/plcs/press-1/docs"
START = "/api/plcs/press-1/commands/start_batch"
RESET = "/api/plcs/press-1/commands/reset_fault"

Valid = Callable[[str, Any], bool]


@pytest.fixture
async def document(mes: AsyncClient) -> dict[str, Any]:
    """Of the demo's batch machine."""
    return await of(mes)


async def of(mes: AsyncClient) -> dict[str, Any]:
    answer = await mes.get(DOCUMENT)
    assert (answer.status_code, answer["Content-Type"].partition(";")[0]) == (200, "application/json")
    _require_valid(answer.content)
    return answer.json()


@cache
def _require_valid(document: bytes) -> None:
    """Half a second of computing, for a document that most tests here get."""
    OpenAPIV31SpecValidator(json.loads(document)).validate()


def commands(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The operations that run commands, by their addresses."""
    return {path: methods["post"] for path, methods in document["paths"].items() if "post" in methods}


def is_valid(document: dict[str, Any], name: str, value: Any) -> bool:
    """Whether a value is one of the named schema."""
    whole = {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
    return Draft202012Validator(whole).is_valid(value)


@pytest.fixture
async def oven(mes: AsyncClient) -> Command:
    """A command with every kind of parameter and of result."""
    profile = await Profile.objects.aget()
    heat = await Command.objects.acreate(profile=profile, name="heat", title="Heat the tool")

    async def add(kind: str, tag: dict[str, Any], parameter: dict[str, Any]) -> None:
        table = {"table": "coil"} if tag["data_type"] == "bool" else {"table": "holding_register"}
        row = await Tag.objects.acreate(profile=profile, name=f"oven_{kind}", **table, **tag)
        given = await Parameter.objects.acreate(command=heat, name=kind, data_type=kind, **parameter)
        await Step.objects.acreate(command=heat, phase="write", tag=row, parameter=given)
        await Step.objects.acreate(command=heat, phase="read", tag=row, operator="get")

    warm = {"data_type": "uint16", "scale": Decimal("0.1"), "unit": "°C", "maximum": Decimal(300)}
    await add("number", {"address": 20, **warm}, {"label": "temperature"})
    await add("integer", {"address": 21, "data_type": "uint16", "labels": {"0": "off"}}, {"default": 1})
    await add("text", {"address": 22, "data_type": "string", "length": 4}, {"default": "PLA"})
    await add("boolean", {"address": 9, "data_type": "bool"}, {"default": True})
    start = await Tag.objects.aget(name="reset_fault")
    await Step.objects.acreate(command=heat, phase="trigger", tag=start, value="1")
    return heat


class TestTheDocument:
    async def test_has_an_operation_for_each_command_at_its_own_address(self, document):
        operations = {path: operation["operationId"] for path, operation in commands(document).items()}
        assert operations == {START: "start_batch", RESET: "reset_fault"}
        assert document["openapi"] == "3.1.0"
        assert document["info"]["title"].startswith("press-1")

    async def test_names_the_plc_also_when_asked_by_number(self, mes: AsyncClient, press):
        assert START in (await mes.get(f"/api/plcs/{press.pk}/openapi.json")).json()["paths"]

    async def test_tells_types_limits_defaults_and_labels(self, document):
        body = document["components"]["schemas"]["start_batch_parameters"]
        assert body["properties"]["batch_size"] == {
            "type": "integer",
            "title": "batch size",
            "default": 15,
            "minimum": 1,
            "maximum": 10_000,
            "description": "written without a decimal point",
        }
        assert (body["required"], body["additionalProperties"]) == ([], False)

    async def test_tells_of_keys_and_of_waiting(self, mes: AsyncClient, machine: FaultServer, document):
        operation = document["paths"][START]["post"]
        told = {(parameter["in"], parameter["name"]): parameter for parameter in operation["parameters"]}
        assert told.keys() == {("header", "Idempotency-Key"), ("header", "Prefer"), ("query", "wait")}
        assert not any(parameter["required"] for parameter in told.values())
        assert told["query", "wait"]["schema"] == {"type": "number", "minimum": 0, "maximum": 3600}
        machine.misbehave(faults.slow(0.3), at=(Table.COIL, 0))
        key = {"Idempotency-Key": "k", "Prefer": "respond-async"}
        open_, ended = await post(mes, START, headers=key), await post(mes, START, headers={"Idempotency-Key": "k"})
        for answer, status in ((open_, 202), (ended, 200)):
            assert answer.status_code == status
            shape = operation["responses"][str(status)]
            sent = {name for name in answer.headers if name in ANSWER_HEADERS}
            assert sent <= shape["headers"].keys()
            name = shape["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
            assert is_valid(document, name, answer.json())
        assert {"Location", "Retry-After", "Preference-Applied"} <= open_.headers.keys()
        assert ended["Idempotency-Replayed"] == "true"

    async def test_wants_a_body_only_where_something_is_required(self, mes: AsyncClient, oven):
        operations = commands(await of(mes))
        wanted = {
            path.rpartition("/")[2]: operation["requestBody"]["required"] for path, operation in operations.items()
        }
        assert wanted == {"heat": True, "reset_fault": False, "start_batch": False}

    async def test_is_narrowed_by_the_tags_with_unit_and_scale(self, mes: AsyncClient, oven):
        given = (await of(mes))["components"]["schemas"]["heat_parameters"]
        number = given["properties"]["number"]
        assert (number["minimum"], number["maximum"], number["x-unit"]) == (0, 300, "°C")
        assert "°C" in number["description"]
        assert given["properties"]["integer"]["maximum"] == 65535
        assert given["properties"]["text"]["maxLength"] == 8
        assert given["required"] == ["number"]

    async def test_follows_a_change_in_the_registry(self, mes: AsyncClient, press):
        size = await Parameter.objects.aget(name="batch_size")
        size.default, size.maximum = None, 40
        await size.asave()
        body = (await of(mes))["components"]["schemas"]["start_batch_parameters"]
        assert (body["properties"]["batch_size"]["maximum"], body["required"]) == (40, ["batch_size"])

    async def test_tells_every_answer(self, document):
        responses = document["components"]["responses"]
        for operation in commands(document).values():
            assert operation["responses"].keys() == {"200", "202", *map(str, COMMANDING)}
        for status in COMMANDING:
            assert responses[f"Problem{status}"]["content"].keys() == {problems.MEDIA_TYPE}
        assert "`run-rejected`" in responses["Problem409"]["description"]
        assert "unknown-run" not in responses["Problem404"]["description"]
        assert "Retry-After" in responses["Problem503"]["headers"]

    async def test_asks_for_a_key_or_a_session(self, document):
        assert document["security"] == [{"ApiKey": []}, {"Session": []}]
        assert document["components"]["securitySchemes"]["ApiKey"]["name"] == "X-API-Key"

    @pytest.mark.parametrize("address", [DOCUMENT, PAGE])
    async def test_and_page_are_for_those_who_may_call(self, mes: AsyncClient, address: str):
        problem_of(await AsyncClient().get(address), 401, "unauthorized")

    @pytest.mark.parametrize("part", ["openapi.json", "docs"])
    async def test_and_page_of_an_unknown_plc_are_not_found(self, mes: AsyncClient, part: str):
        problem_of(await mes.get(f"/api/plcs/press-9/{part}"), 404, "unknown-plc")


class TestItIsTrue:
    """The API does what the document says."""

    @pytest.mark.parametrize(
        "body",
        [
            {},
            {"batch_size": 1},
            {"batch_size": 10_000, "nok_num": 0},
            {"batch_size": 0},
            {"batch_size": 10_001},
            {"batch_size": "15"},
            {"batch_size": True},
            {"batch_size": None},
            {"batch_size": 1.5},
            {"nok_num": -1},
            {"batsize": 4},
        ],
    )
    async def test_of_a_start(self, mes: AsyncClient, machine: FaultServer, document, body: dict[str, Any]):
        answer = await post(mes, START, body)
        assert answer.status_code == (200 if is_valid(document, "start_batch_parameters", body) else 422)
        assert is_valid(document, "start_batch_run" if answer.status_code == 200 else "ProblemOut", answer.json())

    @pytest.mark.parametrize(
        "body",
        [
            {"number": 0},
            {"number": 300},
            {"number": 21.5, "integer": 65535, "text": "12345678", "boolean": False},
            {},
            {"number": -0.1},
            {"number": 300.1},
            {"number": 1, "integer": 65536},
            {"number": 1, "text": "123456789"},
            {"number": 1, "text": "a\0b"},
            {"number": 1, "boolean": 1},
        ],
    )
    async def test_of_every_type(self, mes: AsyncClient, machine: FaultServer, oven, body: dict[str, Any]):
        document = await of(mes)
        answer = await post(mes, "/api/plcs/press-1/commands/heat", body)
        assert answer.status_code == (200 if is_valid(document, "heat_parameters", body) else 422), answer.json()
        assert is_valid(document, "heat_run" if answer.status_code == 200 else "ProblemOut", answer.json())

    async def test_of_a_result(self, mes: AsyncClient, machine: FaultServer, document):
        result = document["components"]["schemas"]["start_batch_result"]
        assert result["properties"] == {"batch_number": {"type": "integer", "minimum": 0, "maximum": 2**32 - 1}}
        assert result["required"] == ["batch_number"]
        run = (await post(mes, START)).json()
        assert is_valid(document, "start_batch_result", run["result"])
        assert not is_valid(document, "start_batch_result", {})
        assert not is_valid(document, "start_batch_run", {**run, "result": {"batch_number": "1"}})

    async def test_of_a_run_that_was_reconciled(self, mes: AsyncClient, machine: FaultServer, document, anna: User):
        """Asked again under its key it is 200, and nobody has read what the machine made of it."""
        machine.swallow_answer_to((Table.COIL, 0))
        key = {"Idempotency-Key": "k"}
        run = problem_of(await post(mes, START, headers=key), 504, "run-unknown")["run"]
        browser = AsyncClient()
        await anna.user_permissions.aadd(await Permission.objects.aget(codename="change_run"))
        await browser.aforce_login(anna)
        seen = {"state": "succeeded", "reason": "the parts lie in the tray"}
        assert (await post(browser, f"/api/runs/{run['id']}/reconcile", seen)).status_code == 200
        again = await post(mes, START, headers=key)
        assert (again.status_code, again.json()["result"]) == (200, {})
        assert is_valid(document, "start_batch_run", again.json())

    async def test_of_results_with_labels_and_units(self, mes: AsyncClient, oven):
        told = (await of(mes))["components"]["schemas"]["heat_result"]["properties"]
        assert told["oven_number"]["x-unit"] == "°C"
        assert told["oven_integer"]["x-labels"] == {"0": "off"}

    async def test_of_a_machine_that_is_away(self, mes: AsyncClient, machine: FaultServer, document):
        await machine.refuse_connects()
        answer = await post(mes, START)
        assert answer.status_code == 503
        assert is_valid(document, "ProblemOut", answer.json())


class TestATag:
    async def test_is_read_by_every_caller_and_written_where_that_can_be(self, document):
        methods = {path.rpartition("/tags/")[2]: set(m) for path, m in document["paths"].items() if "/tags/" in path}
        assert methods.keys() == {name async for name in Tag.objects.values_list("name", flat=True)}
        assert (methods["batch_size"], methods["fault"]) == ({"get", "put"}, {"get"})

    async def test_has_names_that_no_command_has(self, document):
        names = [operation["operationId"] for methods in document["paths"].values() for operation in methods.values()]
        assert len(names) == len(set(names))
        assert {"batch_size.read", "batch_size.write"} <= set(names)

    @pytest.mark.parametrize(
        ("tag", "value"),
        [
            ("batch_size", 0),
            ("batch_size", 65_535),
            ("batch_size", 65_536),
            ("batch_size", True),
            ("oven_number", 300),
            ("oven_number", 21.5),
            ("oven_number", 300.1),
            ("oven_text", "12345678"),
            ("oven_text", "123456789"),
            ("oven_boolean", True),
            ("oven_boolean", 1),
            ("oven_boolean", None),
        ],
    )
    async def test_takes_what_its_schema_takes(self, mes: AsyncClient, machine: FaultServer, oven, tag: str, value):
        document = await of(mes)
        address = f"/api/plcs/press-1/tags/{tag}"
        operation = document["paths"][address]["put"]
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        body = {"value": value}
        answer = await put(mes, address, body)
        assert answer.status_code == (200 if Draft202012Validator(schema).is_valid(body) else 422), answer.json()
        assert is_valid(document, "RunOut" if answer.status_code == 200 else "ProblemOut", answer.json())

    async def test_is_told_as_its_schema_says(self, mes: AsyncClient, machine: FaultServer, oven):
        document = await of(mes)
        for tag in ("batch_size", "oven_number", "oven_text", "oven_boolean"):
            address = f"/api/plcs/press-1/tags/{tag}"
            shape = document["paths"][address]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
            schema = Draft202012Validator({**shape, "components": document["components"]})
            for query in ("", "?fresh=true"):
                told = (await mes.get(address + query)).json()
                assert schema.is_valid(told), told
            assert not schema.is_valid({**told, "value": [1]})


class TestThePage:
    async def test_needs_no_internet(self, mes: AsyncClient):
        page = (await mes.get(PAGE)).content.decode()
        addresses = re.findall(r'(?:src|href)\s*=\s*"([^"]+)"', page)
        assert len(addresses) >= 3
        assert all(address.startswith("/static/") for address in addresses)
        assert all(finders.find(address.removeprefix("/static/")) for address in addresses)
        assert "//" not in page

    async def test_shows_this_plc_and_sends_it_to_no_validator(self, mes: AsyncClient):
        answer = await mes.get(PAGE)
        page = answer.content.decode()
        assert answer["Content-Type"].startswith("text/html")
        assert "<title>press-1" in page
        swagger = json.loads(re.search(r"<script type=\"application/json\"[^>]*>(.*?)</script>", page, re.DOTALL)[1])
        assert (swagger["url"], swagger["validatorUrl"]) == (DOCUMENT, None)

    async def test_opens_for_who_is_logged_in_and_lends_a_csrf_token(self, mes: AsyncClient, anna: User):
        browser = AsyncClient(enforce_csrf_checks=True)
        await browser.aforce_login(anna)
        answer = await browser.get(PAGE)
        assert answer.status_code == 200
        token = re.search(r'data-csrf-token="(\w+)"', answer.content.decode())[1]
        run = await post(browser, RESET, headers={"X-CSRFToken": token})
        assert run.status_code == 200, run.content
