"""A dry run says what would stop a command now, and leaves the machine and the records as they are."""

import asyncio

from django.test import AsyncClient

from devices.modbus.types import Table
from devices.models import PLC, Run
from tests.api.callers import faults_of, post, problem_of, until
from tests.api.conftest import FAULT_BIT
from tests.doubles import faults
from tests.doubles.fault_server import FaultServer

CHECK = "/api/plcs/press-1/commands/start_batch/check"


async def nothing_was_done(machine: FaultServer) -> None:
    assert machine.writes == []
    assert await Run.objects.acount() == 0
    await until(lambda: machine.open_connections == 0)


class TestACheck:
    async def test_says_that_nothing_stops_the_command(self, mes: AsyncClient, machine: FaultServer):
        answer = await post(mes, CHECK, {"batch_size": 15})
        assert answer.status_code == 200
        told = answer.json()
        assert told["is_free"] is True
        assert [clause["is_met"] for clause in told["clauses"]] == [True] * len(told["clauses"])
        details = {clause["tag"]: clause["detail"] for clause in told["clauses"]}
        assert details == {
            "fault": "fault is false, wanted == false",
            "start_ack": "start_ack is false, wanted == false",
        }, "and no word of what it would say if it were open"
        await nothing_was_done(machine)

    async def test_names_the_interlock_that_is_open_and_tells_the_others_too(
        self, mes: AsyncClient, machine: FaultServer
    ):
        machine.discrete_inputs[FAULT_BIT] = 1
        told = (await post(mes, CHECK)).json()
        assert told["is_free"] is False
        met = {clause["tag"]: clause["is_met"] for clause in told["clauses"]}
        assert met == {"fault": False, "start_ack": True}
        (open_one,) = [clause for clause in told["clauses"] if not clause["is_met"]]
        assert "fault is true, wanted == false" in open_one["detail"]
        assert (open_one["phase"], open_one["operator"]) == ("check", "==")
        assert (open_one["read"], open_one["wanted"]) == (True, False)
        assert open_one["message"] == "the machine has a fault, reset it"
        await nothing_was_done(machine)

    async def test_needs_parameters_that_are_right(self, mes: AsyncClient, machine: FaultServer):
        assert faults_of(await post(mes, CHECK, {"batch_size": "many"})).keys() == {"batch_size"}
        assert machine.requests == []

    async def test_tells_that_the_plc_did_not_answer(self, mes: AsyncClient, machine: FaultServer):
        machine.misbehave(faults.mute, times=None)
        told = problem_of(await post(mes, CHECK), 503, "plc-not-read")
        assert "not served" in told["detail"]
        await nothing_was_done(machine)

    async def test_tells_that_the_plc_refused_to_be_read(self, mes: AsyncClient, machine: FaultServer):
        machine.misbehave(faults.exception(2), at=(Table.DISCRETE_INPUT, FAULT_BIT), times=None)
        assert "exception 2" in problem_of(await post(mes, CHECK), 503, "plc-not-read")["detail"]

    async def test_of_an_offline_plc_says_when_to_ask_again(self, mes: AsyncClient, machine: FaultServer):
        await machine.refuse_connects()
        answers = [await post(mes, CHECK) for _ in range(4)]
        assert "offline" in problem_of(answers[-1], 503, "plc-not-read")["detail"]
        assert int(answers[-1]["Retry-After"]) > 5
        machine.behave()

    async def test_of_a_disabled_plc_or_an_unknown_command_is_refused(self, mes: AsyncClient, press: PLC, change):
        problem_of(await post(mes, CHECK.replace("start_batch", "dance")), 404, "unknown-command")
        await change(is_enabled=False)
        problem_of(await post(mes, CHECK), 503, "plc-disabled")

    async def test_waits_its_turn_behind_a_command(self, mes: AsyncClient, machine: FaultServer):
        machine.answer_delay_s = 0.02
        run, told = await asyncio.gather(post(mes, CHECK.removesuffix("/check"), {}), post(mes, CHECK))
        assert (run.status_code, told.status_code) == (200, 200)
        assert machine.peak_connections == 1

    async def test_is_refused_where_as_many_wait_as_may(self, mes: AsyncClient, machine: FaultServer, change):
        """A command is not to wait behind ever more checks."""
        await change(max_waiting=2)
        machine.answer_delay_s = 0.05
        answers = await asyncio.gather(*(post(mes, CHECK) for _ in range(20)))
        refused = [answer for answer in answers if answer.status_code != 200]
        assert len(refused) == 17
        for answer in refused:
            problem_of(answer, 503, "queue-full")
        assert (await post(mes, CHECK)).status_code == 200
