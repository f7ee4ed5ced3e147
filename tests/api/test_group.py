"""POST /api/runs: a whole line at once, each machine with a run of its own."""

import asyncio
import json
from contextlib import AsyncExitStack
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import AsyncClient

from devices.control.gateway import Gateway
from devices.models import PLC, APIKey, Run, State, Step
from tests.api.callers import faults_of, post, problem_of, until
from tests.api.conftest import START, START_ACK, as_batch_machine
from tests.doubles import faults
from tests.doubles.fault_server import FaultServer
from tests.doubles.wire import Exchange

pytestmark = pytest.mark.django_db(transaction=True)

RUNS = "/api/runs"
LINE = 50
PRESS = '"plc": "press-1", "command": "start_batch"'
WRONG = ("NaN", "1e999", "-0.0", "true", '"2"', "[1]", "{}", "9" * 400, '"\\u0000"', '1, "batch_size": 2')


def start(size: int = 15, plc: str = "press-1", **more: Any) -> dict[str, Any]:
    """One command of a group."""
    return {"plc": plc, "command": "start_batch", "parameters": {"batch_size": size}, **more}


async def send(mes: AsyncClient, *commands: Any, query: str = "", **headers: str) -> HttpResponse:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return await post(mes, RUNS + query, {"commands": list(commands)}, headers=named)


def results_of(answer: HttpResponse) -> list[dict[str, Any]]:
    """The results of a 207, each either a run or a problem, with its own status."""
    assert answer.status_code == 207, answer.content
    results = answer.json()["results"]
    for result in results:
        content = result["run"] if result["status"] in (200, 202) else result["problem"]
        assert content.get("status", result["status"]) == result["status"]
        assert ("retry_after_s" in result) == (result["status"] in (202, 503))
    return results


def states(results: list[dict[str, Any]]) -> list[str]:
    """Of each run, - where there is none."""
    return [(result.get("run") or result["problem"].get("run", {"state": "-"}))["state"] for result in results]


def code_of(result: dict[str, Any]) -> str:
    return result["problem"]["type"].rpartition(":")[2]


def named_faults(result: dict[str, Any]) -> set[str]:
    assert (result["status"], code_of(result)) == (422, "invalid-parameters")
    return {fault["field"] for fault in result["problem"]["errors"]}


async def register(press: PLC, machine: FaultServer, name: str) -> None:
    """A machine of its own, patient: that this computer is busy makes no PLC late."""
    patient = {"connect_timeout_s": 30, "response_timeout_s": 30}
    await PLC.objects.acreate(name=name, profile_id=press.profile_id, host=machine.host, port=machine.port, **patient)


class TestALineOfFiftyMachines:
    async def test_is_started_side_by_side(self, mes: AsyncClient, press: PLC):
        """No machine answers its trigger before all fifty have got theirs: one after the other, none would ever."""
        await Step.objects.filter(phase__in=["wait", "cleanup"]).exclude(timeout_s=None).aupdate(timeout_s=30)
        told: list[int] = []
        all_told = asyncio.Event()

        async def hold(exchange: Exchange) -> None:
            told.append(exchange.request.address)
            if len(told) == LINE:
                all_told.set()
            await all_told.wait()
            await exchange.answer()

        async with AsyncExitStack() as doubles:
            machines = [as_batch_machine(await doubles.enter_async_context(FaultServer())) for _ in range(LINE)]
            for number, machine in enumerate(machines):
                machine.misbehave(hold, at=START)
                await register(press, machine, f"line-{number}")
            async with asyncio.timeout(60):
                answer = await send(mes, *(start(number + 1, f"line-{number}") for number in range(LINE)))
            results = results_of(answer)
            assert [result["run"]["plc"] for result in results] == [f"line-{number}" for number in range(LINE)]
            assert states(results) == ["succeeded"] * LINE
            assert [machine.holding_registers[0] for machine in machines] == list(range(1, LINE + 1))
            assert all(machine.writes_to(START) == [1, 0] for machine in machines)
        assert await Run.objects.filter(state=State.SUCCEEDED).acount() == LINE


