"""Callers who go, repeat themselves, or send nonsense; row by row of what can go wrong there, at every address.

Elsewhere, and not written twice: a start whose body, query or PLC is wrong (tests/api/test_start.py, test_body.py);
wrong waits, limits and cursors (test_waiting.py, test_runs.py); addresses and methods, under `/api` and outside
(test_problems.py, tests/plcsite/test_middleware.py); twins in one process (test_idempotency.py) and on two
(tests/control/test_two_processes.py); fifty clients that hang up (tests/journeys/test_lost_client.py); a PLC with runs
that is to be deleted (tests/admin/test_plc_page.py).
"""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from django.db.models import ProtectedError
from django.http import HttpResponse
from django.test import AsyncClient

from devices.control.gateway import Gateway
from devices.models import PLC, Profile, Run, State
from devices.plc.phases import Conversation
from tests.api.callers import faults_of, post, problem_of, put, until
from tests.control import rows
from tests.control.databases import elsewhere
from tests.doubles.fault_server import FaultServer
from tests.doubles.wire import Exchange
from tests.faults.ends import FAILED, SUCCEEDED, UNKNOWN, ended, is_registered

START = "/api/start/press-1"
COMMAND = "/api/plcs/press-1/commands/start_batch"
CHECK = f"{COMMAND}/check"
RUNS = "/api/runs"
ADDRESSES = (START, COMMAND, CHECK, RUNS)

OVERFLOW = "/api/plcs/press-1/commands/tune"  # its parameter has no limits but those of the register's type
KEYED = {"headers": {"Idempotency-Key": "order-1"}}


async def send(client: AsyncClient, address: str, body: bytes, **more: Any) -> HttpResponse:
    """The body as it is, by the method that the address knows."""
    return await (put if address.startswith(START) else post)(client, address, body, **more)


def field_of(address: str) -> str:
    """What the caller knows the batch size as."""
    names = {START: "batsize", RUNS: "commands.0.parameters.batch_size"}
    return names.get(address, "batch_size")


def body_of(address: str, fields: str) -> bytes:
    """These fields as the parameters of a start."""
    if address == RUNS:
        fields = f'"commands": [{{"plc": "press-1", "command": "start_batch", "parameters": {{{fields}}}}}]'
    return f"{{{fields}}}".encode()


def wrong_fields(answer: HttpResponse) -> set[str]:
    """What a 422 names; that of a group's only command stands in its place."""
    if answer.status_code != 207:
        return set(faults_of(answer))
    (result,) = answer.json()["results"]
    assert (result["status"], result["problem"]["status"]) == (422, 422)
    return {fault["field"] for fault in result["problem"]["errors"]}


async def nothing_happened(machine: FaultServer) -> None:
    """No row, and the machine heard nothing."""
    assert not await Run.objects.aexists()
    assert machine.requests == []


@pytest.fixture
async def go(machine: FaultServer, line: PLC) -> AsyncIterator[asyncio.Event]:
    """The machine answers the first start once this is set; set at the end of the test in any case."""
    await is_registered(line, response_timeout_s=10)
    go = asyncio.Event()

    async def hold(exchange: Exchange) -> None:
        await go.wait()
        await exchange.answer()

    machine.misbehave(hold, at="start")
    yield go
    go.set()


class TestOneWhoHangsUp:
    async def test_amid_a_request_finds_its_outcome_under_its_key(
        self, mes: AsyncClient, machine: FaultServer, go: asyncio.Event
    ):
        caller = asyncio.create_task(post(mes, COMMAND, {"batch_size": 12}, **KEYED))
        await until(lambda: bool(machine.writes_to("start")))
        caller.cancel()
        go.set()
        again = await post(mes, COMMAND, {"batch_size": 12}, **KEYED)
        await ended(again, SUCCEEDED)
        assert again["Idempotency-Replayed"] == "true"
        assert machine.writes_to("start") == [1, 0]

    async def test_amid_a_group_cuts_none_of_it(self, mes: AsyncClient, gateway: Gateway, machine, go: asyncio.Event):
        commands = [{"plc": "press-1", "command": "start_batch", "parameters": {"batch_size": n}} for n in (1, 2, 3)]
        caller = asyncio.create_task(post(mes, RUNS, {"commands": commands}))
        await until(lambda: bool(machine.writes_to("start")))
        caller.cancel()
        go.set()
        await until(lambda: not gateway._runs)
        assert [run.state async for run in Run.objects.all()] == [State.SUCCEEDED] * 3
        assert machine.writes_to("start") == [1, 0] * 3


