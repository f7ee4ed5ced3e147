"""PUT /api/start/{id}: what the caller gets, what is stored, what the machine saw."""

import asyncio

import pytest
from asgiref.sync import SyncToAsync
from django.test import AsyncClient

from devices.api import keys
from devices.control.gateway import Gateway
from devices.models import PLC, Profile, Run, State
from tests.api.callers import faults_of, problem_of, put, rename, until
from tests.api.conftest import FAULT_BIT, START, START_ACK
from tests.doubles import faults
from tests.doubles.fault_server import FaultServer

pytestmark = pytest.mark.django_db(transaction=True)

PRESS = "/api/start/press-1"


async def stored() -> Run:
    """The one run that there is."""
    return await Run.objects.aget()


async def settled(run_id: int) -> Run:
    """A run once it is in a final state."""
    async with asyncio.timeout(5):
        while not State((run := await Run.objects.aget(pk=run_id)).state).is_final:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.02)
    return run


class TestAStart:
    async def test_answers_what_the_plc_proved(self, mes: AsyncClient, machine: FaultServer):
        answer = await put(mes, PRESS, {"batsize": 20, "noksize": 5})
        assert answer.status_code == 200
        assert answer["Cache-Control"] == "no-store"
        told = answer.json()
        assert (told["state"], told["effect"], told["retry"]) == ("succeeded", "applied", "")
        assert told["parameters"] == {"batch_size": 20, "nok_num": 5}
        assert told["result"] == {"batch_number": 1}
        assert machine.holding_registers[:2] == [20, 5]
        assert machine.writes_to(START) == [1, 0]

    async def test_is_stored_with_who_asked_and_from_where(self, mes: AsyncClient):
        answer = await put(mes, PRESS, X_FORWARDED_FOR="6.6.6.6")
        run = await stored()
        assert (run.pk, run.state, run.caller, run.source) == (
            answer.json()["id"],
            State.SUCCEEDED,
            "key mes-line-1",
            "127.0.0.1",
        )

    @pytest.mark.parametrize("body", [None, {}, {"batsize": 15}, {"noksize": 3}])
    async def test_has_defaults(self, mes: AsyncClient, machine: FaultServer, body):
        assert (await put(mes, PRESS, body)).json()["parameters"] == {"batch_size": 15, "nok_num": 3}
        assert machine.holding_registers[:2] == [15, 3]

    async def test_takes_the_number_of_a_plc_too(self, mes: AsyncClient, press: PLC):
        assert (await put(mes, f"/api/start/{press.pk}")).json()["plc"] == "press-1"

    async def test_may_come_without_a_body_and_its_type(self, mes: AsyncClient):
        assert (await mes.put(PRESS)).status_code == 200

    async def test_may_come_with_its_length_untold(self, mes: AsyncClient, machine: FaultServer):
        answer = await put(mes, PRESS, {"batsize": 7}, CONTENT_LENGTH="")
        assert answer.json()["parameters"]["batch_size"] == 7

    async def test_makes_no_thread_wait_for_the_machine(self, mes: AsyncClient, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr(keys, "LOOK_S", 60)
        await put(mes, PRESS)  # keys and registry are read now
        hops = []
        call = SyncToAsync.__call__

        async def note(hop: SyncToAsync, *args, **kwargs):
            hops.append(hop.func)
            return await call(hop, *args, **kwargs)

        monkeypatch.setattr(SyncToAsync, "__call__", note)
        assert (await put(mes, PRESS)).status_code == 200
        # Django's own, for its signals at a request's begin and end, where no handler of ours has told them to rest.
        assert {hop.__qualname__ for hop in hops} <= {"Signal.asend.<locals>.sync_send", "HttpResponseBase.close"}


class TestAWrongStart:
    @pytest.mark.parametrize("value", [0, -1, 10_001, True, "15", 15.0, 15.5, None, [15], {"a": 1}, 2**70, 10**300])
    async def test_is_refused_by_the_callers_name(self, mes: AsyncClient, machine: FaultServer, value):
        faulty = faults_of(await put(mes, PRESS, {"batsize": value, "noksize": 3}))
        assert faulty.keys() == {"batsize"}
        assert machine.requests == []
        assert not await Run.objects.aexists()

    async def test_names_every_wrong_field_at_once(self, mes: AsyncClient):
        answer = await put(mes, PRESS, {"batsize": "x", "noksize": 1001, "speed": 3, "batch_size": 3})
        assert faults_of(answer).keys() == {"batsize", "noksize", "speed", "batch_size"}
        for name in ("batsize: ", "noksize: ", "speed: "):
            assert name in answer.json()["detail"]

    @pytest.mark.parametrize("body", [b'{"batsize": NaN}', b'{"batsize": 1e999}', b'{"batsize": 1, "batsize": 2}'])
    async def test_names_the_field_that_python_would_have_let_pass(self, mes: AsyncClient, body: bytes):
        assert faults_of(await put(mes, PRESS, body)).keys() == {"batsize"}

    @pytest.mark.parametrize("body", [b"{", b"\xff", "{}".encode("utf-16"), b"[" * 30_000])
    async def test_that_is_not_json_is_told_so(self, mes: AsyncClient, body: bytes):
        problem_of(await put(mes, PRESS, body), 400, "bad-request")

    @pytest.mark.parametrize("body", [b"5", b"null", b"[]", b'"x"'])
    async def test_that_is_no_object_is_told_so(self, mes: AsyncClient, machine: FaultServer, body: bytes):
        assert faults_of(await put(mes, PRESS, body)).keys() == {"body"}
        assert machine.requests == []

    async def test_that_is_too_large_is_told_so(self, mes: AsyncClient):
        problem_of(await put(mes, PRESS, b"{" + b" " * 65536 + b"}"), 413, "body-too-large")
        problem_of(await put(mes, PRESS, b"{" + b" " * 65536 + b"}", CONTENT_LENGTH=""), 413, "body-too-large")
        assert (await put(mes, PRESS, b"{" + b" " * 65534 + b"}")).status_code == 200

    @pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
    async def test_of_another_content_type_is_told_so(self, mes: AsyncClient, machine: FaultServer, kind: str):
        problem_of(await mes.put(PRESS, b"batsize=3", content_type=kind), 415, "wrong-content-type")
        assert machine.requests == []

    @pytest.mark.parametrize("name", ["press-9", "999999", "9" * 50, "%00", "a%0Ab", "%E2%80%AE", "PRESS-1"])
    async def test_at_an_unknown_plc_is_not_found(self, mes: AsyncClient, name: str):
        problem_of(await put(mes, f"/api/start/{name}"), 404, "unknown-plc")

    async def test_at_an_endless_number_is_refused(self, mes: AsyncClient):
        assert faults_of(await put(mes, "/api/start/" + "9" * 5000)).keys() == {"id"}

    async def test_at_a_plc_that_cannot_start_a_batch_is_not_found(self, mes: AsyncClient, change):
        await change(profile=await Profile.objects.acreate(name="other-machine"))
        problem_of(await put(mes, PRESS), 404, "unknown-command")

    async def test_with_a_query_that_means_nothing_is_refused(self, mes: AsyncClient, machine: FaultServer):
        assert faults_of(await put(mes, PRESS + "?waitt=5")).keys() == {"waitt"}
        assert machine.requests == []


class TestAStartBeforeTheMachineIsTold:
    async def test_fails_with_the_reason_when_the_plc_refuses(self, mes: AsyncClient, machine: FaultServer):
        await machine.refuse_connects()
        told = problem_of(await put(mes, PRESS), 503, "run-failed")
        assert "refused" in told["detail"]
        assert (told["run"]["effect"], told["run"]["retry"]) == ("none", "safe")
        run = await stored()
        assert (run.state, told["instance"]) == (State.FAILED, f"/api/runs/{run.pk}")
        assert machine.requests == []

    async def test_is_rejected_by_an_open_interlock(self, mes: AsyncClient, machine: FaultServer):
        machine.discrete_inputs[FAULT_BIT] = 1
        told = problem_of(await put(mes, PRESS), 409, "run-rejected")
        assert "reset it" in told["detail"]
        assert told["run"]["retry"] == "after_fix"
        assert machine.writes == []

    async def test_is_refused_while_the_plc_is_disabled(self, mes: AsyncClient, machine: FaultServer, change):
        await change(is_enabled=False)
        assert "disabled" in problem_of(await put(mes, PRESS), 503, "plc-disabled")["detail"]
        assert machine.requests == []
        assert not await Run.objects.aexists()

    async def test_is_refused_when_too_many_wait(self, mes: AsyncClient, machine: FaultServer, change):
        await change(max_waiting=0)
        machine.next(faults.slow(0.2))
        answers = await asyncio.gather(put(mes, PRESS), put(mes, PRESS))
        assert sorted(answer.status_code for answer in answers) == [200, 503]
        problem_of(max(answers, key=lambda answer: answer.status_code), 503, "queue-full")
        assert machine.writes_to(START) == [1, 0]

    async def test_is_refused_by_a_process_that_does_not_serve(self, mes: AsyncClient, gateway: Gateway):
        await gateway.drain(1.0)
        assert "manage.py serve" in problem_of(await put(mes, PRESS), 503, "not-running")["detail"]

    async def test_is_refused_while_the_gateway_shuts_down(
        self, mes: AsyncClient, gateway: Gateway, machine: FaultServer
    ):
        machine.next(faults.slow(0.2))
        running = asyncio.create_task(put(mes, PRESS))
        await until(lambda: bool(machine.requests))
        draining = asyncio.create_task(gateway.drain(5.0))
        await until(lambda: gateway.is_draining)
        problem_of(await put(mes, PRESS), 503, "draining")
        assert (await running).status_code == 200
        await draining

    async def test_is_refused_when_the_database_takes_no_record(self, mes: AsyncClient, machine: FaultServer):
        await rename("devices_run", "elsewhere")
        try:
            problem_of(await put(mes, PRESS), 503, "record-unavailable")
        finally:
            await rename("elsewhere", "devices_run")
        assert machine.requests == []


class TestAStartOnceTheMachineIsTold:
    async def test_is_faulted_where_the_plc_says_no(self, mes: AsyncClient, machine: FaultServer):
        machine.misbehave(faults.exception(2), at=START)
        told = problem_of(await put(mes, PRESS), 502, "run-faulted")
        assert told["run"]["effect"] == "none"

    async def test_is_unknown_where_the_answer_is_lost(self, mes: AsyncClient, machine: FaultServer):
        machine.swallow_answer_to(START)
        told = problem_of(await put(mes, PRESS), 504, "run-unknown")
        assert (told["run"]["effect"], told["run"]["retry"]) == ("unknown", "after_reconcile")
        assert (await stored()).state == State.UNKNOWN
        assert machine.writes_to(START).count(1) == 1

    async def test_times_out_where_no_acknowledge_comes(self, mes: AsyncClient, machine: FaultServer):
        machine.on_write(START, lambda _: machine.discrete_inputs.__setitem__(START_ACK[1], 0))
        told = problem_of(await put(mes, PRESS), 504, "run-timed-out")
        assert told["run"]["effect"] == "unknown"
        assert machine.writes_to(START) == [1, 0]

    async def test_goes_on_when_the_caller_hangs_up(self, mes: AsyncClient, machine: FaultServer):
        machine.misbehave(faults.slow(0.2), at=START)
        calling = asyncio.create_task(put(mes, PRESS))
        await until(lambda: bool(machine.writes_to(START)))
        calling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await calling
        run = await settled((await stored()).pk)
        assert run.state == State.SUCCEEDED
        assert machine.writes_to(START) == [1, 0]