class TestCommandsForOnePLC:
    async def test_run_in_the_order_asked(self, mes: AsyncClient, machine: FaultServer):
        sizes = [7, 3, 9, 1, 8, 2]
        seen: list[int] = []
        machine.on_write(START, lambda value: seen.append(machine.holding_registers[0]) if value else None)
        results = results_of(await send(mes, *map(start, sizes)))
        assert states(results) == ["succeeded"] * len(sizes)
        assert seen == sizes
        assert [result["run"]["result"]["batch_number"] for result in results] == [1, 2, 3, 4, 5, 6]
        assert machine.writes_to(START) == [1, 0] * len(sizes)

    async def test_run_on_when_one_of_them_goes_wrong(self, mes: AsyncClient, machine: FaultServer):
        machine.misbehave(faults.exception(2), at=START)
        results = results_of(await send(mes, *map(start, (1, 2, 3))))
        assert [result["status"] for result in results] == [502, 200, 200]
        assert machine.writes_to(START) == [1, 0] * 3

    async def test_that_are_more_than_may_wait_are_refused_in_their_place(self, mes: AsyncClient, change, machine):
        await change(max_waiting=2)
        results = results_of(await send(mes, *map(start, (1, 2, 3, 4, 5))))
        assert [result["status"] for result in results] == [200, 200, 200, 503, 503]
        assert code_of(results[4]) == "queue-full"
        assert await Run.objects.acount() == 3


class TestOneThatGoesWrong:
    async def test_leaves_the_others_alone(self, mes: AsyncClient, press: PLC, machine: FaultServer):
        async with FaultServer() as dead, FaultServer() as mute:
            await dead.refuse_connects()
            as_batch_machine(mute)
            mute.on_write(START, lambda _: mute.discrete_inputs.__setitem__(START_ACK[1], 0))
            await register(press, dead, "dead")
            await register(press, mute, "mute")
            await PLC.objects.acreate(name="off", profile_id=press.profile_id, host=dead.host, is_enabled=False)
            results = results_of(
                await send(
                    mes,
                    start(1, "dead"),
                    start(2),
                    start(3, "mute"),
                    start(4, "off"),
                    start(5, "press-99"),
                    {"plc": "press-1", "command": "dance"},
                    start(0),
                    start(6),
                )
            )
        assert [result["status"] for result in results] == [503, 200, 504, 503, 404, 404, 422, 200]
        assert states(results) == ["failed", "succeeded", "timed_out", "-", "-", "-", "-", "succeeded"]
        assert [code_of(results[n]) for n in (3, 4, 5)] == ["plc-disabled", "unknown-plc", "unknown-command"]
        assert named_faults(results[6]) == {"commands.6.parameters.batch_size"}
        assert machine.writes_to(START) == [1, 0, 1, 0]
        assert await Run.objects.acount() == 4

    @pytest.mark.parametrize(
        ("item", "fields"),
        [
            ("5", {""}),
            ("null", {""}),
            ("[]", {""}),
            ("NaN", {""}),
            ("{}", {".plc", ".command"}),
            ('{"plc": 1, "command": true}', {".plc", ".command"}),
            ('{"plc": "", "command": "' + "x" * 51 + '"}', {".plc", ".command"}),
            ('{"plc": "press-1", "command": "start_batch", "param": {}}', {".param"}),
            ('{"plc": "press-1", "plc": "press-2", "command": "start_batch"}', {".plc"}),
            ('{"plc": "press-1", "command": "start_batch", "parameters": []}', {".parameters"}),
            ('{"plc": "press-1", "command": "start_batch", "parameters": null}', {".parameters"}),
            ('{"plc": ["press-1"], "command": {}}', {".plc", ".command"}),
            ('{"plc": "press-1", "command": "start_batch", "idempotency_key": 5}', {".idempotency_key"}),
            *((f'{{{PRESS}, "parameters": {{"batch_size": {wrong}}}}}', {".parameters.batch_size"}) for wrong in WRONG),
            ('{"plc": "press-1", "command": "start_batch", "parameters": {"speed": 5}}', {".parameters.speed"}),
        ],
    )
    async def test_is_named_by_its_place_and_field(self, mes: AsyncClient, machine: FaultServer, item: str, fields):
        body = f'{{"commands": [{json.dumps(start(3))}, {item}]}}'.encode()
        good, wrong = results_of(await post(mes, RUNS, body))
        assert named_faults(wrong) == {f"commands.1{field}" for field in fields}
        assert good["status"] == 200
        assert machine.writes_to(START) == [1, 0]

    async def test_is_a_bug_of_ours_and_told_by_its_id(self, mes: AsyncClient, gateway: Gateway, caplog):
        with pytest.MonkeyPatch.context() as broken:
            broken.delattr(gateway, "registry")
            (result,) = results_of(await send(mes, start()))
        assert (result["status"], code_of(result)) == (500, "internal-error")
        assert result["problem"]["instance"].removeprefix("urn:uuid:") in caplog.text


