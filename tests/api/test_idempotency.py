"""Idempotency-Key: however often a caller repeats a request, the machine is told once."""

import asyncio
import json
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import AsyncClient

from devices.control.gateway import Gateway
from devices.models import PLC, Action, APIKey, AuditEntry, Command, Profile, Run, State
from tests.access import anew_key
from tests.api.callers import post, problem_of, put, until
from tests.api.conftest import FAULT_BIT, START
from tests.control.databases import no_table
from tests.doubles import faults
from tests.doubles.fault_server import FaultServer

pytestmark = pytest.mark.django_db(transaction=True)

PRESS = "/api/start/press-1"
COMMAND = "/api/plcs/press-1/commands/start_batch"
KEY = "order-4711/1"


async def keyed(mes: AsyncClient, body: Any = None, key: str = KEY, address: str = PRESS) -> HttpResponse:
    """A start under a key."""
    send = put if address.startswith("/api/start") else post
    return await send(mes, address, body, headers={"Idempotency-Key": key})


def is_replayed(answer: HttpResponse) -> bool:
    return answer.headers.get("Idempotency-Replayed") == "true"


async def same_twice(mes: AsyncClient, body: Any = None) -> HttpResponse:
    """The answer, proven to be the same for the first request and for its repetition."""
    first, second = await keyed(mes, body), await keyed(mes, body)
    assert (is_replayed(first), is_replayed(second)) == (False, True)
    assert (second.status_code, second["Content-Type"]) == (first.status_code, first["Content-Type"])
    assert json.loads(second.content) == json.loads(first.content)
    assert await Run.objects.acount() == 1
    return second


class TestARepeatedRequest:
    async def test_gets_the_answer_of_the_first(self, mes: AsyncClient, machine: FaultServer):
        answer = await same_twice(mes, {"batsize": 20})
        assert (answer.status_code, answer.json()["state"]) == (200, "succeeded")
        assert machine.writes_to(START) == [1, 0]

    async def test_gets_the_first_one_s_error_too(self, mes: AsyncClient, machine: FaultServer):
        machine.discrete_inputs[FAULT_BIT] = 1
        problem_of(await same_twice(mes), 409, "run-rejected")
        machine.discrete_inputs[FAULT_BIT] = 0
        problem_of(await keyed(mes), 409, "run-rejected")
        assert machine.writes == []

    async def test_that_nobody_answered_is_not_sent_again(self, mes: AsyncClient, machine: FaultServer):
        machine.swallow_answer_to(START)
        problem_of(await same_twice(mes), 504, "run-unknown")
        assert machine.writes_to(START).count(1) == 1

    async def test_that_failed_says_again_when_to_come_back(self, mes: AsyncClient, machine: FaultServer):
        await machine.refuse_connects()
        problem_of(await same_twice(mes), 503, "run-failed")
        machine.behave()
        problem_of(await keyed(mes), 503, "run-failed")
        assert machine.writes == []

    async def test_under_another_key_is_another_run(self, mes: AsyncClient, machine: FaultServer):
        answers = [await keyed(mes, key=key) for key in ("a", "b", "~" * 255)]
        assert [is_replayed(answer) for answer in answers] == [False] * 3
        assert machine.writes_to(START) == [1, 0] * 3

    async def test_without_a_key_is_another_run(self, mes: AsyncClient, machine: FaultServer):
        for _ in range(2):
            assert "Idempotency-Replayed" not in await put(mes, PRESS)
        assert machine.writes_to(START) == [1, 0] * 2
        assert await Run.objects.filter(idempotency_key=None, fingerprint="").acount() == 2

    async def test_of_another_caller_is_another_run(self, mes: AsyncClient, machine: FaultServer):
        other = AsyncClient(X_API_KEY=await anew_key("mes-line-2"))
        first, second = await keyed(mes, {"batsize": 5}), await keyed(other, {"batsize": 6})
        assert (first.status_code, second.status_code, is_replayed(second)) == (200, 200, False)
        assert machine.writes_to(START) == [1, 0] * 2

    async def test_may_come_in_other_spelling(self, mes: AsyncClient, machine: FaultServer):
        await keyed(mes, b'{"batch_size": 20, "nok_num": 3}', address=COMMAND)
        assert is_replayed(await keyed(mes, b' {"nok_num":3,\n"batch_size":20}', address=COMMAND))
        assert machine.writes_to(START) == [1, 0]

    async def test_is_told_what_was_found_out_meanwhile(self, mes: AsyncClient, machine: FaultServer):
        machine.swallow_answer_to(START)
        problem_of(await keyed(mes), 504, "run-unknown")
        await Run.objects.aupdate(state=State.SUCCEEDED, effect="applied", retry="", detail="seen at the machine")
        answer = await keyed(mes)
        assert (answer.status_code, answer.json()["detail"]) == (200, "seen at the machine")


