"""The link to a PLC that hangs up, stays silent or is slow, and callers that go away.

Numbers like "facts 3" are those of modbus-facts.md, pymodbus.
"""

import asyncio
from time import monotonic

import pytest

from devices.modbus.errors import LinkUnavailable, Unconfirmed, WrongAnswer
from devices.modbus.link import Link
from tests.doubles import faults
from tests.doubles.clock import CLOCK_S
from tests.doubles.fault_server import FaultServer
from tests.doubles.leaks import open_descriptors, settle
from tests.doubles.listener import Full
from tests.modbus.links import ANSWER_S, COIL, HOLDING, endpoint, is_served

HANG_UPS = [
    faults.hang_up_before,
    faults.hang_up_after,
    faults.hang_up_amid,
    faults.reset_before,
    faults.reset_after,
]
SILENCES = [faults.swallow, faults.mute, faults.late(1.5 * ANSWER_S), faults.slow(1.5 * ANSWER_S)]


def by_function(some_faults: list) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("fault", some_faults, ids=lambda fault: fault.__qualname__.partition(".")[0])


class TestHangUp:
    @by_function(HANG_UPS)
    async def test_wakes_the_waiting_read_at_once(self, plc, fault):
        """Facts 4: neither FIN nor RST wakes a waiting request of pymodbus. faults.md: seen within 50 ms."""
        plc.next(fault)
        async with Link(endpoint(plc, response_timeout_s=30)) as link:
            start = monotonic()
            with pytest.raises((Unconfirmed, WrongAnswer)):
                await link.read(HOLDING, 0, 2)
            assert monotonic() - start < 0.05
            assert not link.is_usable

    @by_function(HANG_UPS)
    async def test_leaves_a_write_in_doubt(self, plc, fault):
        plc.next(fault)
        async with Link(endpoint(plc, response_timeout_s=30)) as link:
            start = monotonic()
            with pytest.raises((Unconfirmed, WrongAnswer)):
                await link.write(COIL, 0, (1,))
            assert monotonic() - start < 0.05
        assert plc.writes_to((COIL, 0)) == [1]
        assert await is_served(plc)

    async def test_right_after_the_answer_does_not_take_the_answer_away(self, plc, link):
        plc.next(faults.answer_and_hang_up)
        await link.write(COIL, 0, (1,))
        assert await settle(lambda: not link.is_usable)
        with pytest.raises(LinkUnavailable):
            await link.read(HOLDING, 0, 1)
        assert len(plc.requests) == 1

    async def test_between_two_requests_is_noticed_before_the_next_is_sent(self, plc, link):
        await link.read(HOLDING, 0, 1)
        plc.hang_up()
        assert await settle(lambda: not link.is_usable)
        with pytest.raises(LinkUnavailable):
            await link.write(COIL, 0, (1,))
        assert plc.writes == []

    async def test_amid_the_pause_between_requests_is_no_doubt(self, plc):
        async with Link(endpoint(plc, pause_between_s=0.1)) as link:
            await link.read(HOLDING, 0, 1)
            writing = asyncio.create_task(link.write(COIL, 0, (1,)))
            await asyncio.sleep(0.03)
            plc.hang_up()
            with pytest.raises(LinkUnavailable):
                await writing
        assert plc.writes == []

    async def test_at_once_after_the_connect_fails_soon(self, plc):
        plc.serves, plc.when_full = 0, Full.RESET
        for _ in range(30):
            start = monotonic()
            with pytest.raises((LinkUnavailable, Unconfirmed)):
                async with Link(endpoint(plc, response_timeout_s=30, connect_timeout_s=30)) as link:
                    await link.read(HOLDING, 0, 1)
            assert monotonic() - start < 0.1
        plc.serves = None


