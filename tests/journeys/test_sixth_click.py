"""A hundred clicks at a PLC that serves five connections: the sixth freezes nothing, and everybody is answered."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from tests.api.conftest import START
from tests.doubles.fault_server import FaultServer
from tests.doubles.leaks import serves_the_next_caller, settle
from tests.doubles.listener import Full
from tests.journeys.calls import is_success, refusal_of, require_agreement, start, start_at_once

pytestmark = pytest.mark.django_db(transaction=True)

SERVES = 5
CLICKS = range(1, 101)  # each with its own batch size
DEFAULT_WAITING = 32


@pytest.fixture(params=[Full.QUEUE, Full.DROP, Full.RESET], ids=["queues", "drops", "resets"])
async def plc(request: pytest.FixtureRequest) -> AsyncIterator[FaultServer]:
    """Serves five connections and treats the sixth in one of the ways of real PLCs."""
    async with FaultServer(serves=SERVES, when_full=request.param) as server:
        yield server


@pytest.fixture(params=[SERVES, 1])
def max_connections(request: pytest.FixtureRequest) -> int:
    """How many the gateway may open."""
    return int(request.param)


async def require_nothing_open(plc: FaultServer, most: int) -> None:
    """Never more than were allowed, none left, nobody was turned away, and the PLC serves the next one."""
    assert await settle(lambda: plc.open_connections == 0), "connections left open at the PLC"
    assert 1 <= plc.peak_connections <= most
    assert plc.turned_away == 0
    await serves_the_next_caller(plc)


class TestAHundredClicksWithRoomToWait:
    @pytest.fixture
    def settings_of_press(self, max_connections: int) -> dict[str, Any]:
        return {"max_connections": max_connections, "max_waiting": len(CLICKS), "turn_timeout_s": 120}

    async def test_all_succeed(self, plc, mes, machine, batches, max_connections):
        answers = await start_at_once(mes, CLICKS)
        assert [answer.status_code for answer in answers] == [200] * len(CLICKS)
        await require_agreement(answers, batches)
        assert sorted(answer.json()["result"]["batch_number"] for answer in answers) == list(CLICKS)
        assert machine.writes_to(START) == [1, 0] * len(CLICKS), "handshakes that overlap"
        await require_nothing_open(plc, max_connections)


class TestAHundredClicksAtAPLCThatTakesAll(TestAHundredClicksWithRoomToWait):
    """Where no backlog and no reset hides a connection too many, the double counts each."""

    @pytest.fixture
    async def plc(self) -> AsyncIterator[FaultServer]:
        async with FaultServer() as server:
            yield server


class TestAHundredClicksWithRoomForSome:
    @pytest.fixture
    def settings_of_press(self, plc: FaultServer, max_connections: int) -> dict[str, Any]:
        plc.answer_delay_s = 0.01  # so that the queue fills faster than it empties
        return {"max_connections": max_connections, "turn_timeout_s": 120}

    async def test_succeed_or_are_refused_at_once(self, plc, mes, machine, batches, max_connections):
        answers = await start_at_once(mes, CLICKS)
        refused = [refusal_of(answer) for answer in answers if not is_success(answer)]
        assert set(refused) == {"queue-full"}
        assert len(CLICKS) - len(refused) > DEFAULT_WAITING
        await require_agreement(answers, batches)
        assert machine.writes_to(START) == [1, 0] * len(batches)
        await require_nothing_open(plc, max_connections)


class TestAHundredClicksBesideAnHMI:
    @pytest.fixture
    def settings_of_press(self) -> dict[str, Any]:
        return {
            "max_connections": SERVES,
            "max_waiting": len(CLICKS),
            "turn_timeout_s": 120,
            "connect_timeout_s": 0.5,
            "response_timeout_s": 0.5,
        }

    async def test_that_leaves_one_connection_all_succeed(self, plc, mes, batches):
        hmi = await occupy(plc, SERVES - 1)
        answers = await start_at_once(mes, CLICKS)
        assert all(map(is_success, answers))
        await require_agreement(answers, batches)
        await leave(hmi)
        await require_nothing_open(plc, SERVES)

    async def test_that_leaves_none_are_refused_and_carried_out_never(self, plc, mes, machine, batches):
        hmi = await occupy(plc, SERVES)
        answers = await start_at_once(mes, CLICKS)
        assert {refusal_of(answer) for answer in answers} == {"run-failed"}
        await leave(hmi)  # what waits in the backlog of a PLC that queues is served now
        assert await settle(lambda: plc.open_connections == 0)
        assert machine.writes == []
        await require_agreement(answers, batches)
        assert is_success(await until_served(mes, 101))
        assert batches == [101]

    async def test_that_goes_meanwhile_succeed_or_are_refused(self, plc, mes, batches):
        hmi = await occupy(plc, SERVES)
        clicks = asyncio.create_task(start_at_once(mes, CLICKS))
        await asyncio.sleep(0.7)
        await leave(hmi)
        answers = await clicks
        await require_agreement(answers, batches)
        assert await settle(lambda: plc.open_connections == 0)


async def occupy(plc: FaultServer, count: int) -> list[asyncio.StreamWriter]:
    """An HMI that holds connections open."""
    held = [(await asyncio.open_connection(plc.host, plc.port))[1] for _ in range(count)]
    assert await settle(lambda: plc.open_connections == count)
    return held


async def leave(hmi: list[asyncio.StreamWriter]) -> None:
    """The HMI is switched off."""
    for writer in hmi:
        writer.close()
        await writer.wait_closed()


async def until_served(mes: httpx.AsyncClient, size: int) -> httpx.Response:
    """Ask again, each time when the answer said so."""
    async with asyncio.timeout(60):
        while not is_success(answer := await start(mes, size)):
            refusal_of(answer)
            await asyncio.sleep(int(answer.headers["retry-after"]))
    return answer
