"""What the poller sees reaches the servers of other processes, over a real Redis, and is never taken for newer."""

import asyncio
import math
import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest
from django.utils import timezone

from devices import models
from devices.control import mirror_writer
from devices.control.gateway import Gateway
from devices.control.mirror import MirrorReader, merged, newest
from devices.control.mirror_writer import MirrorWriter
from devices.control.status import PLCState, PLCStatus
from devices.control.values import Quality, Round, Stamp, TagValue, Values
from devices.modbus.types import Endpoint
from devices.plc.specs import PLCSpec
from tests.control.rounds import a_plc, poll
from tests.doubles.redis import NEEDS_REDIS, REDIS_URL

pytestmark = NEEDS_REDIS

PLC = a_plc(poll("heat"), poll("level", dead_band=5.0), poll("count", "uint16"))


class Poller:
    """The poller's process: what it reads, and its side of the mirror."""

    def __init__(self, prefix: str, token: str = "one.1") -> None:
        self.values = Values()
        self.statuses: dict[int, PLCStatus] = {}
        self.token = token
        self.mirror = MirrorWriter(
            REDIS_URL, prefix=prefix, values=self.values, status=self.status, token=lambda: self.token
        )
        self.mirror.refresh({PLC.id: PLC})

    def status(self, plc: PLCSpec) -> PLCStatus:
        return self.statuses.get(plc.id, PLCStatus(state=PLCState.ONLINE))

    def read(self, plc: PLCSpec = PLC, *, age_s: float = 0.0, **held: float) -> None:
        """A whole round, so long ago."""
        stamp = Stamp(at=timezone.now(), clock_s=asyncio.get_running_loop().time() - age_s)
        changed = tuple(name for name, value in held.items() if self.values.of(plc).take(name, value, stamp))
        self.mirror.note_round(Round(plc=plc, interval_s=1.0, stamp=stamp, changed=changed))

    def refuse(self, name: str, reason: str) -> None:
        stamp = Stamp(at=timezone.now(), clock_s=asyncio.get_running_loop().time())
        self.values.of(PLC).refuse(name, reason, stamp)
        self.mirror.note_round(Round(plc=PLC, interval_s=1.0, stamp=stamp, changed=(name,)))


@pytest.fixture
async def prefix() -> str:
    return f"test-{secrets.token_hex(6)}"


@pytest.fixture
async def poller(prefix: str) -> AsyncIterator[Poller]:
    async with AsyncExitStack() as stack:
        poller = Poller(prefix)
        stack.push_async_callback(poller.mirror.close)
        yield poller


@pytest.fixture
async def other(prefix: str) -> AsyncIterator[Poller]:
    """Another one, which has no PLC yet."""
    async with AsyncExitStack() as stack:
        poller = Poller(prefix, "two.1")
        poller.mirror.refresh({})
        stack.push_async_callback(poller.mirror.close)
        yield poller


@pytest.fixture
async def server(prefix: str) -> AsyncIterator[MirrorReader]:
    async with AsyncExitStack() as stack:
        reader = MirrorReader(REDIS_URL, prefix=prefix)
        stack.push_async_callback(reader.close)
        yield reader


