"""What is changed in another process takes effect here within a second: with a notice over Redis, and without."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from devices.control import lock_outs, notices
from devices.control import stamps as stamps_module
from devices.control.errors import PLCLockedOut, RecordUnavailable, UnknownPLC
from devices.control.gateway import Gateway
from devices.control.stamps import Stamps
from devices.models import PLC, stamps
from devices.plc.specs import PLCSpec
from tests.control.changing import Changing, changing
from tests.control.databases import eventually, no_table
from tests.control.rows import call
from tests.doubles.fault_server import FaultServer
from tests.doubles.redis import NEEDS_REDIS, Line

pytestmark = pytest.mark.django_db(transaction=True)

LIMIT_S = 5.0  # that a loaded machine may take
SAVED = "row = {0}; row.{1} = {2}; row.save()"
MOVED = SAVED.format("PLC.objects.get(name='press-1')", "host", "'10.1.2.3'")
MOVED_BACK = SAVED.format("PLC.objects.get(name='press-1')", "host", "'127.0.0.1'")


@pytest.fixture
async def other(line: PLC, tmp_path: Path) -> AsyncIterator[Changing]:
    """Like a shell: it tells nobody what it changes."""
    async with changing(tmp_path) as process:
        yield process


async def seen(gateway: Gateway, is_so: Callable[[PLCSpec], bool]) -> None:
    """Wait until the registry says so. To ask it is no reason for it to look: it says what it knows."""
    async with asyncio.timeout(LIMIT_S):
        while not is_so(await gateway.registry.find("press-1")):  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)


class TestAChangeInAnotherProcess:
    def test_is_looked_for_often_enough(self) -> None:
        assert stamps_module.LOOK_S <= 0.5
        assert lock_outs.BELIEVED_S <= 1.0

    @pytest.mark.parametrize(
        ("change", "is_so"),
        [
            (MOVED, lambda plc: plc.endpoint.host == "10.1.2.3"),
            (
                SAVED.format("Parameter.objects.get(name='batch_size')", "maximum", "7"),
                lambda plc: plc.commands["start_batch"].parameters[0].maximum == 7,
            ),
            (
                SAVED.format("Tag.objects.get(name='recipe')", "address", "6"),
                lambda plc: plc.tags["recipe"].address == 6,
            ),
            (
                "Profile.objects.get().tags.create(name='new', table='coil', address=90, data_type='bool')",
                lambda plc: "new" in plc.polls,
            ),
            ("Step.objects.filter(command__name='reset').delete()", lambda plc: "reset" not in plc.commands),
        ],
        ids=["a PLC", "a command's limit", "a tag", "a new tag", "a deleted step"],
    )
    async def test_of_the_registry_takes_effect(
        self, gateway: Gateway, other: Changing, change: str, is_so: Callable[[PLCSpec], bool]
    ) -> None:
        assert not is_so(await gateway.registry.find("press-1"))
        await other.do(change)
        await seen(gateway, is_so)

    async def test_that_deletes_a_plc_takes_effect(self, gateway: Gateway, other: Changing) -> None:
        await other.do("PLC.objects.get().delete()")
        async with asyncio.timeout(LIMIT_S):
            while await gateway.registry.plcs():  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.01)
        with pytest.raises(UnknownPLC):
            await call()

    async def test_that_locks_a_plc_out_refuses_its_commands_and_tells_the_pages(
        self, machine: FaultServer, gateway: Gateway, other: Changing, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        told: list[int] = []
        monkeypatch.setattr(gateway.announcer, "tell_registry", lambda: told.append(1))
        await other.do("LockOut.objects.create(plc=PLC.objects.get(), by='user otto', reason='I replace the belt')")
        await eventually(lambda: told, LIMIT_S)
        with pytest.raises(PLCLockedOut, match="by user otto"):
            await call()
        await other.do("row = LockOut.objects.get(); row.lifted_at = row.since; row.save()")
        await eventually(lambda: len(told) == 2, LIMIT_S)
        await call()
        assert machine.writes_to("start") == [1, 0]

    async def test_leaves_what_has_not_changed_as_it_is(
        self, gateway: Gateway, other: Changing, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        before = await gateway.registry.find("press-1")
        refreshed: list[object] = []
        monkeypatch.setattr(gateway.watching, "refresh", refreshed.append)
        await other.do(SAVED.format("Profile.objects.get()", "description", "'for colleagues'"))
        await other.do("PLC.objects.create(name='press-2', host='10.1.2.4', profile=Profile.objects.get())")
        await eventually(lambda: refreshed, LIMIT_S)
        assert await gateway.registry.find("press-1") is before


@pytest.fixture
def rarely(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody looks by himself: what is seen was told."""
    monkeypatch.setattr(stamps_module, "LOOK_S", 3600.0)


