"""The link to a PLC over real TCP: reading, writing, closing.

Numbers like "facts 3" are those of modbus-facts.md, pymodbus.
"""

import asyncio
import logging
from time import monotonic

import pytest

from devices.modbus.errors import DeviceException, LinkUnavailable, ModbusError, Unconfirmed, WrongAnswer
from devices.modbus.link import Link
from devices.modbus.types import Endpoint, WriteFunctions
from tests.doubles import faults
from tests.doubles.fault_server import FaultServer
from tests.doubles.leaks import open_descriptors, settle
from tests.modbus.links import ANSWER_S, COIL, HOLDING, INPUT, READING, endpoint


class TestReading:
    async def test_returns_registers_of_both_tables(self, plc, link):
        plc.holding_registers[10:13] = [1, 0xFFFF, 3]
        plc.input_registers[999] = 7
        assert await link.read(HOLDING, 10, 3) == (1, 0xFFFF, 3)
        assert await link.read(READING, 999, 1) == (7,)

    @pytest.mark.parametrize("count", [1, 3, 8, 9, 2000])
    async def test_returns_as_many_bits_as_asked(self, plc, link, count):
        """Facts 13: read_coils(count=3) answers 8 bits."""
        plc.misbehave(faults.body(bytes([1, -(-count // 8)]) + b"\xff" * -(-count // 8)))
        assert await link.read(COIL, 0, count) == (1,) * count

    async def test_returns_discrete_inputs(self, plc, link):
        plc.discrete_inputs[3:6] = [1, 0, 1]
        assert await link.read(INPUT, 3, 3) == (1, 0, 1)

    async def test_asks_the_unit_that_the_endpoint_names(self, plc):
        async with Link(Endpoint(host=plc.host, port=plc.port, unit=247)) as link:
            await link.read(HOLDING, 0, 1)
        assert [request.unit for request in plc.requests] == [247]

    async def test_raises_the_exception_that_the_plc_answers(self, plc, link):
        """Facts 6: pymodbus returns exceptions."""
        with pytest.raises(DeviceException, match="not mapped") as caught:
            await link.read(HOLDING, 1000, 1)
        assert caught.value.code == 2
        assert link.is_usable
        assert link.has_answered

    @pytest.mark.parametrize("code", [1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 99, 255])
    async def test_tells_every_exception_code(self, plc, link, code):
        plc.next(faults.exception(code))
        with pytest.raises(DeviceException) as caught:
            await link.read(HOLDING, 0, 1)
        assert caught.value.code == code

    @pytest.mark.parametrize(
        ("table", "address", "count"),
        [
            (HOLDING, 0, 0),
            (HOLDING, 0, 126),
            (COIL, 0, 2001),
            (HOLDING, -1, 1),
            (HOLDING, 65536, 1),
            (HOLDING, 65500, 100),
        ],
    )
    async def test_beyond_the_protocol_is_refused_before_anything_is_sent(self, plc, link, table, address, count):
        """Facts 12: not checked by pymodbus."""
        with pytest.raises(ValueError, match="address"):
            await link.read(table, address, count)
        assert plc.requests == []
        assert link.is_usable

    async def test_reaches_the_last_address(self, plc, link):
        with pytest.raises(DeviceException):
            await link.read(HOLDING, 65535, 1)


class TestWriting:
    @pytest.mark.parametrize(
        ("table", "words", "functions", "function"),
        [
            (COIL, (1,), WriteFunctions.BOTH, 5),
            (COIL, (0,), WriteFunctions.SINGLE, 5),
            (COIL, (1,), WriteFunctions.MULTIPLE, 15),
            (COIL, (1, 0, 1), WriteFunctions.BOTH, 15),
            (COIL, (1, 0) * 984, WriteFunctions.BOTH, 15),
            (HOLDING, (0xFFFF,), WriteFunctions.BOTH, 6),
            (HOLDING, (7,), WriteFunctions.MULTIPLE, 16),
            (HOLDING, (7, 8), WriteFunctions.MULTIPLE, 16),
            (HOLDING, (7,) * 123, WriteFunctions.BOTH, 16),
        ],
    )
    async def test_uses_a_function_that_the_plc_knows(self, table, words, functions, function):
        async with FaultServer(size=2000) as plc, Link(endpoint(plc)) as link:
            await link.write(table, 5, words, functions)
        assert [(w.function, w.address, w.values) for w in plc.writes] == [(function, 5, words)]

    @pytest.mark.parametrize(
        ("table", "address", "words"),
        [
            (HOLDING, 0, ()),
            (COIL, 0, ()),
            (HOLDING, 0, (1,) * 124),
            (COIL, 0, (1,) * 1969),
            (HOLDING, 65535, (1, 2)),
            (HOLDING, 65536, (1,)),
            (HOLDING, -1, (1,)),
        ],
    )
    async def test_beyond_the_protocol_is_refused_before_anything_is_sent(self, plc, link, table, address, words):
        """Facts 12: not checked by pymodbus."""
        with pytest.raises(ValueError, match="address"):
            await link.write(table, address, words)
        assert plc.requests == []
        assert link.is_usable

    async def test_of_many_is_refused_where_the_plc_writes_one_at_a_time(self, plc, link):
        with pytest.raises(ValueError, match="one register at a time"):
            await link.write(HOLDING, 0, (1, 2), WriteFunctions.SINGLE)
        assert plc.requests == []

    @pytest.mark.parametrize("word", [-1, 65536, "1", None])
    async def test_of_what_is_no_register_sends_nothing(self, plc, link, word):
        """Facts 6: bad arguments raise struct.error and others, and synchronously."""
        with pytest.raises((ModbusError, ValueError)):
            await link.write(HOLDING, 0, (word,))
        assert plc.requests == []

    @pytest.mark.parametrize("code", [1, 2, 3, 4, 5, 6, 8, 10, 11, 200])
    async def test_raises_the_exception_that_the_plc_answers(self, plc, link, code):
        plc.next(faults.exception(code))
        with pytest.raises(DeviceException) as caught:
            await link.write(COIL, 0, (1,))
        assert caught.value.code == code
        assert link.is_usable

    async def test_goes_out_once_when_the_plc_stays_mute(self, plc, link):
        """Facts 2: pymodbus's defaults sent the same write four times."""
        plc.misbehave(faults.mute, times=None)
        with pytest.raises(Unconfirmed, match=rf"no answer within {ANSWER_S} s"):
            await link.write(COIL, 0, (1,))
        await asyncio.sleep(3 * ANSWER_S)
        assert plc.writes_to((COIL, 0)) == [1]

    async def test_goes_out_once_when_the_answer_is_late(self, plc, link):
        """Facts 2: a PLC that took 0.6 s with a limit of 0.5 s executed the write twice, and success was told."""
        plc.misbehave(faults.slow(1.2 * ANSWER_S), times=None)
        with pytest.raises(Unconfirmed):
            await link.write(COIL, 0, (1,))
        await asyncio.sleep(2 * ANSWER_S)
        assert plc.writes_to((COIL, 0)) == [1]

    async def test_goes_out_once_when_a_second_would_work(self, plc, link):
        plc.next(faults.swallow)
        with pytest.raises(Unconfirmed):
            await link.write(COIL, 0, (1,))
        assert plc.writes_to((COIL, 0)) == [1]
        assert plc.coils[0] == 0


class TestClosing:
    async def test_gives_the_descriptor_back_before_it_returns(self, plc):
        before = open_descriptors()
        link = Link(endpoint(plc))
        await link.open()
        await link.read(HOLDING, 0, 1)
        assert await settle(lambda: plc.open_connections == 1)
        await link.close()
        # The double has closed its side too: close() waited for that, so that the PLC has room for the next one.
        assert plc.open_connections == 0
        assert await settle(lambda: open_descriptors() == before, 0.05)

    async def test_twice_does_no_harm(self, plc, link):
        await link.close()
        await link.close()
        with pytest.raises(LinkUnavailable):
            await link.read(HOLDING, 0, 1)

    async def test_does_not_wait_for_a_plc_that_has_not_accepted_it(self, plc):
        plc.serves = 0
        async with Link(endpoint(plc)):
            start = monotonic()
        assert monotonic() - start < 0.5
        plc.serves = None

    async def test_is_bounded_where_the_plc_reads_nothing_more(self, plc):
        """Facts 11: close() towards a mute peer keeps the socket; here a PLC that is stuck amid an answer."""
        plc.next(faults.late(1.0))
        async with Link(endpoint(plc)) as link:
            with pytest.raises(Unconfirmed):
                await link.write(HOLDING, 0, (1,))
            start = monotonic()
        assert monotonic() - start < 0.05

    async def test_that_was_forgotten_is_told(self, plc):
        link = Link(endpoint(plc))
        await link.open()
        wire = link._wire
        with pytest.warns(ResourceWarning, match="was not closed"):
            link.__del__()
        link._wire = wire
        await link.close()

    async def test_wakes_the_request_that_waits(self, plc, link):
        """Facts 9: close() of pymodbus would not."""
        plc.next(faults.mute)
        reading = asyncio.create_task(link.read(HOLDING, 0, 1))
        await asyncio.sleep(0.03)
        start = monotonic()
        await link.close()
        with pytest.raises((Unconfirmed, LinkUnavailable)):
            await reading
        assert monotonic() - start < 0.05


class TestLog:
    async def test_shows_no_frames(self, plc, link, caplog):
        """Facts 14: pymodbus's client dumped frames of all PLCs from one buffer."""
        caplog.set_level(logging.DEBUG)
        plc.next(faults.transaction(77))
        with pytest.raises((WrongAnswer, Unconfirmed)):
            await link.read(HOLDING, 0, 1)
        assert [record for record in caplog.records if record.name != "asyncio"] == []
