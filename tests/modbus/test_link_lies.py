"""The link to a PLC that answers wrongly.

Numbers like "facts 3" are those of modbus-facts.md, pymodbus.
"""

import asyncio
import tracemalloc
from time import monotonic

import pytest

from devices.modbus.errors import Unconfirmed, WrongAnswer
from devices.modbus.link import Link
from tests.doubles import faults
from tests.modbus.links import COIL, HOLDING, endpoint, is_served

LIES = {
    "transaction id of another request": faults.transaction(77),
    "transaction id 0": faults.transaction(0),
    "another unit": faults.unit(9),
    "unit 0": faults.unit(0),
    "another protocol": faults.protocol(1),
    "another function": faults.function(7),
    "a neighbouring function": faults.neighbouring_function,
    "an unknown function": faults.function(0x41),
    "function 0": faults.function(0),
    "an exception to another function": faults.body(bytes([0x82, 2])),
    "an exception without a code": faults.garbage(bytes.fromhex("0001 0000 0002 01 83")),
    "half an answer": faults.half_an_answer,
    "a length too long": faults.length(3),
    "a length too short": faults.length(-1),
    "a length far too short": faults.length(-3),
    "a length of nothing": faults.garbage(bytes.fromhex("0001 0000 0000 01")),
    "a length of 65535": faults.length(60000),
    "an empty body": faults.body(b""),
    "a function and no body": faults.body(b"\x03"),
    "trailing bytes": faults.trailing(b"\0\0"),
    "zeros": faults.garbage(bytes(300)),
    "text": faults.garbage(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
    "one byte": faults.garbage(b"\x00"),
    "a flood of one byte": faults.flood(),
    "a flood of zeros": faults.flood(octet=0),
}
READ_LIES = {
    "one register fewer": faults.values(-2),
    "one register more": faults.values(2),
    "half a register more": faults.values(1),
    "half a register fewer": faults.values(-1),
    "no registers": faults.values(-4),
    "a byte count too long": faults.byte_count(2),
    "a byte count too short": faults.byte_count(-2),
    "an odd byte count": faults.byte_count(-1),
}
WRITE_LIES = {
    "another address": faults.echo(address=1),
    "one more": faults.echo(value=1),
    "one less": faults.echo(value=-1),
}


def by_name(faults_by_name: dict) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("fault", faults_by_name.values(), ids=faults_by_name.keys())


class TestWrongAnswers:
    """Facts 5: pymodbus takes most of these for success."""

    @by_name(LIES | READ_LIES)
    async def test_to_a_read_are_never_values(self, plc, link, fault):
        plc.holding_registers[:2] = [1, 2]
        plc.next(fault)
        with pytest.raises((WrongAnswer, Unconfirmed)):
            await link.read(HOLDING, 0, 2)
        assert not link.is_usable
        assert await is_served(plc)

    @by_name(LIES | READ_LIES)
    async def test_to_a_read_of_bits_are_never_values(self, plc, link, fault):
        plc.next(fault)
        with pytest.raises((WrongAnswer, Unconfirmed)):
            await link.read(COIL, 0, 25)
        assert not link.is_usable

    @by_name(LIES | WRITE_LIES)
    @pytest.mark.parametrize(("table", "words"), [(COIL, (1,)), (COIL, (1, 1)), (HOLDING, (1,)), (HOLDING, (1, 1))])
    async def test_to_a_write_are_never_success(self, plc, link, fault, table, words):
        plc.next(fault)
        with pytest.raises((WrongAnswer, Unconfirmed)):
            await link.write(table, 0, words)
        assert not link.is_usable
        assert len(plc.writes) == 1

    async def test_from_another_unit_are_wrong_also_for_unit_0(self, plc):
        plc.next(faults.unit(9))
        async with Link(endpoint(plc, unit=0)) as link:
            with pytest.raises((WrongAnswer, Unconfirmed)):
                await link.read(HOLDING, 0, 1)

    @by_name({"an undecodable body": faults.body(b"\x03"), "an unknown function": faults.function(0x41)})
    async def test_that_cannot_be_decoded_are_told_as_wrong_and_at_once(self, plc, fault):
        plc.next(fault)
        async with Link(endpoint(plc, response_timeout_s=5)) as link:
            start = monotonic()
            with pytest.raises(WrongAnswer):
                await link.read(HOLDING, 0, 1)
            assert monotonic() - start < 0.1

    async def test_in_a_flood_take_no_memory(self, plc, link):
        plc.next(faults.flood(40_000_000))
        tracemalloc.start()
        try:
            with pytest.raises((WrongAnswer, Unconfirmed)):
                await link.read(HOLDING, 0, 1)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < 4_000_000


class TestSurplusAnswers:
    async def test_doubled_confirm_once(self, plc, link):
        plc.holding_registers[:2] = [1, 2]
        plc.next(faults.twice)
        await link.write(HOLDING, 0, (9,))
        assert await link.read(HOLDING, 0, 2) == (9, 2)

    async def test_stale_and_good_glued_together_give_the_good_one(self, plc, link):
        plc.holding_registers[:2] = [1, 2]
        await link.read(HOLDING, 0, 1)
        plc.next(faults.stale_first)
        assert await link.read(HOLDING, 0, 2) == (1, 2)

    async def test_that_nobody_asked_for_do_not_meet_the_next_request(self, plc, link):
        plc.holding_registers[:2] = [1, 2]
        plc.next(faults.twice)
        assert await link.read(HOLDING, 0, 1) == (1,)
        await asyncio.sleep(0.02)
        assert await link.read(HOLDING, 1, 1) == (2,)
