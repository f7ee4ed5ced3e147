"""A session against a PLC that misbehaves over real TCP."""

import asyncio
import math

import pytest

from devices.modbus.errors import DeviceException, LinkUnavailable, Unconfirmed, ValueRefused, WrongAnswer
from devices.modbus.types import Limits, Table, WriteFunctions
from devices.plc.errors import SessionClosed
from tests.doubles import faults
from tests.doubles.leaks import settle
from tests.plc.machines import (
    ANSWER_S,
    BATCH_SIZE,
    MODE_BIT,
    MODE_BIT_4,
    NOK_NUM,
    READY,
    SETPOINT,
    START,
    UNMAPPED,
    hmi,
    registered,
)

READS = (1, 2, 3, 4)


def functions(plc) -> list[int]:
    return [request.function for request in plc.requests]


class TestReading:
    async def test_gives_the_value_that_the_plc_holds_now(self, plc, pool):
        plc.holding_registers[10] = 15
        plc.discrete_inputs[0] = 1
        async with pool.session(registered(plc)) as session:
            assert await session.read(BATCH_SIZE) == 15
            assert await session.read(READY) is True
            plc.holding_registers[10] = 16
            assert await session.read(BATCH_SIZE) == 16

    async def test_that_the_plc_refuses_does_not_end_the_session(self, plc, pool):
        async with pool.session(registered(plc)) as session:
            with pytest.raises(DeviceException):
                await session.read(UNMAPPED)
            assert await session.read(BATCH_SIZE) == 0

    async def test_of_several_words_is_one_request(self, plc, pool):
        async with pool.session(registered(plc)) as session:
            assert await session.read(SETPOINT) == 0.0
        assert [(request.address, request.count) for request in plc.requests] == [(20, 2)]


class TestFirstWrite:
    """A PLC without a free slot executes later what was sent to it: facts 3 of pymodbus."""

    async def test_waits_for_an_answered_read(self, plc, pool):
        async with pool.session(registered(plc)) as session:
            await session.write(START, True)
        assert functions(plc) == [3, 5]

    async def test_proves_the_link_where_the_profile_says(self, plc, pool):
        spec = registered(plc, probe_table=Table.DISCRETE_INPUT, probe_address=77)
        async with pool.session(spec) as session:
            await session.write(START, True)
        proof = plc.requests[0]
        assert (proof.function, proof.address, proof.count) == (2, 77, 1)

    @pytest.mark.parametrize("code", [1, 2, 4, 6, 11])
    async def test_takes_an_exception_for_an_answer(self, plc, pool, code):
        plc.misbehave(faults.exception(code), functions=READS)
        async with pool.session(registered(plc)) as session:
            await session.write(START, True)
        assert plc.writes_to((Table.COIL, 0)) == [1]

    async def test_needs_no_further_proof_after_a_read(self, plc, pool):
        async with pool.session(registered(plc)) as session:
            await session.read(BATCH_SIZE)
            await session.write(START, True)
            await session.write(START, False)
        assert functions(plc) == [3, 5, 5]

    async def test_is_proven_anew_on_every_connection(self, plc, pool):
        for _ in range(2):
            async with pool.session(registered(plc)) as session:
                await session.write(START, True)
        assert functions(plc) == [3, 5, 3, 5]

    async def test_is_never_sent_to_a_plc_that_has_no_slot_for_us(self, plc, pool):
        plc.serves = 1
        async with hmi(plc):
            with pytest.raises(LinkUnavailable, match="connected, but not served"):
                async with pool.session(registered(plc)) as session:
                    await session.write(START, True)
        # The slot is free now, and the PLC carries out whatever waited in its backlog.
        assert await settle(lambda: plc.connects >= 2)
        await asyncio.sleep(0.05)
        assert plc.writes == []

    @pytest.mark.parametrize(
        "fault",
        [
            faults.swallow,
            faults.hang_up_before,
            faults.reset_before,
            faults.hang_up_amid,
            faults.half_an_answer,
            faults.transaction(0),
            faults.function(4),
            faults.values(2),
            faults.garbage(b"HTTP/1.1 400"),
            faults.late(1.5 * ANSWER_S),
        ],
        ids=lambda fault: fault.__qualname__.partition(".")[0],
    )
    async def test_is_not_sent_when_the_proof_is_in_doubt(self, plc, pool, fault):
        plc.next(fault)
        with pytest.raises(LinkUnavailable, match="not served"):
            async with pool.session(registered(plc)) as session:
                await session.write(START, True)
        assert plc.writes == []


