"""The frames of one command: bounded, and its own only."""

import asyncio

import pytest

from devices.modbus.errors import ModbusError
from devices.plc.frames import FIRST, LAST, LONGEST, Frames
from devices.plc.pool import Pool
from devices.plc.trace import Trace
from tests.doubles import faults
from tests.doubles.fault_server import FaultServer
from tests.plc.machines import BATCH_SIZE, NOK_NUM, registered


def filled(count: int) -> list[dict]:
    frames = Frames()
    for number in range(count):
        frames.add(number.to_bytes(2, "big"), at_ms=number / 10, step=number, is_sent=number % 2 == 0)
    return frames.as_json()


class TestFrames:
    def test_tell_when_in_which_step_and_which_way_each_went(self):
        frames = Frames()
        frames.add(b"\x00\x01\xff", at_ms=1.5, step=2, is_sent=True)
        frames.add(b"", at_ms=2.0, step=2, is_sent=False)
        assert frames.as_json() == [
            {"at_ms": 1.5, "step": 2, "direction": "sent", "length": 3, "hex": "00 01 ff"},
            {"at_ms": 2.0, "step": 2, "direction": "received", "length": 0, "hex": ""},
        ]

    @pytest.mark.parametrize("count", [0, 1, FIRST, FIRST + 1, FIRST + LAST])
    def test_are_all_kept_while_they_are_few(self, count: int):
        assert [frame["step"] for frame in filled(count)] == list(range(count))

    def test_lose_those_in_the_middle_where_they_are_many_and_say_so(self):
        told = filled(1000)
        assert told.pop(FIRST) == {"note": "800 frames left out"}
        assert [frame["step"] for frame in told] == [*range(FIRST), *range(1000 - LAST, 1000)]

    def test_are_cut_where_they_are_long_and_tell_their_length(self):
        frames = Frames()
        frames.add(b"\xaa" * 800_000, at_ms=0, step=0, is_sent=False)
        (told,) = frames.as_json()
        assert told["length"] == 800_000
        assert bytes.fromhex(told["hex"]) == b"\xaa" * LONGEST


class TestASession:
    async def test_tells_its_frames_to_the_one_who_asked_for_it(self, plc: FaultServer, pool: Pool):
        trace = Trace()
        async with pool.turn(registered(plc)) as turn, turn.session(trace.note_frame) as session:
            await session.write(BATCH_SIZE, 15)
        told = [(frame["direction"], bytes.fromhex(frame["hex"])) for frame in trace.frames.as_json()]
        assert told == [({"came": "sent", "went": "received"}[way], raw) for way, raw in plc.wire]
        assert len(told) == 4

    async def test_on_a_kept_connection_tells_nothing_of_the_next_one(self, plc: FaultServer, pool: Pool):
        first, second = Trace(), Trace()
        kept = registered(plc, keep_open_s=5)
        async with pool.turn(kept) as turn, turn.session(first.note_frame) as session:
            await session.read(BATCH_SIZE)
        async with pool.session(kept) as session:
            await session.read(NOK_NUM)
        async with pool.turn(kept) as turn, turn.session(second.note_frame) as session:
            await session.write(NOK_NUM, 3)
        assert plc.connects == 1
        requests = [raw.hex(" ") for way, raw in plc.wire if way == "came"]
        sent = [[f["hex"] for f in each.frames.as_json() if f["direction"] == "sent"] for each in (first, second)]
        assert sent == [requests[:1], requests[2:]]

    async def test_stays_small_whatever_the_plc_floods_it_with(self, plc: FaultServer, pool: Pool):
        trace = Trace()
        plc.next(faults.garbage(b"\x00" * 800_000))
        with pytest.raises(ModbusError):
            async with pool.turn(registered(plc)) as turn, turn.session(trace.note_frame) as session:
                await session.read(BATCH_SIZE)
        told = trace.frames.as_json()
        assert max(frame["length"] for frame in told) > LONGEST
        assert sum(len(frame["hex"]) for frame in told) < (FIRST + LAST) * LONGEST * 3

    async def test_that_is_cut_has_told_what_went_out(self, plc: FaultServer, pool: Pool):
        trace = Trace()
        plc.next(faults.late(0.1))

        async def use() -> None:
            async with pool.turn(registered(plc)) as turn, turn.session(trace.note_frame) as session:
                await session.read(BATCH_SIZE)

        using = asyncio.create_task(use())
        await asyncio.sleep(0.03)
        using.cancel()
        with pytest.raises(asyncio.CancelledError):
            await using
        assert [frame["direction"] for frame in trace.frames.as_json()] == ["sent"]