@pytest.fixture
async def redis() -> AsyncIterator[Line]:
    async with Line() as line:
        yield line


@pytest.fixture
def prefix() -> str:
    return f"test-{secrets.token_hex(6)}"


@pytest.fixture
async def server(machine: FaultServer, press: PLC, redis: Line, prefix: str) -> AsyncIterator[Gateway]:
    """One of several servers."""
    gateway = Gateway(polls=False, redis_url=redis.url, prefix=prefix)
    await gateway.start()
    try:
        yield gateway
    finally:
        await gateway.drain(5.0)


@pytest.fixture
async def second(server: Gateway, redis: Line, prefix: str, tmp_path: Path) -> AsyncIterator[Changing]:
    """Another one, in a process of its own, which tells what it changes."""
    async with changing(tmp_path, redis.url, prefix) as process:
        yield process


def hears(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One entry for each time that Redis says that something was changed, or can be heard again."""
    heard: list[int] = []
    assert gateway.stamps._notices is not None
    on_notice = gateway.stamps._notices._on_notice
    monkeypatch.setattr(gateway.stamps._notices, "_on_notice", lambda: (heard.append(1), on_notice()))
    return heard


@NEEDS_REDIS
class TestANotice:
    async def test_brings_a_change_at_once(self, rarely: None, server: Gateway, second: Changing) -> None:
        await second.do(MOVED)
        await seen(server, lambda plc: plc.endpoint.host == "10.1.2.3")

    async def test_that_is_lost_brings_it_a_little_later(self, server: Gateway, other: Changing) -> None:
        await other.do(MOVED)
        await seen(server, lambda plc: plc.endpoint.host == "10.1.2.3")

    async def test_comes_again_after_redis_was_away_and_no_change_waits_for_it(
        self,
        server: Gateway,
        second: Changing,
        redis: Line,
        caplog: pytest.LogCaptureFixture,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(notices, "RETRY_S", 0.05)
        await redis.cut()
        await second.do(MOVED)
        await seen(server, lambda plc: plc.endpoint.host == "10.1.2.3")
        await asyncio.sleep(0.3)  # some tries
        told = [record for record in caplog.records if "Redis does not answer" in record.message]
        assert [record.name for record in told if "changes are seen" in record.message] == [notices.__name__]
        heard = hears(server, monkeypatch)
        assert heard == []
        await redis.mend()
        await eventually(lambda: heard, LIMIT_S)
        before = len(heard)
        await second.do(MOVED_BACK)
        await eventually(lambda: len(heard) > before, LIMIT_S)
        await seen(server, lambda plc: plc.endpoint.host == "127.0.0.1")

    async def test_comes_again_after_redis_has_gone_without_a_word(
        self, rarely: None, server: Gateway, second: Changing, redis: Line, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A cable was pulled: nothing closes the connection."""
        monkeypatch.setattr(notices, "QUIET_S", 0.1)
        monkeypatch.setattr(notices, "RETRY_S", 0.05)
        await second.do(MOVED)
        await seen(server, lambda plc: plc.endpoint.host == "10.1.2.3")
        redis.is_mute.set()
        elsewhere_moved = asyncio.create_task(second.do(MOVED_BACK))
        await eventually(lambda: server.stamps._notices._is_away, 2 * LIMIT_S)
        await elsewhere_moved
        redis.is_mute.clear()
        await seen(server, lambda plc: plc.endpoint.host == "127.0.0.1")


class TestTheLook:
    async def test_is_one_for_all_kinds_and_for_all_who_ask_at_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        looks, look = [], stamps.versions
        monkeypatch.setattr(stamps, "versions", lambda: looks.append(1) or look())
        known, now = Stamps(), time.monotonic()
        try:
            await asyncio.gather(*(known.look(since=now) for _ in range(50)))
        finally:
            await known.stop()
        assert len(looks) == 1

    async def test_that_fails_is_told_once_and_goes_on(
        self, gateway: Gateway, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(stamps_module, "LOOK_S", 0.02)
        async with no_table("devices_stamp"):
            with pytest.raises(RecordUnavailable, match="cannot be looked up"):
                await gateway.stamps.look(since=asyncio.get_running_loop().time())
            await asyncio.sleep(1.0)
        assert sum(record.name == stamps_module.__name__ for record in caplog.records) == 1
        before = gateway.stamps._seen
        await eventually(lambda: gateway.stamps._seen is not before, LIMIT_S)