class TestTheKeyIsLookedUpBeforeThePLC:
    @pytest.fixture
    async def first(self, mes: AsyncClient, press: PLC) -> dict[str, Any]:
        """What the first request was told."""
        return (await keyed(mes)).json()

    @pytest.mark.parametrize(
        "changes",
        [{"is_enabled": False}, {"max_waiting": 0}, {"name": "press-17"}, {"port": 1}, {"turn_timeout_s": 0.1}],
        ids=lambda changes: next(iter(changes)),
    )
    async def test_whatever_became_of_it(self, mes: AsyncClient, change, first, machine: FaultServer, changes):
        await change(**changes)
        answer = await keyed(mes)
        assert (answer.status_code, answer.json(), is_replayed(answer)) == (200, first, True)
        assert machine.writes_to(START) == [1, 0]

    async def test_when_the_command_is_gone(self, mes: AsyncClient, change, first):
        await change(profile=await Profile.objects.acreate(name="other-machine"))
        assert (await keyed(mes)).json() == first

    async def test_when_its_limits_have_changed(self, mes: AsyncClient, first):
        command = await Command.objects.aget(name="start_batch")
        async for parameter in command.parameters.all():
            parameter.minimum = parameter.maximum = parameter.default = 999
            await parameter.asave()
        assert (await keyed(mes)).json() == first

    async def test_while_the_gateway_shuts_down(self, mes: AsyncClient, gateway: Gateway, first):
        gateway.is_draining = True
        assert (await keyed(mes)).json() == first


class TestAKeyThatCannotBeLookedUp:
    async def test_is_to_be_sent_again_since_nobody_can_say_what_became_of_it(
        self, mes: AsyncClient, machine: FaultServer
    ):
        assert (await keyed(mes)).status_code == 200
        async with no_table():
            told = problem_of(await keyed(mes), 503, "record-unavailable")
        assert "cannot be looked up now: send it again under the same key" in told["detail"]
        assert is_replayed(await keyed(mes))
        assert machine.writes_to(START) == [1, 0]


class TestAKeyThatStandsForSomethingElse:
    @pytest.mark.parametrize(
        ("address", "body"),
        [
            (PRESS, {"batsize": 21}),
            (PRESS, None),
            (PRESS, {"batsize": True}),
            ("/api/start/press-2", {"batsize": 20}),
            ("/api/start/press-9", {"batsize": 20}),
            ("/api/plcs/press-1/commands/reset_fault", None),
        ],
    )
    async def test_starts_nothing(self, mes: AsyncClient, machine: FaultServer, caplog, address: str, body):
        await keyed(mes, {"batsize": 20})
        problem_of(await keyed(mes, body, address=address), 422, "idempotency-key-reused")
        assert machine.writes_to(START) == [1, 0]
        assert await Run.objects.acount() == 1
        (logged,) = [record for record in caplog.records if "Idempotency-Key" in record.getMessage()]
        assert (logged.levelname, "key mes-line-1" in logged.getMessage()) == ("WARNING", True)
        told = await AuditEntry.objects.aget(action=Action.KEY_REUSED)
        assert (told.actor, told.kind) == ("key mes-line-1", "Idempotency-Key")

    async def test_starts_nothing_while_the_first_is_under_way(self, mes: AsyncClient, machine: FaultServer):
        machine.misbehave(faults.slow(0.2), at=START)
        first = asyncio.create_task(keyed(mes, {"batsize": 20}))
        await until(lambda: bool(machine.requests))
        problem_of(await keyed(mes, {"batsize": 21}), 422, "idempotency-key-reused")
        assert (await first).status_code == 200
        assert machine.writes_to(START) == [1, 0]