class TestAGroupThatIsNone:
    @pytest.mark.parametrize(
        ("body", "fields"),
        [
            (b"5", {"body"}),
            (b"[]", {"body"}),
            (b"{}", {"commands"}),
            (b'{"commands": []}', {"commands"}),
            (b'{"commands": {}}', {"commands"}),
            (b'{"commands": null}', {"commands"}),
            (b'{"commands": NaN}', {"commands"}),
            (b'{"commands": [{}], "commands": [{}]}', {"commands"}),
            (b'{"commands": [{}], "wait": 5}', {"wait"}),
            (b'{"commands": [' + b"{}," * 200 + b"{}]}", {"commands"}),
        ],
    )
    async def test_is_refused_as_a_whole(self, mes: AsyncClient, machine: FaultServer, body: bytes, fields: set[str]):
        assert faults_of(await post(mes, RUNS, body)).keys() == fields
        assert machine.requests == []

    @pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 30_000, b'{"commands":' * 5000, "{}".encode("utf-16")])
    async def test_is_not_json(self, mes: AsyncClient, body: bytes):
        problem_of(await post(mes, RUNS, body), 400, "bad-request")

    async def test_is_too_large_or_of_another_type(self, mes: AsyncClient):
        problem_of(await post(mes, RUNS, b" " * 65_537), 413, "body-too-large")
        answer = await mes.post(RUNS, b"{}", content_type="text/plain")
        problem_of(answer, 415, "wrong-content-type")

    async def test_is_nobody_s(self, mes: AsyncClient, machine: FaultServer):
        problem_of(await send(AsyncClient(), start()), 401, "unauthorized")
        assert machine.requests == []