class TestAValue:
    async def test_is_what_the_poller_read_with_its_moments(self, poller, server):
        poller.read(heat=21.5, count=7)
        await poller.mirror.flush()
        seen = await server.values(PLC)
        own = poller.values.of(PLC).of("heat")
        assert (seen["heat"].value, seen["heat"].quality) == (21.5, Quality.GOOD)
        assert (seen["heat"].read_at, seen["heat"].changed_at) == (own.read_at, own.changed_at)
        assert (seen["count"].value, type(seen["count"].value)) == (7, int)
        assert "level" not in seen, "nobody read it"

    async def test_that_stays_the_same_was_read_in_the_last_round(self, poller, server):
        poller.read(heat=21.5, age_s=60.0)
        await poller.mirror.flush()
        assert (await server.values(PLC))["heat"].quality is Quality.OLD
        poller.read(heat=21.5)
        await poller.mirror.flush()
        seen = (await server.values(PLC))["heat"]
        assert seen.quality is Quality.GOOD
        assert seen.read_at == poller.values.of(PLC).of("heat").read_at
        assert seen.changed_at < seen.read_at

    async def test_within_its_dead_band_is_the_last_one_that_was_read(self, poller, server):
        poller.read(level=50.0)
        await poller.mirror.flush()
        poller.read(level=51.0)
        await poller.mirror.flush()
        assert (await server.values(PLC))["level"].value == 51.0

    async def test_that_the_plc_refuses_says_why(self, poller, server):
        poller.refuse("heat", "exception 2")
        await poller.mirror.flush()
        seen = (await server.values(PLC))["heat"]
        assert (seen.value, seen.quality, seen.reason) == (None, Quality.BAD, "exception 2")

    async def test_that_is_no_number_arrives_as_such(self, poller, server):
        poller.read(heat=math.nan, level=math.inf)
        await poller.mirror.flush()
        seen = await server.values(PLC)
        assert math.isnan(seen["heat"].value)
        assert seen["level"].value == math.inf

    @pytest.mark.parametrize(
        "now",
        [
            replace(PLC, endpoint=Endpoint(host="127.0.0.1", port=503)),
            replace(PLC, polls={**PLC.polls, "heat": poll("heat", "uint16")}),
        ],
        ids=["another machine", "another meaning"],
    )
    async def test_that_was_read_of_something_else_is_not_known(self, poller, server, now):
        poller.read(heat=21.5)
        await poller.mirror.flush()
        assert await server.values(now) == {}

    async def test_is_known_where_the_registry_was_loaded_anew(self, poller, server):
        poller.read(heat=21.5)
        await poller.mirror.flush()
        assert "heat" in await server.values(a_plc(*PLC.polls.values()))

    async def test_that_redis_lost_is_written_again_with_the_registry(self, poller, server, prefix):
        poller.read(heat=21.5)
        await poller.mirror.flush()
        await server._store.redis.delete(f"{prefix}:values:{PLC.id}")
        poller.read(heat=21.5)
        poller.mirror.refresh({PLC.id: PLC})
        await poller.mirror.flush()
        assert (await server.values(PLC))["heat"].quality is Quality.GOOD

    async def test_that_redis_lost_is_written_again_after_a_while(self, poller, server, prefix, monkeypatch):
        """Redis has restarted between two writes: nobody was told."""
        monkeypatch.setattr(mirror_writer, "ANEW_S", 0.1)
        monkeypatch.setattr(mirror_writer, "BEAT_S", 0.02)
        poller.read(heat=21.5)
        await poller.mirror.flush()
        await server._store.redis.delete(f"{prefix}:values:{PLC.id}")
        writing = asyncio.create_task(poller.mirror.run())
        try:
            async with asyncio.timeout(10):
                while "heat" not in await server.values(PLC):  # noqa: ASYNC110 - Redis does not tell
                    await asyncio.sleep(0.02)
        finally:
            writing.cancel()

    async def test_is_the_servers_own_where_that_read_it_later(self):
        early = TagValue(poll=PLC.polls["heat"], value=1.0, quality=Quality.GOOD, age_s=2.0)
        late = replace(early, value=2.0, age_s=1.0)
        unread = TagValue(poll=PLC.polls["heat"], value=None, quality=Quality.UNREAD)
        assert newest(late, early) is newest(early, late) is late
        assert newest(unread, early) is newest(early, None) is early


class TestAState:
    async def test_is_the_pollers_while_it_lives(self, poller, server):
        poller.statuses[PLC.id] = PLCStatus(state=PLCState.OFFLINE, reason="no answer", since=timezone.now())
        poller.mirror.note_status(PLC)
        await poller.mirror.flush()
        assert await server.statuses() == poller.statuses
        assert server.is_alive

    async def test_is_not_known_once_the_poller_is_silent(self, poller, server, prefix):
        poller.mirror.note_status(PLC)
        await poller.mirror.flush()
        await server._store.redis.zincrby(f"{prefix}:beats", -60_000, poller.token)
        assert await server.statuses() == {}
        assert not server.is_alive

    def test_of_a_disabled_plc_is_the_registrys(self):
        disabled = PLCStatus(state=PLCState.DISABLED)
        assert merged(disabled, PLCStatus(state=PLCState.ONLINE)) is disabled

    def test_keeps_the_mark_that_a_command_set(self):
        own = PLCStatus(state=PLCState.ONLINE, mark="a wrong answer")
        assert merged(own, PLCStatus(state=PLCState.DEGRADED)).mark == "a wrong answer"
        assert merged(own, PLCStatus(state=PLCState.UNKNOWN)) is own
        assert merged(own, None) is own


