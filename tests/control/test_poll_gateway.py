"""The gateway polls what is registered, tells what it finds, and ends it when it drains."""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest
from channels.db import database_sync_to_async

from devices.control import samples
from devices.control.gateway import Gateway
from devices.control.status import PLCState
from devices.control.values import Round
from devices.models import PLC, Profile, Sample, Tag
from tests.control import rows
from tests.control.databases import eventually
from tests.control.rows import call
from tests.doubles.fault_server import FaultServer
from tests.doubles.leaks import settle

SIZE, GONE = 30, 5000  # holding registers; the second is not mapped


class Newsroom:
    """What a polling gateway told."""

    def __init__(self) -> None:
        self.values: list[tuple[int, dict[str, Any], dict[float, Any]]] = []
        self.states: list[dict[str, Any]] = []

    def of(self, name: str) -> list[Any]:
        """The values of a tag, in the order of telling."""
        return [changed[name]["value"] for _, changed, _ in self.values if name in changed]


@pytest.fixture
async def meter(plc: FaultServer, transactional_db: None) -> AsyncIterator[PLC]:
    """`meter-1`, with one polled tag; at the end nothing may be open at the machine."""
    plc.holding_registers[SIZE] = 7

    @database_sync_to_async
    def stored() -> PLC:
        profile = Profile.objects.create(name="meter")
        rows._stored(
            Tag(profile=profile, name="size", table="holding_register", address=SIZE, data_type="uint16",
                poll_interval_ms=100, labels={"7": "seven"})
        )  # fmt: skip
        return rows.make_plc(profile, "meter-1", port=plc.port)

    yield await stored()
    assert await settle(lambda: plc.open_connections == 0), "a connection was left open"


@pytest.fixture
async def polling(meter: PLC) -> AsyncIterator[Gateway]:
    """A gateway that polls."""
    gateway = Gateway()
    await gateway.start()
    try:
        yield gateway
    finally:
        await gateway.drain(5)


@pytest.fixture
def newsroom(polling: Gateway) -> Newsroom:
    told = Newsroom()
    polling.announcer.is_heard_of = lambda _: True
    polling.announcer.tell_values = lambda *news: told.values.append(news)
    polling.announcer.tell_plc = told.states.append
    return told


@database_sync_to_async
def change(row: Any, **fields: Any) -> None:
    for name, value in fields.items():
        setattr(row, name, value)
    row.save()


