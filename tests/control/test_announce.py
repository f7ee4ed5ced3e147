"""News of this process: numbered, off the command's path, and never more than every page may see."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from channels.layers import get_channel_layer

from devices.control import announce
from devices.control.announce import GROUP, Announcer
from devices.control.gateway import Gateway
from devices.models import PLC, State
from tests.control.databases import eventually
from tests.control.rows import call
from tests.doubles.fault_server import FaultServer

FINAL_VERSION = 3  # T1 with T2, T3, T4


class Listener:
    """A page's place in the group."""

    def __init__(self) -> None:
        self.heard: list[dict[str, Any]] = []

    async def __aenter__(self) -> "Listener":
        self._layer = get_channel_layer()
        self._channel = await self._layer.new_channel()
        await self._layer.group_add(GROUP, self._channel)
        self._listening = asyncio.create_task(self._listen())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._listening.cancel()
        await asyncio.gather(self._listening, return_exceptions=True)
        await self._layer.group_discard(GROUP, self._channel)

    async def _listen(self) -> None:
        while True:
            self.heard.append(await self._layer.receive(self._channel))

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [message for message in self.heard if message["type"] == kind]

    @property
    def news(self) -> list[dict[str, Any]]:
        return [json.loads(message["text"]) for message in self.of("live.news")]

    @property
    def runs(self) -> list[dict[str, Any]]:
        return [news["run"] for news in self.news if news["kind"] == "run"]

    @property
    def numbers(self) -> list[int]:
        return [message["seq"] for message in self.heard if message["type"] in ("live.news", "live.registry")]


@pytest.fixture
async def page() -> AsyncIterator[Listener]:
    async with Listener() as page:
        yield page


@pytest.fixture
async def announcer(page: Listener) -> AsyncIterator[Announcer]:
    announcer = Announcer()
    announcer.start()
    yield announcer
    await announcer.stop()


class BrokenLayer:
    """A channel layer in trouble."""

    def __init__(self, send: Callable[[], Any]) -> None:
        self._send = send
        self.tried = 0

    async def group_send(self, group: str, message: dict[str, Any]) -> None:
        self.tried += 1
        await self._send()


async def _hang() -> None:
    await asyncio.sleep(3600)


async def _raise() -> None:
    raise ConnectionError("redis is down")


class TestNewsOfARun:
    async def test_comes_with_each_change_in_order(self, machine: FaultServer, page: Listener, line: PLC) -> None:
        record = await call()
        await eventually(lambda: len(page.runs) == FINAL_VERSION)
        assert [run["version"] for run in page.runs] == [1, 2, 3]
        assert [run["state"] for run in page.runs] == ["running", "running", "succeeded"]
        assert page.runs[-1] == json.loads(json.dumps(record.as_news()))

    async def test_shows_every_page_neither_the_caller_s_address_nor_the_trace(
        self, machine: FaultServer, page: Listener, line: PLC
    ) -> None:
        await call()
        await eventually(lambda: len(page.runs) == FINAL_VERSION)
        assert all(not {"source", "trace"} & set(run) for run in page.runs)
        assert "10.0.0.7" not in json.dumps(page.news)

    async def test_comes_after_the_commit(self, machine: FaultServer, page: Listener, line: PLC) -> None:
        await call()
        await eventually(lambda: len(page.runs) == FINAL_VERSION)
        assert page.runs[-1]["finished_at"]

    async def test_is_numbered_without_gaps(self, machine: FaultServer, page: Listener, line: PLC) -> None:
        await asyncio.gather(*(call("reset") for _ in range(20)))
        # The first finds the PLC free: T1, T2 and T3 in one. The others wait: T1, then T2 with T3.
        await eventually(lambda: len(page.runs) == 2 + 19 * 3)
        assert page.numbers == list(range(page.numbers[0], page.numbers[0] + len(page.numbers)))
        assert len({message["source"] for message in page.heard}) == 1

    async def test_of_two_gateways_carries_two_names(self) -> None:
        assert Announcer()._source != Announcer()._source