class TestTwins:
    async def test_by_different_addresses_are_one_run(self, mes: AsyncClient, machine: FaultServer):
        """A start by its short address and by its long one ask for the same, if they say the same."""
        given = {"batch_size": 12, "nok_num": 2}
        single = {"plc": "press-1", "command": "start_batch", "parameters": given, "idempotency_key": "order-1"}
        answers = await asyncio.gather(
            put(mes, START, {"batsize": 12, "noksize": 2}, **KEYED),
            post(mes, COMMAND, given, **KEYED),
            post(mes, RUNS, {"commands": [single]}),
        )
        told = [answer.json() for answer in answers]
        assert {run["id"] for run in (told[0], told[1], told[2]["results"][0]["run"])} == {
            (await Run.objects.aget()).pk
        }
        assert machine.writes_to("start") == [1, 0]


@pytest.mark.parametrize("address", ADDRESSES)
class TestABody:
    async def test_that_is_larger_than_64_kib(self, mes: AsyncClient, machine: FaultServer, address: str):
        problem_of(await send(mes, address, b"{" + b" " * 65_536 + b"}", **KEYED), 413, "body-too-large")
        await nothing_happened(machine)

    @pytest.mark.parametrize("kind", ["text/plain", "application/xml", "application/x-www-form-urlencoded", ""])
    async def test_of_another_content_type(self, mes: AsyncClient, machine: FaultServer, address: str, kind: str):
        call = mes.put if address == START else mes.post
        problem_of(await call(address, b"{}", content_type=kind), 415, "wrong-content-type")
        await nothing_happened(machine)

    @pytest.mark.parametrize(
        "body",
        [b"{", b"\xff", "{}".encode("utf-16"), "{}".encode("utf-32"), b"[" * 30_000, b'{"a":' * 12_000],
        ids=["malformed", "not UTF-8", "UTF-16", "UTF-32", "lists 30,000 deep", "objects 12,000 deep"],
    )
    async def test_that_is_not_json(self, mes: AsyncClient, machine: FaultServer, address: str, body: bytes):
        problem_of(await send(mes, address, body, **KEYED), 400, "bad-request")
        await nothing_happened(machine)


class TestAnEmptyBody:
    async def test_of_a_command_is_an_empty_object(self, mes: AsyncClient, machine: FaultServer):
        for address in (START, COMMAND):
            await ended(await send(mes, address, b""), SUCCEEDED)
        assert machine.writes_to("start") == [1, 0] * 2

    async def test_of_a_group_is_not_one(self, mes: AsyncClient, machine: FaultServer):
        problem_of(await send(mes, RUNS, b""), 400, "bad-request")
        await nothing_happened(machine)


VALUES = {
    "NaN": "NaN",
    "Infinity": "-Infinity",
    "1e999": "1e999",
    "true for 1": "true",
    "text for a number": '"2"',
    "null": "null",
    "a list": "[1]",
    "an object": "{}",
    "a fraction": "15.5",
    "a whole number written as a fraction": "15.0",
    "subnormal": "5e-324",
    "minus zero": "-0.0",
    "5,000 digits": "9" * 5000,
    "beyond its limit": "10001",
    "below its limit": "0",
    "NUL": '"\\u0000"',
    "a lone surrogate": '"\\ud800"',
}


