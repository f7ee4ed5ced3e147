"""What can go wrong before the machine hears us, row by row: it is not told, and the caller knows why and in time."""

import asyncio
import re
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

import pytest
from channels.db import database_sync_to_async
from django.test import AsyncClient

from devices.modbus import names
from devices.models import PLC, Profile
from tests.api.callers import until
from tests.control import rows
from tests.doubles import faults
from tests.doubles.fault_server import FaultServer
from tests.doubles.listener import Full
from tests.faults.ends import FAILED, SUCCEEDED, call, ended, is_registered, next_one_succeeds, saw

SOON_S = 3.0  # at once, on a machine that has other things to do
PATIENT = {"connect_timeout_s": 10, "response_timeout_s": 10}  # whoever waits for a limit is seen to wait
GONE = "had closed|reset|is gone|was lost"  # it depends on the moment
BRIEF = {"connect_timeout_s": 0.2, "response_timeout_s": 0.2}

Arrange = Callable[[FaultServer], Awaitable[None]]


async def refuse(machine: FaultServer) -> None:
    await machine.refuse_connects()


async def drop(machine: FaultServer) -> None:
    machine.drop_connects()


def turn_away(how: Full) -> Arrange:
    async def arrange(machine: FaultServer) -> None:
        machine.serves, machine.when_full = 0, how

    return arrange


async def never_serve(machine: FaultServer) -> None:
    machine.misbehave(faults.swallow, times=None)