class TestSilence:
    @by_function(SILENCES)
    async def test_ends_at_the_limit_and_closes_the_link(self, plc, fault, link):
        """Facts 7: after any timeout the connection is closed."""
        plc.next(fault)
        start = monotonic()
        with pytest.raises(Unconfirmed, match="no answer within"):
            await link.write(HOLDING, 0, (5,))
        assert ANSWER_S - CLOCK_S <= monotonic() - start < 2 * ANSWER_S
        assert not link.is_usable
        assert await is_served(plc)

    async def test_does_not_let_a_late_answer_meet_the_next_request(self, plc):
        """Facts 7, and faults.md: the next one is unaffected."""
        plc.holding_registers[:2] = [111, 222]
        plc.next(faults.late(1.2 * ANSWER_S))
        async with Link(endpoint(plc)) as first:
            with pytest.raises(Unconfirmed):
                await first.read(HOLDING, 0, 1)
            async with Link(endpoint(plc)) as second:
                assert await second.read(HOLDING, 1, 1) == (222,)
                await asyncio.sleep(0.5 * ANSWER_S)
                assert await second.read(HOLDING, 1, 1) == (222,)

    async def test_refuses_further_use(self, plc, link):
        plc.next(faults.mute)
        with pytest.raises(Unconfirmed):
            await link.read(HOLDING, 0, 1)
        with pytest.raises(LinkUnavailable):
            await link.write(COIL, 0, (1,))
        assert plc.writes == []


class TestSlowAnswers:
    async def test_a_byte_at_a_time_are_taken_within_the_limit(self, plc, link):
        plc.holding_registers[:2] = [1, 2]
        plc.next(faults.trickle(0.001))
        assert await link.read(HOLDING, 0, 2) == (1, 2)

    async def test_a_byte_at_a_time_do_not_stretch_the_limit(self, plc, link):
        plc.next(faults.trickle(0.05))
        start = monotonic()
        with pytest.raises((Unconfirmed, WrongAnswer)):
            await link.read(HOLDING, 0, 2)
        assert monotonic() - start < 2 * ANSWER_S
        assert not link.is_usable

    async def test_of_one_plc_do_not_delay_another(self, plc, link):
        async with FaultServer(answer_delay_s=0.1) as slow_plc, Link(endpoint(slow_plc)) as slow_link:
            waiting = asyncio.create_task(slow_link.read(HOLDING, 0, 1))
            await asyncio.sleep(0)
            start = monotonic()
            await link.read(HOLDING, 0, 1)
            assert monotonic() - start < 0.05
            await waiting


class TestCancelling:
    async def test_is_never_translated(self, plc, link):
        """Facts 1: older pymodbus made a ModbusIOException of it."""
        plc.next(faults.mute)
        reading = asyncio.create_task(link.read(HOLDING, 0, 1))
        await asyncio.sleep(0.03)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        assert not link.is_usable

    async def test_of_an_exchange_does_not_let_its_answer_meet_the_next(self, plc):
        plc.holding_registers[:2] = [111, 222]
        plc.next(faults.late(0.1))
        async with Link(endpoint(plc)) as first:
            reading = asyncio.create_task(first.read(HOLDING, 0, 1))
            await asyncio.sleep(0.03)
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
            with pytest.raises(LinkUnavailable):
                await first.read(HOLDING, 1, 1)
        async with Link(endpoint(plc)) as second:
            assert await second.read(HOLDING, 1, 1) == (222,)

    async def test_of_a_connect_under_way_leaves_nothing(self, plc):
        """Facts 8: pymodbus leaked 250 of 300 sockets."""
        plc.drop_connects()
        before = open_descriptors()
        opening = [asyncio.create_task(Link(endpoint(plc, connect_timeout_s=30)).open()) for _ in range(50)]
        await asyncio.sleep(0.05)
        for task in opening:
            task.cancel()
        assert all(
            isinstance(result, asyncio.CancelledError)
            for result in await asyncio.gather(*opening, return_exceptions=True)
        )
        assert await settle(lambda: open_descriptors() == before, 0.1)

    @pytest.mark.parametrize("turns", range(60))
    async def test_at_any_turn_of_the_loop_is_obeyed(self, plc, turns):
        """Python 3.11's wait_for forgets a cancellation that comes together with the result."""

        async def use() -> None:
            async with Link(endpoint(plc)) as link:
                await link.read(HOLDING, 0, 1)
                await link.write(COIL, 0, (1,))
                await asyncio.sleep(30)

        using = asyncio.create_task(use())
        for _ in range(turns):
            await asyncio.sleep(0)
        using.cancel()
        async with asyncio.timeout(1):
            with pytest.raises(asyncio.CancelledError):
                await using