class TestNewsOfAPLC:
    async def test_comes_when_it_is_reached_and_when_it_is_lost(
        self, machine: FaultServer, page: Listener, line: PLC
    ) -> None:
        await call("reset")
        await machine.refuse_connects()
        for _ in range(3):
            await call("reset")
        told = lambda: [news["plc"] for news in page.news if news["kind"] == "plc"]  # noqa: E731
        await eventually(lambda: told()[-1]["state"] == "offline")
        assert told()[0] == {"id": line.pk, "name": "press-1", "state": "online", "reason": "", "mark": ""}
        assert "refused" in told()[-1]["reason"]


class TestTheBeat:
    async def test_carries_the_last_number(self, page: Listener, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(announce, "BEAT_S", 0.02)
        announcer = Announcer()
        announcer.start()
        await eventually(lambda: page.of("live.beat"))
        assert page.of("live.beat")[0]["seq"] == 0
        for _ in range(3):
            announcer.tell_registry()
        await eventually(lambda: page.of("live.beat")[-1]["seq"] == 3)
        await announcer.stop()


class TestALayerInTrouble:
    @pytest.mark.parametrize("trouble", [_hang, _raise])
    async def test_does_not_delay_a_command(
        self, machine: FaultServer, line: PLC, monkeypatch: pytest.MonkeyPatch, trouble
    ) -> None:
        layer = BrokenLayer(trouble)
        monkeypatch.setattr(announce, "get_channel_layer", lambda: layer)
        started = time.monotonic()
        for _ in range(5):
            assert (await call("reset")).state == State.SUCCEEDED
        assert time.monotonic() - started < 1
        assert layer.tried

    async def test_that_hangs_does_not_hold_up_the_end(
        self, machine: FaultServer, line: PLC, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(announce, "SEND_LIMIT_S", 0.2)
        monkeypatch.setattr(announce, "get_channel_layer", lambda: BrokenLayer(_hang))
        for _ in range(5):
            await call("reset")
        started = time.monotonic()
        await gateway.drain(5)
        assert time.monotonic() - started < 1

    async def test_that_comes_back_hears_the_numbers_go_on(
        self, page: Listener, announcer: Announcer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Who listens sees the gap, and takes a fresh snapshot."""
        announcer.tell_registry()
        await eventually(lambda: page.numbers == [1])
        with monkeypatch.context() as patch:
            layer = BrokenLayer(_raise)
            patch.setattr(announce, "get_channel_layer", lambda: layer)
            announcer.tell_registry()
            await eventually(lambda: layer.tried)
        announcer.tell_registry()
        await eventually(lambda: page.numbers == [1, 3])

    async def test_is_logged_once_and_not_for_each_message(
        self, announcer: Announcer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        layer = BrokenLayer(_raise)
        monkeypatch.setattr(announce, "get_channel_layer", lambda: layer)
        for _ in range(5):
            announcer.tell_registry()
        await eventually(lambda: layer.tried == 5)
        assert len([line for line in caplog.records if "live pages get no news" in line.message]) == 1

    async def test_keeps_a_backlog_of_a_bounded_length(
        self, announcer: Announcer, page: Listener, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for _ in range(announce.BACKLOG + 500):
            announcer.tell_registry()
        assert len(announcer._outbox) == announce.BACKLOG


class TestTheEnd:
    async def test_says_goodbye_last(self, machine: FaultServer, page: Listener, line: PLC, gateway: Gateway) -> None:
        await call("reset")
        await gateway.drain(5)
        await eventually(lambda: page.of("live.bye"))
        assert page.heard[-1]["type"] == "live.bye"
        assert len(page.runs) == 2

    async def test_sends_all_that_was_told_before(self, page: Listener, announcer: Announcer) -> None:
        for _ in range(50):
            announcer.tell_registry()
        await announcer.stop()
        await eventually(lambda: page.of("live.bye"))
        assert page.numbers == list(range(1, 51))

    async def test_of_one_that_never_started_is_nothing(self, page: Listener) -> None:
        await Announcer().stop()
        assert page.heard == []
