"""Any command of a profile, by its own names."""

import pytest
from django.test import AsyncClient

from devices.modbus.types import Table
from devices.models import Command, Parameter, Run
from tests.api.callers import faults_of, post, problem_of
from tests.api.conftest import START
from tests.doubles.fault_server import FaultServer

pytestmark = pytest.mark.django_db(transaction=True)

COMMANDS = "/api/plcs/press-1/commands"


class TestACommand:
    async def test_with_a_handshake_answers_its_result(self, mes: AsyncClient, machine: FaultServer):
        answer = await post(mes, f"{COMMANDS}/start_batch", {"batch_size": 12})
        assert answer.status_code == 200
        assert answer.json()["parameters"] == {"batch_size": 12, "nok_num": 3}
        assert machine.writes_to(START) == [1, 0]

    async def test_that_is_plain_needs_no_body(self, mes: AsyncClient, machine: FaultServer):
        answer = await post(mes, f"{COMMANDS}/reset_fault")
        assert (answer.status_code, answer.json()["state"]) == (200, "succeeded")
        assert machine.writes_to((Table.COIL, 1)) == [1]

    async def test_names_wrong_parameters_by_their_own_names(self, mes: AsyncClient, machine: FaultServer):
        answer = await post(mes, f"{COMMANDS}/start_batch", {"batch_size": True, "nok_num": "3", "batsize": 4})
        assert faults_of(answer).keys() == {"batch_size", "nok_num", "batsize"}
        assert machine.requests == []
        assert not await Run.objects.aexists()

    async def test_with_a_required_parameter_asks_for_it(self, mes: AsyncClient, press):
        size = await Parameter.objects.aget(name="batch_size")
        size.default = None
        await size.asave()
        assert faults_of(await post(mes, f"{COMMANDS}/start_batch")) == {"batch_size": "is required"}

    async def test_that_the_profile_lacks_is_not_found(self, mes: AsyncClient):
        told = problem_of(await post(mes, f"{COMMANDS}/dance"), 404, "unknown-command")
        assert "start_batch" in told["detail"]

    async def test_of_an_unknown_plc_is_not_found(self, mes: AsyncClient):
        problem_of(await post(mes, "/api/plcs/press-9/commands/start_batch"), 404, "unknown-plc")


class TestTheListOfCommands:
    async def test_tells_types_limits_defaults_and_units(self, mes: AsyncClient):
        told = (await mes.get(COMMANDS)).json()["commands"]
        assert [command["name"] for command in told] == ["reset_fault", "start_batch"]
        assert told[0]["parameters"] == []
        size, nok = told[1]["parameters"]
        assert size == {
            "name": "batch_size",
            "label": "batch size",
            "type": "integer",
            "unit": "",
            "minimum": 1,
            "maximum": 10_000,
            "default": 15,
            "is_required": False,
        }
        assert (nok["label"], nok["default"]) == ("maximum consecutive failures", 3)

    async def test_keeps_the_type_of_each_default(self, mes: AsyncClient):
        command = await Command.objects.aget(name="reset_fault")
        kinds = {"boolean": True, "text": "5", "number": 2.5, "integer": 1}
        for kind, default in kinds.items():
            await Parameter.objects.acreate(command=command, name=kind, data_type=kind, default=default)
        told = (await mes.get(COMMANDS)).json()["commands"][0]["parameters"]
        defaults = {parameter["type"]: parameter["default"] for parameter in told}
        assert {kind: (type(value), value) for kind, value in defaults.items()} == {
            kind: (type(value), value) for kind, value in kinds.items()
        }

    async def test_of_an_unknown_plc_is_not_found(self, mes: AsyncClient):
        problem_of(await mes.get("/api/plcs/press-9/commands"), 404, "unknown-plc")