@pytest.mark.parametrize("address", ADDRESSES)
class TestAValue:
    @pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
    async def test_that_no_batch_size_is(self, mes: AsyncClient, machine: FaultServer, address: str, value: str):
        name = field_of(address).rpartition(".")[2]
        answer = await send(mes, address, body_of(address, f'"{name}": {value}'), **KEYED)
        assert wrong_fields(answer) == {field_of(address)}
        await nothing_happened(machine)

    async def test_that_is_given_twice(self, mes: AsyncClient, machine: FaultServer, address: str):
        name = field_of(address).rpartition(".")[2]
        answer = await send(mes, address, body_of(address, f'"{name}": 5, "{name}": 5'))
        assert wrong_fields(answer) == {field_of(address)}
        await nothing_happened(machine)

    @pytest.mark.parametrize(
        "name", ["speed", "", "batch_size ", "a\\nb", "a\\u0000b", "\\ud800", "a\\u202eb", "x" * 51]
    )
    async def test_of_no_parameter(self, mes: AsyncClient, machine: FaultServer, address: str, name: str):
        answer = await send(mes, address, body_of(address, f'"{name}": 5'))
        (told,) = wrong_fields(answer)
        assert told.endswith(ascii(json.loads(f'"{name}"')[:50])[1:-1])
        assert told.isprintable()
        await nothing_happened(machine)


class TestAValueOfItsRegister:
    @pytest.mark.parametrize("value", [65_536, -1, 2**64, 10**300])
    async def test_that_overflows_it(self, mes: AsyncClient, machine: FaultServer, line: PLC, value: int):
        steps = [{"phase": "trigger", "tag": "recipe", "parameter": "recipe"}]
        profile = await Profile.objects.aget(pk=line.profile_id)
        unlimited = [{"name": "recipe", "data_type": "integer"}]
        elsewhere(lambda: rows.make_command(profile, "tune", steps, unlimited))
        await is_registered(line)  # told as the admin tells it
        assert wrong_fields(await post(mes, OVERFLOW, {"recipe": value})) == {"recipe"}
        await nothing_happened(machine)
        await ended(await post(mes, OVERFLOW, {"recipe": 65_535}), SUCCEEDED)
        assert machine.writes_to("recipe") == [65_535]


class TestAName:
    @pytest.mark.parametrize("name", ["press\\u0000", "press\\ud800", "press\\n1", "press\\u202e1", ""])
    @pytest.mark.parametrize("field", ["plc", "command"])
    async def test_in_a_group_that_cannot_be_shown(self, mes: AsyncClient, machine: FaultServer, field: str, name: str):
        item = {"plc": "press-1", "command": "start_batch"} | {field: "?"}
        body = json.dumps({"commands": [item]}).replace('"?"', f'"{name}"')
        assert wrong_fields(await send(mes, RUNS, body.encode())) == {f"commands.0.{field}"}
        await nothing_happened(machine)


class TestAnAddress:
    @pytest.mark.parametrize(
        ("method", "address", "allowed"),
        [
            ("delete", RUNS, {"GET", "POST"}),
            ("get", "/api/runs/1/cancel", {"POST"}),
            ("delete", "/api/runs/1", {"GET"}),
            ("get", CHECK, {"POST"}),
            ("post", START, {"PUT"}),
        ],
    )
    async def test_that_does_not_know_the_method(self, mes: AsyncClient, machine, method: str, address: str, allowed):
        answer = await getattr(mes, method)(address)
        problem_of(answer, 405, "method-not-allowed")
        assert {name.strip() for name in answer["Allow"].split(",")} == allowed
        await nothing_happened(machine)

    @pytest.mark.parametrize(
        "query", ["wait=nan", "wait=inf", "wait=-1", "wait=1e9", "wait=", "wait=1&wait=1", "wiat=1"]
    )
    @pytest.mark.parametrize("address", [START, COMMAND, RUNS])
    async def test_with_a_query_that_is_wrong(self, mes: AsyncClient, machine: FaultServer, address: str, query: str):
        answer = await send(mes, f"{address}?{query}", body_of(address, ""))
        assert wrong_fields(answer) == {query.partition("=")[0]}
        await nothing_happened(machine)


