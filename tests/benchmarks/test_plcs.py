"""What all sides of the benchmark are held against: the PLCs, in both languages, and the callers."""

import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from devices.modbus.errors import DeviceException, Unconfirmed
from devices.modbus.link import Link
from devices.modbus.types import Endpoint, Table
from tests.benchmarks.calls import GIVEN, SECOND, Wrong, require_done
from tests.benchmarks.load import Job, Load, Target
from tests.benchmarks.plcs import PYTHON, C, PLCs, running_plcs

MUTE_S = 0.3
NO_COMPILER = pytest.mark.skipif(shutil.which("gcc") is None, reason="no gcc")


@pytest.fixture(params=[pytest.param(C, marks=NO_COMPILER), PYTHON])
def plcs(request: pytest.FixtureRequest) -> Iterator[PLCs]:
    with running_plcs(2, mute=1, written_in=request.param) as running:
        yield running


def link_to(port: int, answer_limit_s: float = 10.0) -> Link:
    return Link(Endpoint(host="127.0.0.1", port=port, response_timeout_s=answer_limit_s))


class TestThePLCs:
    async def test_keep_what_is_written_each_its_own_and_count_it(self, plcs):
        first, second = plcs.ports
        async with link_to(first) as link:
            await link.write(Table.HOLDING_REGISTER, 0, (15, 3))
            await link.write(Table.HOLDING_REGISTER, 2, (7,))
            await link.write(Table.COIL, 1, (1,))
            await link.write(Table.COIL, 2, (1, 0, 1))
            assert await link.read(Table.HOLDING_REGISTER, 0, 3) == (15, 3, 7)
            assert await link.read(Table.COIL, 0, 6) == (0, 1, 1, 0, 1, 0)
        async with link_to(second) as link:
            assert await link.read(Table.HOLDING_REGISTER, 0, 2) == (0, 0)
        seen = plcs.look()
        assert (seen.connects, seen.requests) == (2, 7)
        assert (seen.word_writes, seen.words, seen.words_sum, seen.coil_writes) == (2, 3, 25, 2)

    async def test_count_from_zero_when_told_to(self, plcs):
        async with link_to(plcs.ports[0]) as link:
            await link.write(Table.HOLDING_REGISTER, 0, (15,))
        plcs.reset()
        assert replace(plcs.look(), connections=0) == type(plcs.look())(0, 0, 0, 0, 0, 0, 0)

    async def test_show_when_their_clocks_changed_and_something_that_stands_still(self, plcs):
        async with link_to(plcs.ports[0]) as link:
            high, low, *others = await link.read(Table.INPUT_REGISTER, 0, 12)
        age_ms = (int(time.monotonic() * 1000) - (high << 16 | low)) % 2**32
        assert age_ms < 60_000
        assert others[-2:] == [0x110A, 0x110B]

    async def test_refuse_what_they_do_not_have(self, plcs):
        async with link_to(plcs.ports[0]) as link:
            with pytest.raises(DeviceException):
                await link.read(Table.HOLDING_REGISTER, 60_000, 2)

    async def test_answer_late_where_that_is_asked_for(self, plcs):
        plcs.answer_after(200)
        async with link_to(plcs.ports[0]) as link:
            begun = time.monotonic()
            await link.read(Table.COIL, 0, 1)
        assert time.monotonic() - begun >= 0.2

    async def test_say_nothing_where_they_are_mute(self, plcs):
        async with link_to(plcs.mute_ports[0], MUTE_S) as link:
            with pytest.raises(Unconfirmed):
                await link.read(Table.COIL, 0, 1)


@asynccontextmanager
async def answering(*answers: bytes) -> AsyncIterator[int]:
    """A web server that answers the same in turn, whatever it is asked; its port."""
    told = 0

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal told
        while await reader.read(4096):
            writer.write(answers[told % len(answers)])
            told += 1
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


def answer(status: str, body: bytes) -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def job(port: int, **changes: object) -> Job:
    target = Target(method="POST", path="/", body=GIVEN)
    return Job(**{"port": port, "callers": [[target]], "seconds": 0.3, "warm_up_s": 0.1} | changes)


class TestCallers:
    async def test_tell_how_often_and_how_fast_they_were_answered(self):
        async with answering(answer("200 OK", b"{}")) as port:
            found = await Load(job(port)).run()
        assert 0 < found.count < found.sent
        assert len(found.latencies_ms) == found.count
        assert found.p50_ms() <= found.p99_ms()
        assert (found.numbers, found.faults) == (found.sent, {})

    async def test_understand_an_answer_in_chunks(self):
        async with answering(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n") as port:
            found = await Load(job(port)).run()
        assert found.count
        assert not found.faults

    async def test_count_no_answer_that_is_not_as_it_must_be(self):
        async with answering(answer("200 OK", b"done"), answer("503 Busy", b"later"), answer("200 OK", b"?")) as port:
            found = await Load(job(port, holds="done", times=1)).run()
        assert {fault.split()[0] for fault in found.faults} == {"503", "not"}
        assert found.numbers < found.sent

    async def test_are_not_believed_where_the_machines_saw_less(self, plcs):
        async with answering(answer("200 OK", b"{}")) as port:
            found = await Load(job(port)).run()
        with pytest.raises(Wrong, match="the machines saw"):
            require_done(found, plcs)

    async def test_are_believed_where_the_machines_saw_it_all(self, plcs):
        async with answering(answer("200 OK", b"{}")) as port:
            found = await Load(job(port)).run()
        one = replace(found, numbers=1, numbers_sum=15)
        async with link_to(plcs.ports[0]) as link:
            await link.write(Table.HOLDING_REGISTER, 0, (15, SECOND))
            await link.write(Table.COIL, 0, (1,))
        require_done(one, plcs)