class TestAPollingGateway:
    async def test_tells_what_changes_and_when_all_was_read(self, plc, meter, polling, newsroom):
        await eventually(lambda: newsroom.values)
        plc.holding_registers[SIZE] = 8
        await eventually(lambda: newsroom.of("size")[-1:] == [8])
        plc_id, changed, reads = next(news for news in newsroom.values if news[1])
        assert plc_id == meter.pk
        assert set(changed["size"]) >= {"name", "value", "label", "quality", "read_at"}
        assert set(reads) == {0.1}

    async def test_says_that_the_plc_is_online(self, plc, meter, polling):
        spec = await polling.registry.find("meter-1")
        await eventually(lambda: polling.status(spec).state is PLCState.ONLINE)

    async def test_says_once_that_a_plc_is_degraded_and_why(self, plc, meter, polling, newsroom):
        tag = await Tag.objects.aget(name="size")
        await change(Tag(profile_id=tag.profile_id, name="hot", table="holding_register", address=GONE,
                         data_type="uint16", poll_interval_ms=100))  # fmt: skip
        await eventually(lambda: newsroom.states)
        assert await settle(lambda: len(newsroom.values) >= 3)
        degraded = [told for told in newsroom.states if told["state"] == "degraded"]
        assert len(degraded) == 1
        assert (degraded[0]["id"], degraded[0]["name"]) == (meter.pk, "meter-1")
        assert degraded[0]["reason"].startswith("1 of 2 tags cannot be read: hot (exception 2")
        assert degraded[0]["since"]

    async def test_reads_a_tag_where_the_engineer_moved_it(self, plc, meter, polling):
        await eventually(lambda: plc.requests)
        plc.holding_registers[40] = 99
        await change(await Tag.objects.aget(name="size"), address=40)
        await polling.registry.plcs()
        spec = await polling.registry.find("meter-1")
        await eventually(lambda: polling.values.of(spec).of("size").value == 99)

    async def test_leaves_a_disabled_plc_alone(self, plc, meter, polling):
        await eventually(lambda: plc.requests)
        await change(meter, is_enabled=False)
        spec = await polling.registry.find("meter-1")
        assert await settle(lambda: plc.open_connections == 0)
        seen = len(plc.requests)
        assert not await settle(lambda: len(plc.requests) > seen, 0.4)
        assert polling.status(spec).state is PLCState.DISABLED

    async def test_goes_on_telling_others_where_one_who_listens_stumbles(self, meter, polling, caplog):
        heard: list[Round] = []
        polling.watching.on_rounds[:0] = [lambda done: 1 / 0]
        polling.watching.on_rounds.append(heard.append)
        await eventually(lambda: len(heard) >= 3)
        assert "a round of meter-1 was not heard" in caplog.text

    async def test_polls_nothing_any_more_when_it_has_drained(self, plc, meter, polling):
        await eventually(lambda: plc.requests)
        await polling.drain(5)
        seen = len(plc.requests)
        assert not await settle(lambda: len(plc.requests) > seen, 0.3)
        assert plc.open_connections == 0

    async def test_carries_out_commands_in_between(self, machine, press):
        gateway = Gateway()
        await gateway.start()
        await database_sync_to_async(Tag.objects.update)(poll_interval_ms=50)
        await change(press, title="polled fast")
        await eventually(lambda: len(machine.requests) > 10)
        records = [await call() for _ in range(10)]
        await gateway.drain(5)
        assert [record.state for record in records] == ["succeeded"] * 10
        assert machine.writes_to("start") == [1, 0] * 10
        assert machine.peak_connections == 1


class TestAGatewayThatDoesNotPoll:
    async def test_talks_to_no_plc_unasked(self, plc, meter, gateway):
        assert not await settle(lambda: plc.requests, 0.4)
        spec = await gateway.registry.find("meter-1")
        assert gateway.status(spec).state is PLCState.UNKNOWN


class TestItsHistory:
    """What the recorded tag `size` held, as it is stored."""

    @pytest.fixture(autouse=True)
    async def recorded(self, meter: PLC, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(samples, "EVERY_S", 0.02)
        await Tag.objects.filter(name="size").aupdate(is_recorded=True)

    async def becomes(self, *values: float | None) -> None:
        """Wait until the series holds these and no other."""
        stored: list[float | None] = []
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(10):
                while stored != [*values]:
                    await asyncio.sleep(0.02)
                    found = Sample.objects.filter(series__tag="size").order_by("at_ms", "pk")
                    stored = [number async for number in found.values_list("number", flat=True)]
        assert stored == [*values]

    async def test_has_a_sample_for_each_change(self, plc, recorded, polling):
        await self.becomes(7)
        plc.holding_registers[SIZE] = 8
        await self.becomes(7, 8)

    async def test_has_a_gap_while_the_plc_is_offline(self, plc, recorded, polling):
        await self.becomes(7)
        await plc.refuse_connects()
        await self.becomes(7, None)

    async def test_has_a_gap_while_the_plc_is_disabled(self, plc, meter, recorded, polling):
        await self.becomes(7)
        await change(meter, is_enabled=False)
        await self.becomes(7, None)
        await change(meter, is_enabled=True)
        await self.becomes(7, None, 7)

    async def test_has_a_gap_from_the_end_of_the_process_on(self, recorded, polling):
        await self.becomes(7)
        await polling.drain(5)
        await self.becomes(7, None)
        assert not any(thread.name == "history" for thread in threading.enumerate())