class TestAForgedSource:
    @pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "X-Real-IP", "X-Client-IP", "True-Client-IP"])
    async def test_is_ignored(self, mes: AsyncClient, header: str):
        """No proxies are configured, so nobody may speak for another."""
        forged = "for=6.6.6.6" if header == "Forwarded" else "6.6.6.6"
        run = await ended(await post(mes, COMMAND, {}, headers={header: forged}), SUCCEEDED)
        assert run.source == "127.0.0.1"


class TestAFullQueue:
    async def test_refuses_without_a_row_and_says_when_to_come_back(
        self, mes: AsyncClient, machine: FaultServer, line: PLC, go: asyncio.Event
    ):
        await is_registered(line, max_waiting=1)
        taken = [asyncio.create_task(post(mes, COMMAND))]
        await until(lambda: bool(machine.writes_to("start")))
        taken.append(asyncio.create_task(post(mes, COMMAND)))
        await until(lambda: elsewhere(Run.objects.count) == 2)
        problem_of(await post(mes, COMMAND, **KEYED), 503, "queue-full")
        problem_of(await put(mes, START, headers={"Prefer": "respond-async"}), 503, "queue-full")
        go.set()
        for answer in await asyncio.gather(*taken):
            await ended(answer, SUCCEEDED)
        assert await Run.objects.acount() == 2
        assert machine.writes_to("start") == [1, 0] * 2


class TestAPLCThatIsChangedMeanwhile:
    async def test_is_told_what_was_asked_and_takes_nothing_new(
        self, mes: AsyncClient, machine: FaultServer, line: PLC, go: asyncio.Event
    ):
        first = asyncio.create_task(post(mes, COMMAND, {"batch_size": 1}))
        await until(lambda: bool(machine.writes_to("start")))
        second = asyncio.create_task(post(mes, COMMAND, {"batch_size": 2}))
        await until(lambda: elsewhere(Run.objects.count) == 2)
        await is_registered(line, is_enabled=False, name="press-17", title="Sold")
        problem_of(await post(mes, "/api/plcs/press-17/commands/start_batch"), 503, "plc-disabled")
        problem_of(await post(mes, COMMAND), 404, "unknown-plc")
        with pytest.raises(ProtectedError):
            await line.adelete()
        go.set()
        for answer in await asyncio.gather(first, second):
            run = await ended(answer, SUCCEEDED)
            assert run.plc_name == "press-1"
        assert machine.writes_to("start") == [1, 0] * 2
        assert machine.holding_registers[0] == 2


class TestABugOfOurs:
    async def test_before_there_is_a_run_is_told_by_its_id(
        self, mes: AsyncClient, gateway: Gateway, machine: FaultServer, monkeypatch: pytest.MonkeyPatch, caplog
    ):
        with monkeypatch.context() as broken:
            broken.delattr(gateway, "pool")
            told = problem_of(await post(mes, COMMAND), 500, "internal-error")
        assert told["instance"].removeprefix("urn:uuid:") in caplog.text
        assert "AttributeError" not in str(told)
        await nothing_happened(machine)

    @pytest.mark.parametrize(("missing", "end", "starts"), [("_write", FAILED, []), ("_wait", UNKNOWN, [1])])
    async def test_amid_a_run_leaves_a_row_that_is_true(
        self, mes: AsyncClient, machine: FaultServer, monkeypatch: pytest.MonkeyPatch, missing: str, end, starts
    ):
        with monkeypatch.context() as broken:
            broken.delattr(Conversation, missing)
            answer = await post(mes, COMMAND)
        await ended(answer, end)
        assert "Traceback" not in answer.content.decode()
        assert [value for value in machine.writes_to("start") if value] == starts
        await ended(await post(mes, COMMAND), SUCCEEDED)