async def nothing(machine: FaultServer) -> None:
    """The PLC is well; the way to it is not."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """A fault, what the caller is told (a pattern), and the limits under which he must be told within SOON_S."""

    arrange: Arrange = nothing
    says: str
    settings: dict[str, Any] = field(default_factory=lambda: PATIENT)
    connects: int = 0


ROWS = {
    "refused": Row(arrange=refuse, says="refused"),
    "unreachable": Row(says="cannot reach", settings=PATIENT | {"host": "127.255.255.255"}),
    "name unknown": Row(says="was not found", settings=PATIENT | {"host": "x" * 64}),
    "forbidden": Row(says="169.254.169.254 is a cloud's metadata", settings=PATIENT | {"host": "169.254.169.254"}),
    "not in PLC_NETWORKS": Row(says="not within the networks .* PLC_NETWORKS", settings=PATIENT | {"host": "10.0.0.7"}),
    "SYN dropped": Row(arrange=drop, says=r"did not accept the connection within 0\.2 s", settings=BRIEF),
    "accepted and closed at once": Row(arrange=turn_away(Full.CLOSE), says=GONE, connects=1),
    "accepted and reset at once": Row(arrange=turn_away(Full.RESET), says=GONE, connects=1),
    "accepted and never served": Row(arrange=never_serve, says="not served", settings=BRIEF, connects=1),
}
by_row = pytest.mark.parametrize("row", ROWS.values(), ids=ROWS.keys())


class TestAConnection:
    @by_row
    @pytest.mark.parametrize("command", ["start_batch", "reset"])
    async def test_that_fails_leaves_the_machine_untold(
        self, mes: AsyncClient, machine: FaultServer, press: PLC, row: Row, command: str
    ):
        await row.arrange(machine)
        await is_registered(press, **row.settings)
        started = monotonic()
        answer = await call(mes, command)
        assert monotonic() - started < SOON_S
        run = await ended(answer, FAILED)
        assert run.triggered_at is None
        assert machine.connects == row.connects, "no try of its own may be hidden from the trace"
        assert machine.writes == []

    @by_row
    async def test_that_fails_does_not_trouble_the_next(
        self, mes: AsyncClient, machine: FaultServer, press: PLC, row: Row
    ):
        await row.arrange(machine)
        await is_registered(press, **row.settings)
        run = await ended(await call(mes), FAILED)
        assert re.search(row.says, run.detail)
        assert "Modbus Error" not in run.detail, "words of the library"
        machine.serves = None
        await is_registered(press, **BRIEF, host=machine.host)
        await next_one_succeeds(mes, machine)


@pytest.mark.mute
class TestAPLCWhoseConnectionsAreTaken:
    """An HMI holds the only one that it serves."""

    async def test_and_whose_backlog_is_full_is_told_after_the_limit(self, mes: AsyncClient, machine: FaultServer):
        with hmi_at(machine):
            await until(lambda: machine.open_connections == 1)
            machine.serves, machine.when_full = 1, Full.DROP
            machine._make_room()
            run = await ended(await call(mes), FAILED)
        assert "did not accept" in run.detail
        assert machine.connects == 1, "the HMI's own"
        saw(machine, [])

    @pytest.mark.parametrize("command", ["start_batch", "reset"])
    async def test_gets_no_write_that_it_would_carry_out_later(
        self, mes: AsyncClient, machine: FaultServer, command: str
    ):
        machine.serves = 1
        with hmi_at(machine):
            await until(lambda: machine.open_connections == 1)
            run = await ended(await call(mes, command), FAILED)
        assert "not served" in run.detail
        await until(lambda: machine.connects == 2)  # it has come to ours
        await until(lambda: machine.open_connections == 0)
        assert machine.writes == []

    async def test_never_sees_more_of_ours_than_it_was_given_and_no_idle_one(
        self, mes: AsyncClient, machine: FaultServer
    ):
        machine.serves, machine.when_full = 2, Full.RESET
        with hmi_at(machine):
            await until(lambda: machine.open_connections == 1)
            for answer in await asyncio.gather(*(call(mes) for _ in range(5))):
                await ended(answer, SUCCEEDED)
            await until(lambda: machine.open_connections == 1)
        assert machine.peak_connections == 2
        assert machine.turned_away == 0
        assert machine.writes_to("start") == [1, 0] * 5


class TestANameServerThatHangs:
    @pytest.fixture(autouse=True)
    def answers(self, monkeypatch: pytest.MonkeyPatch, machine: FaultServer) -> Iterator[threading.Event]:
        """It answers once this is set."""
        answers = threading.Event()

        def look_up(host: str) -> list[str]:
            answers.wait(30)
            return [machine.host]

        monkeypatch.setattr(names, "_look_up", look_up)
        yield answers
        answers.set()

    async def test_is_told_within_the_limit(self, mes: AsyncClient, machine: FaultServer, press: PLC):
        await is_registered(press, **BRIEF, host="press-1.hall-a")
        started = monotonic()
        answer = await call(mes)
        assert monotonic() - started < SOON_S
        assert "did not accept the connection within 0.2 s" in (await ended(answer, FAILED)).detail
        assert machine.connects == 0

    async def test_takes_no_thread_from_anybody_else(self, mes: AsyncClient, machine: FaultServer, press: PLC):
        others = [f"press-{i}" for i in range(2, 12)]  # more than the default executor has threads
        await add_presses(press.profile, others, host="others.hall-a", port=machine.port, connect_timeout_s=2 * SOON_S)
        calls = [asyncio.create_task(call(mes, plc=name)) for name in others]
        await asyncio.sleep(0.3)
        async with asyncio.timeout(SOON_S):
            await asyncio.to_thread(lambda: None)
            await ended(await call(mes), SUCCEEDED)
        assert not any(calling.done() for calling in calls)
        for answer in await asyncio.gather(*calls):
            await ended(answer, FAILED)
        assert machine.writes_to("start") == [1, 0]

    async def test_and_answers_after_the_deadline_makes_nobody_connect(
        self, mes: AsyncClient, machine: FaultServer, press: PLC, limit_time, answers: threading.Event
    ):
        await limit_time(0.15)
        await is_registered(press, host="press-1.hall-a", connect_timeout_s=5)
        run = await ended(await call(mes), FAILED)
        assert "0.15 s were over before the machine was told" in run.detail
        answers.set()
        await asyncio.sleep(0.1)
        assert machine.connects == 0


class TestAConnectionAfterTheDeadline:
    async def test_is_closed_before_it_comes_about(
        self, mes: AsyncClient, machine: FaultServer, press: PLC, limit_time
    ):
        machine.drop_connects()
        await limit_time(0.15)
        await is_registered(press, connect_timeout_s=5)
        await ended(await call(mes), FAILED)
        machine.behave()
        await asyncio.sleep(1.2)  # the kernel sends its SYN again after a second
        assert machine.connects == 0

    async def test_that_the_deadline_meets_before_the_first_request_is_closed(
        self, mes: AsyncClient, machine: FaultServer, press: PLC, limit_time
    ):
        await limit_time(0.15)
        await is_registered(press, pause_after_connect_ms=5000)
        await ended(await call(mes), FAILED)
        await until(lambda: machine.open_connections == 0)
        assert machine.connects == 1
        assert machine.requests == []


class TestDeadPLCs:
    async def test_are_not_noticed_by_the_others(self, mes: AsyncClient, machine: FaultServer, press: PLC):
        """30 % of them."""
        alive, dead = [f"alive-{i}" for i in range(7)], [f"dead-{i}" for i in range(3)]
        async with FaultServer() as nobody:
            nobody.drop_connects()
            await add_presses(press.profile, dead, port=nobody.port, connect_timeout_s=SOON_S)
            await add_presses(press.profile, alive, port=machine.port, response_timeout_s=1)
            lost = [asyncio.create_task(call(mes, plc=name)) for name in dead]
            for answer in await asyncio.gather(*(call(mes, plc=name) for name in alive)):
                await ended(answer, SUCCEEDED)
            assert not any(calling.done() for calling in lost)
            for answer in await asyncio.gather(*lost):
                await ended(answer, FAILED)
        assert machine.writes_to("start").count(1) == len(alive)

    async def test_are_left_alone_for_10_s_once_they_failed_three_times(self, mes: AsyncClient, machine: FaultServer):
        machine.serves, machine.when_full = 0, Full.RESET
        for _ in range(3):
            await ended(await call(mes), FAILED)
        answer = await call(mes)
        assert "offline" in (await ended(answer, FAILED)).detail
        assert 5 < int(answer["Retry-After"]) <= 10, "the caller is told when the PLC is tried again"
        assert machine.connects == 3
        assert machine.writes == []


@contextmanager
def hmi_at(machine: FaultServer) -> Iterator[None]:
    """Somebody else holds a connection."""
    with socket.create_connection((machine.host, machine.port)):
        yield


@database_sync_to_async
def add_presses(profile: Profile, plcs: list[str], **settings: Any) -> None:
    for name in plcs:
        rows.make_plc(profile, name, **settings)