class TestWriting:
    async def test_joins_neighbours_into_one_request(self, plc, pool):
        async with pool.session(registered(plc)) as session:
            await session.write_all([(BATCH_SIZE, 15), (NOK_NUM, 3)])
        assert [(w.function, w.address, w.values) for w in plc.writes] == [(16, 10, (15, 3))]

    async def test_sends_one_at_a_time_where_the_plc_knows_no_other(self, plc, pool):
        limits = Limits(write_functions=WriteFunctions.SINGLE)
        async with pool.session(registered(plc, limits=limits)) as session:
            await session.write_all([(BATCH_SIZE, 15), (NOK_NUM, 3)])
        assert [(w.function, w.values) for w in plc.writes] == [(6, (15,)), (6, (3,))]

    async def test_of_a_wide_value_is_one_request(self, plc, pool):
        async with pool.session(registered(plc)) as session:
            await session.write(SETPOINT, 1.0)
        assert [(w.function, w.values) for w in plc.writes] == [(16, (0x3F80, 0))]

    async def test_of_a_bit_leaves_its_neighbours(self, plc, pool):
        plc.holding_registers[30] = 0b1000_0001
        async with pool.session(registered(plc)) as session:
            await session.write_all([(MODE_BIT, True), (MODE_BIT_4, True)])
        assert plc.holding_registers[30] == 0b1001_1001

    @pytest.mark.parametrize("value", [math.nan, math.inf, 1e39, "warm"])
    async def test_of_what_does_not_fit_sends_nothing_at_all(self, plc, pool, value):
        async with pool.session(registered(plc)) as session:
            with pytest.raises(ValueRefused, match="setpoint"):
                await session.write_all([(BATCH_SIZE, 15), (SETPOINT, value)])
        assert plc.requests == []

    @pytest.mark.parametrize("kth", [0, 1, 2])
    async def test_stops_at_the_one_that_fails(self, plc, pool, kth):
        plc.misbehave(faults.exception(3), functions=(5, 6, 16), skip=kth)
        async with pool.session(registered(plc)) as session:
            with pytest.raises(DeviceException):
                await session.write_all([(BATCH_SIZE, 15), (SETPOINT, 1.0), (START, True)])
        assert len(plc.writes) == kth + 1

    @pytest.mark.parametrize(
        "fault",
        [
            faults.swallow,
            faults.mute,
            faults.hang_up_before,
            faults.hang_up_after,
            faults.reset_after,
            faults.late(1.5 * ANSWER_S),
            faults.echo(address=1),
            faults.echo(value=1),
            faults.transaction(0),
        ],
        ids=lambda fault: fault.__qualname__.partition(".")[0],
    )
    async def test_in_doubt_is_told_as_doubt_and_sent_once(self, plc, pool, fault):
        plc.misbehave(fault, at=(Table.COIL, 0))
        async with pool.session(registered(plc)) as session:
            with pytest.raises((Unconfirmed, WrongAnswer)):
                await session.write(START, True)
            assert not session.is_usable
            with pytest.raises(LinkUnavailable):
                await session.write(START, False)
        assert plc.writes_to((Table.COIL, 0)) == [1]

    async def test_sees_the_machine_react(self, plc, pool):
        plc.acknowledge((Table.COIL, 0), on=(Table.DISCRETE_INPUT, 0))
        async with pool.session(registered(plc)) as session:
            await session.write(START, True)
            assert await session.read(READY) is True
            await session.write(START, False)
            assert await session.read(READY) is False


class TestAfterItsBlock:
    async def test_is_dead(self, plc, pool):
        async with pool.session(registered(plc)) as session:
            await session.read(BATCH_SIZE)
        sent = len(plc.requests)
        for use in (session.read(BATCH_SIZE), session.write(START, True), session.prove()):
            with pytest.raises(SessionClosed):
                await use
        assert not session.is_usable
        assert len(plc.requests) == sent

    async def test_is_dead_also_where_the_connection_is_kept(self, plc, pool):
        async with pool.session(registered(plc, keep_open_s=5)) as session:
            await session.read(BATCH_SIZE)
        with pytest.raises(SessionClosed):
            await session.write(START, True)
        assert plc.writes == []

    async def test_a_read_that_waited_while_somebody_spoke_aside_is_not_sent(self, plc, pool):
        """A kept connection may be another's by then: it would go out in his conversation."""
        async with pool.session(registered(plc, keep_open_s=5)) as session:
            await session.read(BATCH_SIZE)
            link = session._link
            await link.line.acquire()
            reading = asyncio.create_task(session.read(BATCH_SIZE))
            await asyncio.sleep(0)
        link.line.release()
        with pytest.raises(SessionClosed):
            await reading
        assert len(plc.requests) == 1
        assert not link.line.locked()