class TestSeveralPollers:
    SECOND = a_plc(poll("heat"), plc_id=2, name="press-2")

    async def fall_silent(self, server: MirrorReader, prefix: str, poller: Poller) -> None:
        await server._store.redis.zincrby(f"{prefix}:beats", -60_000, poller.token)

    async def test_say_how_their_own_plcs_are(self, poller, other, server, prefix):
        other.mirror.share({2: self.SECOND})
        other.statuses[2] = PLCStatus(state=PLCState.OFFLINE, reason="no answer")
        for one in (poller, other):
            await one.mirror.flush()
            one.mirror.note_status(PLC if one is poller else self.SECOND)
            await one.mirror.flush()
        assert {i: status.state for i, status in (await server.statuses()).items()} == {1: "online", 2: "offline"}
        await self.fall_silent(server, prefix, other)
        assert (await server.statuses()).keys() == {1}, "nobody knows how the other one's is"
        assert server.is_alive

    async def test_leave_what_is_known_until_they_have_read_it_anew(self, poller, other, server):
        poller.read(heat=21.5, count=7)
        await poller.mirror.flush()
        other.mirror.share({1: PLC})
        other.mirror.note_status(PLC)
        await other.mirror.flush()
        assert {name: tag.value for name, tag in (await server.values(PLC)).items()} == {"heat": 21.5, "count": 7}
        other.read(heat=22.0)
        await other.mirror.flush()
        assert {name: tag.value for name, tag in (await server.values(PLC)).items()} == {"heat": 22.0, "count": 7}

    async def test_wipe_what_was_read_of_another_machine(self, poller, other, server, prefix):
        poller.read(heat=21.5)
        await poller.mirror.flush()
        moved = replace(PLC, endpoint=Endpoint(host="127.0.0.1", port=503))
        other.mirror.share({1: moved})
        other.mirror.note_status(moved)
        await other.mirror.flush()
        assert (await server._store.redis.hgetall(f"{prefix}:values:1")).keys() == {"@of"}

    async def test_write_nothing_of_a_plc_that_is_anothers_by_now(self, poller, other, server, prefix):
        other.mirror.share({1: PLC})
        other.read(heat=22.0)
        other.mirror.note_status(PLC)
        await other.mirror.flush()
        await server._store.redis.hset(f"{prefix}:polled", "1", other.token)
        poller.statuses[1] = PLCStatus(state=PLCState.OFFLINE)
        poller.read(heat=21.5, age_s=30.0)
        poller.mirror.note_status(PLC)
        await poller.mirror.flush()
        assert (await server.values(PLC))["heat"].value == 22.0
        assert (await server.statuses())[1].state is PLCState.ONLINE

    async def test_recall_what_another_one_knew(self, poller, server, prefix):
        poller.statuses[1] = PLCStatus(state=PLCState.OFFLINE, reason="no answer", since=timezone.now())
        poller.read(heat=21.5)
        await poller.mirror.flush()
        known = (await server.recall([self.SECOND, PLC]))[1]
        assert known.status == poller.statuses[1]
        assert known.values["heat"].changed_at == poller.values.of(PLC).of("heat").changed_at
        assert await server.recall([replace(PLC, endpoint=Endpoint(host="127.0.0.1", port=503))]) == {}
        await self.fall_silent(server, prefix, poller)
        assert await server.recall([PLC]) == {}, "for too long nobody looked"


@pytest.mark.django_db(transaction=True)
class TestAServer:
    async def test_remembers_the_meaning_of_no_registry_before(self, press: models.PLC, prefix):
        gateway = Gateway(polls=False, redis_url=REDIS_URL, prefix=prefix)
        await gateway.start()
        try:
            for address in (20, 21, 22):
                await models.Tag.objects.filter(name="recipe").aupdate(address=address)
                gateway.registry.reload()
                plc = await gateway.registry.find("press-1")
                assert plc.tags["recipe"].address == address
                assert await gateway.mirror.values(plc) == {}
                gateway.mirror._meanings.of(plc)
            assert len(gateway.mirror._meanings._of_polls) == 1
        finally:
            await gateway.drain(5.0)


class TestThePollersLife:
    async def test_is_told_when_it_begins(self, poller, server):
        told = asyncio.Event()
        tasks = [asyncio.create_task(server.watch(told.set)), asyncio.create_task(poller.mirror.run())]
        async with asyncio.timeout(10):
            await told.wait()
        assert server.is_alive
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def test_is_looked_for_also_after_it_could_not_be_told(self, poller, server):
        told, tries = asyncio.Event(), []

        def tell() -> None:
            tries.append(1)
            if len(tries) == 1:
                raise RuntimeError("a bug")
            told.set()

        tasks = [asyncio.create_task(server.watch(tell)), asyncio.create_task(poller.mirror.run())]
        async with asyncio.timeout(15):
            await told.wait()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class TestARedisThatIsAway:
    async def test_leaves_nothing_known(self):
        reader = MirrorReader("redis://127.0.0.1:1/0", prefix="x")
        assert await reader.values(PLC) == {}
        assert await reader.statuses() == {}
        await reader.close()

    async def test_is_told_once_and_all_is_written_when_it_is_back(self, poller, server, caplog):
        poller.read(heat=21.5)
        there, poller.mirror._store.redis = (
            poller.mirror._store.redis,
            MirrorReader("redis://127.0.0.1:1/0", prefix="")._store.redis,
        )
        await poller.mirror.flush()
        poller.mirror.note_status(PLC)
        await poller.mirror.flush()
        assert caplog.text.count("does not reach the servers") == 1
        poller.mirror._store.redis = there
        poller.mirror.note_status(PLC)
        await poller.mirror.flush()
        assert (await server.values(PLC))["heat"].value == 21.5