class TestAKey:
    async def test_of_the_group_starts_nothing_twice(self, mes: AsyncClient, machine: FaultServer):
        commands = start(1), start(0), start(2)
        first = results_of(await send(mes, *commands, Idempotency_Key="shift-7"))
        second = results_of(await send(mes, *commands, Idempotency_Key="shift-7"))
        assert [result["status"] for result in second] == [200, 422, 200]
        assert [result.pop("is_replayed", False) for result in second] == [True, False, True]
        assert second == first
        assert machine.writes_to(START) == [1, 0] * 2

    @pytest.mark.parametrize("other", [[start(1), start(2)], [start(1)], [start(1), start(0), start(3)]])
    async def test_of_the_group_stands_for_this_group_only(self, mes: AsyncClient, machine: FaultServer, other):
        await send(mes, start(1), start(0), Idempotency_Key="k" * 251)
        answer = await send(mes, *other, Idempotency_Key="k" * 251)
        problem_of(answer, 422, "idempotency-key-reused")
        assert machine.writes_to(START) == [1, 0]

    async def test_of_the_group_is_known_while_it_runs(self, mes: AsyncClient, machine: FaultServer):
        machine.answer_delay_s = 0.05
        first = asyncio.create_task(send(mes, start(1), Idempotency_Key="k"))
        await until(lambda: machine.writes_to(START))
        answer = await send(mes, start(1), start(2), Idempotency_Key="k")
        problem_of(answer, 422, "idempotency-key-reused")
        assert results_of(await first)[0]["status"] == 200
        assert machine.writes_to(START) == [1, 0]

    async def test_of_the_group_stands_for_the_order_too(self, mes: AsyncClient, machine: FaultServer):
        await send(mes, start(1), start(2), Idempotency_Key="k")
        problem_of(await send(mes, start(2), start(1), Idempotency_Key="k"), 422, "idempotency-key-reused")
        assert machine.writes_to(START) == [1, 0] * 2

    @pytest.mark.parametrize("rest", [[start(7)], [start(7), 5], [start(7), start(7, idempotency_key="own")]])
    async def test_of_the_group_starts_nothing_that_has_moved(self, mes: AsyncClient, machine: FaultServer, rest):
        """The first was wrong and made no run; taken out, the second comes to stand where no key is taken yet."""
        await send(mes, start(0), start(7), Idempotency_Key="k")
        problem_of(await send(mes, *rest, Idempotency_Key="k"), 422, "idempotency-key-reused")
        assert machine.writes_to(START) == [1, 0]
        assert await Run.objects.acount() == 1

    async def test_of_one_command_stands_for_it_wherever_it_is_sent(self, mes: AsyncClient, machine: FaultServer):
        single = "/api/plcs/press-1/commands/start_batch"
        await post(mes, single, {"batch_size": 4}, headers={"Idempotency-Key": "own"})
        results = results_of(await send(mes, start(9), start(4, idempotency_key="own"), Idempotency_Key="k"))
        assert [result.get("is_replayed", False) for result in results] == [False, True]
        assert machine.writes_to(START) == [1, 0] * 2

    async def test_twice_in_a_group_is_one_run(self, mes: AsyncClient, machine: FaultServer):
        results = results_of(await send(mes, *(start(4, idempotency_key="own") for _ in range(3))))
        assert len({result["run"]["id"] for result in results}) == 1
        assert machine.writes_to(START) == [1, 0]

    async def test_that_is_none_is_refused_in_its_place(self, mes: AsyncClient, machine: FaultServer):
        results = results_of(await send(mes, start(1, idempotency_key=""), start(2)))
        assert [result["status"] for result in results] == [400, 200]
        assert code_of(results[0]) == "invalid-idempotency-key"

    @pytest.mark.parametrize("shown", ["", "a b", "k" * 252])
    async def test_that_is_none_refuses_the_group(self, mes: AsyncClient, machine: FaultServer, shown: str):
        problem_of(await send(mes, start(), Idempotency_Key=shown), 400, "invalid-idempotency-key")
        assert machine.requests == []

    async def test_that_is_needed_is_needed_for_each(self, mes: AsyncClient, machine: FaultServer):
        row = await APIKey.objects.aget()
        row.needs_idempotency_key = True
        await row.asave()
        answer = await send(mes, start(1, idempotency_key="own"), start(2))
        problem_of(answer, 400, "idempotency-key-required")
        assert machine.requests == []
        assert states(results_of(await send(mes, start(), Idempotency_Key="k"))) == ["succeeded"]


class TestWaiting:
    async def test_has_one_bound_for_all(self, mes: AsyncClient, change, machine: FaultServer):
        await change(response_timeout_s=10)
        machine.misbehave(faults.slow(0.5), at=START, skip=2)  # the second start: a start and its clearing went before
        results = results_of(await send(mes, start(1), start(2), start(3), query="?wait=0.3"))
        assert [result["status"] for result in results] == [200, 202, 202]
        ids = [result["run"]["id"] for result in results]
        for run_id in ids:
            assert (await mes.get(f"/api/runs/{run_id}?wait=5")).json()["state"] == "succeeded"
        assert machine.writes_to(START) == [1, 0] * 3

    async def test_is_not_wanted(self, mes: AsyncClient, machine: FaultServer):
        machine.misbehave(faults.slow(0.2), at=START)
        answer = await send(mes, start(1), start(0), start(2), Prefer="respond-async")
        assert answer["Preference-Applied"] == "respond-async"
        results = results_of(answer)
        assert [result["status"] for result in results] == [202, 422, 202]
        assert await Run.objects.acount() == 2
        last = results[2]["run"]["id"]
        assert (await mes.get(f"/api/runs/{last}?wait=5")).json()["state"] == "succeeded"

    async def test_of_a_caller_who_goes_cuts_nothing(self, mes: AsyncClient, gateway: Gateway, machine: FaultServer):
        machine.misbehave(faults.slow(0.2), at=START)
        call = asyncio.create_task(send(mes, *map(start, (1, 2, 3)), Idempotency_Key="k"))
        await until(lambda: bool(gateway._runs))  # it is still being started
        call.cancel()
        results = results_of(await send(mes, *map(start, (1, 2, 3)), Idempotency_Key="k"))
        assert states(results) == ["succeeded"] * 3
        assert machine.writes_to(START) == [1, 0] * 3
