"""Commands first: whoever comes while a PLC is polled waits for at most the one request that is under way."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from django.utils import timezone

from devices.plc.specs import Priority
from tests.control.polled import Polling, polled, polling, word
from tests.doubles.fault_server import FaultServer
from tests.doubles.leaks import nothing_left, settle
from tests.plc.machines import BATCH_SIZE

ANSWER_S = 0.01
BLOCKS = 15  # each a request: more than fit an interval, so that the poller is always at it
COMMANDS = 20


@pytest.fixture(autouse=True)
async def _nothing_is_left(plc: FaultServer) -> AsyncIterator[None]:
    async with nothing_left(plc):
        yield


@pytest.fixture
def slow(plc: FaultServer) -> FaultServer:
    plc.answer_delay_s = ANSWER_S
    return plc


def busy(plc: FaultServer, **changes):
    """Polled at 100 ms with more than it can answer in 100 ms; nothing of it is BATCH_SIZE."""
    return polled(plc, [word(100 + 20 * i) for i in range(BLOCKS)], 0.1, response_timeout_s=2, **changes)


async def command(at_work: Polling, plc: FaultServer, spec) -> int:
    """A command's first request; how many of the poller's reached the machine after it was asked for."""
    asked_at = len(plc.requests)
    async with at_work.pool.session(spec, Priority.COMMAND) as session:
        await session.read(BATCH_SIZE)
    addresses = [request.address for request in plc.requests[asked_at:]]
    return addresses.index(BATCH_SIZE.address)


class TestACommand:
    @pytest.mark.parametrize("keep_open_s", [0, 5], ids=["closing", "kept"])
    async def test_waits_for_one_request_at_most(self, slow, keep_open_s):
        spec = busy(slow, keep_open_s=keep_open_s)
        waited = []
        async with polling([spec]) as at_work:
            assert await settle(lambda: len(slow.requests) > 3)
            for number in range(COMMANDS):
                waited.append(await command(at_work, slow, spec))
                seen = len(slow.requests)
                # Each comes at another moment of a round, with polling at work.
                assert await settle(lambda seen=seen, number=number: len(slow.requests) > seen + number % 7)
        assert max(waited) <= 1, waited
        assert slow.peak_connections == 1

    async def test_goes_before_polling_as_often_as_it_comes(self, slow):
        spec = busy(slow)
        async with polling([spec]) as at_work:
            assert await settle(lambda: len(slow.requests) > 3)
            begun = len(slow.requests)
            waits = await asyncio.gather(*(command(at_work, slow, spec) for _ in range(10)))
            assert len(slow.requests) <= begun + 10 + 1, "no poll between commands that wait"
        assert max(waits) <= 10

    async def test_costs_a_round_time_and_no_tag(self, slow):
        spec = busy(slow)
        async with polling([spec]) as at_work:
            assert await settle(lambda: len(slow.requests) > 3)
            await command(at_work, slow, spec)
            count = len(at_work.rounds)
            assert await settle(lambda: len(at_work.rounds) > count, 5)
            assert at_work.rounds[-1].is_whole
            assert len(at_work.held(spec)) == BLOCKS

    async def test_amid_a_round_comes_before_what_is_read_after_it(self, slow):
        spec = polled(slow, [word(100 + 20 * i) for i in range(BLOCKS)], 3600, response_timeout_s=2)
        async with polling([spec]) as at_work:
            at_work.poller._polled[spec.id][0].wake(at_once=True)
            assert await settle(lambda: len(slow.requests) > 3)
            async with at_work.pool.session(spec, Priority.COMMAND) as session:
                await session.read(BATCH_SIZE)
                assert not at_work.rounds
                over = timezone.now()
            assert await settle(lambda: at_work.rounds)
            first, last = at_work.tag(spec, "r100"), at_work.tag(spec, f"r{80 + 20 * BLOCKS}")
            assert first.read_at < over < last.read_at
            assert at_work.rounds[0].stamp.at == first.read_at

    async def test_does_not_end_a_reading_that_it_need_not_wait_for(self, slow):
        """Where the PLC serves two connections, both work at the same time."""
        spec = busy(slow, max_connections=2)
        async with polling([spec]) as at_work:
            assert await settle(lambda: len(slow.requests) > 3)
            async with at_work.pool.session(spec, Priority.COMMAND) as session:
                second = asyncio.create_task(command(at_work, slow, spec))
                connects = slow.connects
                for _ in range(5):
                    await session.read(BATCH_SIZE)
                assert slow.connects <= connects + 1, "the poller closed for a command that waits for another command"
            await second
