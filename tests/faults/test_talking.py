"""What can go wrong once the PLC serves us, row by row.

Before the trigger: the machine was not told. On the trigger: nobody knows, and nothing is sent a second time.
"""

import asyncio
from time import monotonic
from typing import Any

import pytest
from django.test import AsyncClient

from devices.models import PLC
from tests.doubles import faults
from tests.doubles.fault_server import FaultServer
from tests.doubles.pdu import WRITES
from tests.doubles.wire import Exchange, Fault
from tests.faults.ends import (
    FAILED,
    FAILED_FOR_GOOD,
    REJECTED,
    SUCCEEDED,
    TIMED_OUT,
    UNKNOWN,
    End,
    call,
    ended,
    is_registered,
    next_one_succeeds,
    saw,
)

ACK, FAULT = 3, 2  # discrete inputs
SOON_S = 3.0  # "within 50 ms", on a machine that has other things to do

HANGING_UP = {
    "FIN before it was applied": faults.hang_up_before,
    "FIN after it was applied": faults.hang_up_after,
    "reset before it was applied": faults.reset_before,
    "reset after it was applied": faults.reset_after,
    "FIN amid the answer": faults.hang_up_amid,
}
SILENCE = {
    "silence, not applied": faults.swallow,
    "silence, applied": faults.mute,
    "truncated answer": faults.half_an_answer,
    "an answer after the limit": faults.late(1.5),
    "a byte at a time, over the limit": faults.trickle(0.15),
}
NONSENSE = {
    "garbage": faults.garbage(bytes(range(200, 256)) * 4),
    "text": faults.garbage(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
    "a flood": faults.flood(),
    "a length too long": faults.length(3),
    "a length too short": faults.length(-1),
    "a length of 60000": faults.length(60_000),
    "a function and no body": faults.body(b"\x05"),
    "an empty body": faults.body(b""),
    "trailing bytes": faults.trailing(b"\0\0"),
}
WRONG = {
    "another transaction id": faults.transaction(77),
    "transaction id 0": faults.transaction(0),
    "another unit": faults.unit(9),
    "another protocol id": faults.protocol(1),
    "a neighbouring function": faults.neighbouring_function,
    "an unknown function": faults.function(0x41),
    "another address": faults.echo(address=1),
    "another value or count": faults.echo(value=1),
    "all zero": faults.garbage(bytes(12)),
}
WAITED_FOR = {*SILENCE, "a length too long", "another transaction id"}
"""Nothing comes that ends the exchange."""
DOUBTFUL = HANGING_UP | SILENCE | NONSENSE | WRONG
HARMLESS = {
    "a byte at a time, within the limit": faults.trickle(0.003),
    "an answer just within the limit": faults.late(0.05),
    "a duplicate answer": faults.twice,
    "stale and good glued together": faults.stale_first,
}


def by_name(rows: dict[str, Fault]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("fault", [row(name, fault) for name, fault in rows.items()])


def row(name: str, fault: Fault) -> Any:
    return pytest.param(fault, id=name, marks=[pytest.mark.mute] if name in WAITED_FOR else [])


class TestBeforeTheTrigger:
    @by_name(DOUBTFUL)
    async def test_a_doubtful_answer_keeps_the_trigger_back(self, mes: AsyncClient, machine: FaultServer, fault: Fault):
        machine.misbehave(fault, functions=(6, 16))
        run = await ended(await call(mes), FAILED)
        assert run.triggered_at is None
        assert machine.connects == 1
        assert len(machine.writes) == 1
        saw(machine, [])
        await next_one_succeeds(mes, machine)

    @by_name({name: fault for name, fault in DOUBTFUL.items() if not name.startswith("another value")})
    async def test_a_doubtful_interlock_keeps_everything_back(
        self, mes: AsyncClient, machine: FaultServer, fault: Fault
    ):
        machine.misbehave(fault, at="fault")
        await ended(await call(mes), FAILED)
        assert machine.connects == 1
        assert machine.writes == []

    @by_name(HARMLESS)
    async def test_a_right_answer_is_taken(self, mes: AsyncClient, machine: FaultServer, fault: Fault):
        machine.misbehave(fault, functions=(6, 16), times=None)
        await ended(await call(mes), SUCCEEDED)
        saw(machine, [1, 0])


class TestOnTheTrigger:
    @by_name(DOUBTFUL)
    async def test_a_doubtful_answer_is_unknown_and_the_trigger_cleared(
        self, mes: AsyncClient, machine: FaultServer, fault: Fault
    ):
        machine.misbehave(fault, functions=WRITES, at="start")
        run = await ended(await call(mes), UNKNOWN)
        assert run.triggered_at is not None
        assert machine.connects == 2, "cleared over a connection that is in no doubt"
        saw(machine, [1, 0])
        assert machine.coils[0] == 0
        await next_one_succeeds(mes, machine)

    @by_name(WRONG)
    async def test_an_answer_that_belongs_to_nothing_marks_the_plc_until_somebody_looks(
        self, mes: AsyncClient, machine: FaultServer, fault: Fault
    ):
        machine.misbehave(fault, functions=WRITES, at="start")
        await ended(await call(mes), UNKNOWN)
        await next_one_succeeds(mes, machine)
        plc = (await mes.get("/api/plcs/press-1")).json()
        assert plc["state"] == "online"
        assert "write of 1 coil at 0" in plc["mark"]

    @by_name(DOUBTFUL)
    async def test_a_doubtful_answer_to_a_plain_command_is_unknown(
        self, mes: AsyncClient, machine: FaultServer, fault: Fault
    ):
        machine.misbehave(fault, functions=WRITES, at="reset")
        await ended(await call(mes, "reset"), UNKNOWN)
        assert machine.connects == 1
        assert [write.values for write in machine.writes] == [(1,)]

    @by_name(HARMLESS)
    async def test_a_right_answer_is_taken(self, mes: AsyncClient, machine: FaultServer, fault: Fault):
        machine.misbehave(fault, functions=WRITES, at="start")
        await ended(await call(mes), SUCCEEDED)
        saw(machine, [1, 0])

    async def test_a_request_that_the_plc_never_read_counts_as_sent(self, mes: AsyncClient, machine: FaultServer):
        """Bytes given to the kernel: the PLC holds its connection, reads no more, and goes."""
        machine.misbehave(answer_and_read_no_more, at="setpoint", functions=WRITES)
        await ended(await call(mes, "start_batch"), UNKNOWN)
        saw(machine, [0])


class TestAHangUp:
    @by_name(HANGING_UP)
    @pytest.mark.parametrize(("place", "end"), [("setpoint", FAILED), ("start", UNKNOWN)])
    async def test_is_seen_at_once(
        self, mes: AsyncClient, machine: FaultServer, press: PLC, fault: Fault, place: str, end: End
    ):
        await is_registered(press, response_timeout_s=10)
        machine.misbehave(fault, functions=WRITES, at=place)
        started = monotonic()
        await ended(await call(mes), end)
        assert monotonic() - started < SOON_S


class TestALateAnswer:
    @pytest.mark.mute
    @pytest.mark.parametrize("keep_open_s", [0, 5])
    async def test_of_the_last_command_does_not_meet_the_next(
        self, mes: AsyncClient, machine: FaultServer, press: PLC, keep_open_s: float
    ):
        await is_registered(press, keep_open_s=keep_open_s)
        machine.misbehave(faults.late(1.3), functions=WRITES, at="start")
        await ended(await call(mes), UNKNOWN)
        for _ in range(3):
            await ended(await call(mes), SUCCEEDED)
        assert machine.writes_to("start") == [1, 0] * 4


class TestAFirstRequestThatIsSwallowed:
    @pytest.mark.mute
    @pytest.mark.parametrize("place", ["fault", "batch_size", "setpoint", "start"])
    async def test_is_not_sent_a_second_time_though_that_would_work(
        self, mes: AsyncClient, machine: FaultServer, place: str
    ):
        machine.misbehave(faults.swallow, at=place)
        await ended(await call(mes), UNKNOWN if place == "start" else FAILED)
        covering = [request for request in machine.requests if request.covers(*machine.names[place])]
        assert [request.values for request in covering if any(request.values)] == [
            request.values for request in covering[:1] if any(request.values)
        ]
        saw(machine, [1, 0] if place == "start" else [])


class TestTheKthParameterWrite:
    """Three requests: batch_size and nok_num together, recipe, setpoint."""

    REQUESTS = (("batch_size", "nok_num"), ("recipe",), ("setpoint",))

    @pytest.mark.parametrize("k", [1, 2, 3])
    @pytest.mark.parametrize(
        ("fault", "end"),
        [
            (faults.exception(2), FAILED_FOR_GOOD),
            pytest.param(faults.swallow, FAILED, marks=pytest.mark.mute),
            (faults.reset_after, FAILED),
            (faults.echo(address=1), FAILED),
        ],
        ids=["refused", "silence", "reset", "wrong echo"],
    )
    async def test_that_fails_leaves_the_trigger_out_and_is_in_the_trace(
        self, mes: AsyncClient, machine: FaultServer, k: int, fault: Fault, end: End
    ):
        machine.misbehave(fault, functions=(6, 16), skip=k - 1)
        run = await ended(await call(mes), end)
        saw(machine, [])
        assert len(machine.writes) == k
        traced = [entry for entry in run.trace if entry["phase"] == "write"]
        assert {entry["tag"] for entry in traced} == {tag for request in self.REQUESTS for tag in request}
        assert [entry["tag"] for entry in traced if "sent" in entry] == [
            tag for out in self.REQUESTS[:k] for tag in out
        ]
        assert [entry["tag"] for entry in traced if "error" in entry] == [
            tag for rest in self.REQUESTS[k - 1 :] for tag in rest
        ]


class TestAnInterlock:
    async def test_that_is_open_is_rejected_and_nothing_written(self, mes: AsyncClient, machine: FaultServer):
        machine.discrete_inputs[FAULT] = 1
        run = await ended(await call(mes), REJECTED)
        assert "the machine has a fault" in run.detail
        assert machine.writes == []


def zero_the_machine(machine: FaultServer) -> None:
    """All outputs and registers, as after a restart."""
    for table in (machine.coils, machine.discrete_inputs, machine.holding_registers, machine.input_registers):
        table[:] = [0] * len(table)


def restarting(machine: FaultServer) -> Fault:
    """The PLC restarts in place of an answer, and is back at once."""

    async def fault(exchange: Exchange) -> None:
        zero_the_machine(machine)
        exchange.connection.reset()

    return fault


class TestAfterTheTriggerWasEchoed:
    async def test_an_acknowledge_that_never_comes_is_timed_out(self, mes: AsyncClient, machine: FaultServer):
        machine.on_write("start", lambda _: machine.discrete_inputs.__setitem__(ACK, 0))
        run = await ended(await call(mes), TIMED_OUT)
        assert "no answer to start" in run.detail
        saw(machine, [1, 0])

    async def test_a_plc_that_restarts_and_stays_away_is_unknown(self, mes: AsyncClient, machine: FaultServer):
        machine.on_write("start", lambda value: value and machine._listener.refuse())
        machine.misbehave(faults.reset_before, at="ack", skip=1)
        await ended(await call(mes), UNKNOWN)
        saw(machine, [1])

    async def test_a_plc_that_restarts_and_is_back_with_zeros_is_unknown(self, mes: AsyncClient, machine: FaultServer):
        """The acknowledge is gone, and so is the trigger: that looks like the end of a handshake."""
        machine.misbehave(restarting(machine), at="ack", skip=1)
        await ended(await call(mes), UNKNOWN)
        saw(machine, [1, 0])

    async def test_a_plc_that_restarts_between_acknowledge_and_result_is_unknown(
        self, mes: AsyncClient, machine: FaultServer
    ):
        machine.misbehave(restarting(machine), at="batch_number")
        await ended(await call(mes), UNKNOWN)
        saw(machine, [1, 0])


class TestAWatchdogThatClearsTheOutputs:
    async def test_before_the_acknowledge_was_seen_is_timed_out(self, mes: AsyncClient, machine: FaultServer):
        machine.on_write("start", lambda _: asyncio.get_running_loop().call_soon(clear_outputs, machine))
        await ended(await call(mes), TIMED_OUT)
        saw(machine, [1, 0])

    async def test_does_not_let_an_acknowledge_of_an_earlier_start_pass(self, mes: AsyncClient, machine: FaultServer):
        """Its bit was not cleared, and nothing checks it: it must not pass for the answer to this start."""
        machine.discrete_inputs[ACK] = machine.coils[0] = 1
        run = await ended(await call(mes), REJECTED)
        assert "is there already, clear it first: ack is true" in run.detail
        assert machine.writes == []


async def answer_and_read_no_more(exchange: Exchange) -> None:
    """Behave; what comes next stays in the kernel until the connection is gone."""
    await exchange.answer()
    await asyncio.sleep(0.25)
    exchange.connection.reset()


def clear_outputs(machine: FaultServer) -> None:
    machine.coils[0] = machine.discrete_inputs[ACK] = 0