class TestAKeyStaysFree:
    async def test_when_a_value_was_wrong(self, mes: AsyncClient):
        assert (await keyed(mes, {"batsize": 0})).status_code == 422
        assert (await keyed(mes, b"{")).status_code == 400
        assert (await keyed(mes, b" " * 70_000)).status_code == 413
        await self.is_free(mes)

    async def test_when_the_caller_was_nobody(self, mes: AsyncClient):
        assert (await keyed(AsyncClient())).status_code == 401
        await self.is_free(mes)

    async def test_when_the_plc_was_disabled(self, mes: AsyncClient, change):
        await change(is_enabled=False)
        problem_of(await keyed(mes), 503, "plc-disabled")
        await change(is_enabled=True)
        await self.is_free(mes)

    async def test_when_the_queue_was_full(self, mes: AsyncClient, machine: FaultServer, change):
        await change(max_waiting=0)
        machine.misbehave(faults.slow(0.3), at=START)
        running = asyncio.create_task(put(mes, PRESS))
        await until(lambda: bool(machine.requests))
        problem_of(await keyed(mes), 503, "queue-full")
        await running
        await self.is_free(mes)

    async def test_when_the_gateway_was_shutting_down(self, mes: AsyncClient, gateway: Gateway):
        gateway.is_draining = True
        problem_of(await keyed(mes), 503, "draining")
        gateway.is_draining = False
        await self.is_free(mes)

    async def is_free(self, mes: AsyncClient) -> None:
        answer = await keyed(mes)
        assert (answer.status_code, is_replayed(answer)) == (200, False)


class TestAKeyThatIsNone:
    @pytest.mark.parametrize("shown", ["", " ", "x" * 256, "a b", "tab\t", "süß", "a\x7f", "\x00"])
    @pytest.mark.parametrize("address", [PRESS, COMMAND])
    async def test_is_refused(self, mes: AsyncClient, machine: FaultServer, shown: str, address: str):
        problem_of(await keyed(mes, key=shown, address=address), 400, "invalid-idempotency-key")
        assert machine.requests == []
        assert not await Run.objects.aexists()

    @pytest.mark.parametrize("address", [PRESS, COMMAND])
    async def test_is_refused_where_the_caller_must_send_one(self, mes: AsyncClient, machine, address: str):
        row = await APIKey.objects.aget()
        row.needs_idempotency_key = True
        await row.asave()
        send = put if address == PRESS else post
        problem_of(await send(mes, address), 400, "idempotency-key-required")
        assert machine.requests == []
        assert (await keyed(mes, address=address)).status_code == 200


class TestTwins:
    @pytest.mark.parametrize("waiting", [32, 1])
    async def test_in_one_process_are_one_run(self, mes: AsyncClient, machine: FaultServer, change, waiting: int):
        await change(max_waiting=waiting)  # twins take no place in the queue
        answers = await asyncio.gather(*(keyed(mes, {"batsize": 20}) for _ in range(20)))
        assert {answer.status_code for answer in answers} == {200}
        assert all(answer.json() == answers[0].json() for answer in answers)
        assert sum(not is_replayed(answer) for answer in answers) == 1
        assert machine.writes_to(START) == [1, 0]
        assert (await Run.objects.aget()).idempotency_key == KEY

    async def test_of_which_the_first_hangs_up_are_one_run(self, mes: AsyncClient, machine: FaultServer):
        machine.misbehave(faults.slow(0.2), at=START)
        first = asyncio.create_task(keyed(mes))
        await until(lambda: bool(machine.requests))
        first.cancel()
        answer = await keyed(mes)
        assert (answer.status_code, is_replayed(answer)) == (200, True)
        assert machine.writes_to(START) == [1, 0]

    async def test_in_one_process_share_a_failure_to_store_them(self, mes: AsyncClient, gateway: Gateway, machine):
        await gateway.journal.stop()
        answers = await asyncio.gather(*(keyed(mes) for _ in range(5)))
        for answer in answers:
            problem_of(answer, 503, "record-unavailable")
        gateway.journal.start()
        assert (await keyed(mes)).status_code == 200
        assert machine.writes_to(START) == [1, 0]
