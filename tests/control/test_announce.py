"""News of this process: numbered, off the command's path, and never more than every page may see."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from channels.layers import get_channel_layer

from devices.control import announce
from devices.control import audience as audience_module
from devices.control.announce import Announcer
from devices.control.audience import INTEREST_S, Audience
from devices.control.gateway import Gateway
from devices.control.gather import PAUSE_S
from devices.control.topics import GATEWAYS, OVERVIEW, PAGES, topic_of
from devices.models import PLC, State
from tests.control.databases import eventually
from tests.control.rows import call
from tests.doubles.fault_server import FaultServer

FINAL_VERSION = 3  # T1 with T2, T3, T4
AT = datetime(2026, 11, 26, 12, tzinfo=UTC)


def value(number: int) -> dict[str, Any]:
    return {"name": "level", "value": number}


def is_end(news: dict[str, Any]) -> bool:
    return news["kind"] == "run" and news["run"]["finished_at"] is not None


UNWRITABLE = {"value": object()}  # nobody can put this into JSON


class Listener:
    """A page's place in its groups: the overview's, or those of a PLC's page, which asks for its news."""

    def __init__(self, topic: str = OVERVIEW) -> None:
        self.topic = topic
        self.heard: list[dict[str, Any]] = []

    async def __aenter__(self) -> "Listener":
        self._layer = get_channel_layer()
        self._channel = await self._layer.new_channel()
        for group in (PAGES, self.topic):
            await self._layer.group_add(group, self._channel)
        self._listening = asyncio.create_task(self._listen())
        return self

    async def ask(self) -> None:
        """Until a gateway has answered: one that has just started may not listen yet."""
        async with asyncio.timeout(3):
            while not self.of("live.tail"):
                await self._layer.group_send(GATEWAYS, {"type": "live.watch", "topic": self.topic})
                await asyncio.sleep(0.01)

    async def __aexit__(self, *_: object) -> None:
        self._listening.cancel()
        await asyncio.gather(self._listening, return_exceptions=True)
        for group in (PAGES, self.topic):
            await self._layer.group_discard(group, self._channel)

    async def _listen(self) -> None:
        while True:
            self.heard.append(await self._layer.receive(self._channel))

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [message for message in self.heard if message["type"] == kind]

    @property
    def news(self) -> list[dict[str, Any]]:
        return [json.loads(text) for message in self.of("live.news") for text in message["items"].values()]

    def news_of(self, kind: str) -> list[dict[str, Any]]:
        return [news for news in self.news if news["kind"] == kind]

    @property
    def runs(self) -> list[dict[str, Any]]:
        return [news["run"] for news in self.news_of("run")]

    @property
    def numbers(self) -> list[int]:
        """Of the topic."""
        return [message["seq"] for message in self.heard if message.get("topic") == self.topic]

    @property
    def registry_numbers(self) -> list[int]:
        return [message["seq"] for message in self.of("live.registry")]


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

    async def test_is_numbered_also_where_no_page_is_open(
        self, machine: FaultServer, gateway: Gateway, line: PLC
    ) -> None:
        """Who comes later takes a snapshot, knows from it what was told until then, and lacks nothing."""
        await call("reset")
        known = gateway.announcer.reached(OVERVIEW)[OVERVIEW]
        assert known == 3  # the run twice, and its PLC that came online
        async with Listener() as page:
            await call("reset")
            await eventually(lambda: any(is_end(news) for news in page.news))
            assert page.numbers[-1] == known + 2

    async def test_of_two_gateways_carries_two_names(self) -> None:
        assert Announcer().source != Announcer().source


class TestNewsOfAPLC:
    async def test_comes_when_it_is_reached_and_when_it_is_lost(
        self, machine: FaultServer, page: Listener, line: PLC
    ) -> None:
        await call("reset")
        await machine.refuse_connects()
        for _ in range(3):
            await call("reset")
        told = lambda: [news["plc"] for news in page.news_of("plc")]  # noqa: E731
        await eventually(lambda: told()[-1]["state"] == "offline")
        first = told()[0]
        assert (first["id"], first["name"], first["state"], first["reason"]) == (line.pk, "press-1", "online", "")
        assert "refused" in told()[-1]["reason"]


class TestTheBeat:
    @pytest.fixture(autouse=True)
    def _quick(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(announce, "BEAT_S", 0.02)

    async def test_carries_the_last_numbers(self, page: Listener, announcer: Announcer) -> None:
        await eventually(lambda: page.of("live.beat"))
        assert page.of("live.beat")[0]["seqs"] == {PAGES: 0, OVERVIEW: 0}
        for _ in range(3):
            announcer.tell_registry()
        announcer.tell_plc({"id": 7, "state": "online"})
        await eventually(lambda: page.of("live.beat")[-1]["seqs"] == {PAGES: 3, OVERVIEW: 1})

    async def test_comes_with_the_number_of_each_plc_that_is_looked_at(self, announcer: Announcer) -> None:
        async with Listener(topic_of(7)) as page:
            await page.ask()
            announcer.tell_plc({"id": 7, "state": "online"})
            await eventually(lambda: page.of("live.news"))
            last = page.numbers[-1]
            await eventually(lambda: page.of("live.tail")[-1]["seqs"] == {PAGES: 0, topic_of(7): last})


class TestNewsOfTags:
    """To the pages of their PLC, where there are any."""

    async def test_reach_those_who_asked_for_the_plc(self, announcer: Announcer, page: Listener) -> None:
        async with Listener(topic_of(7)) as plc_page, Listener(topic_of(8)) as other:
            await plc_page.ask()
            await other.ask()
            announcer.tell_values(7, {"level": value(5)}, {1.0: AT})
            await eventually(lambda: plc_page.news_of("value"))
            assert plc_page.news == [
                {"kind": "value", "value": value(5)},
                {"kind": "read", "interval_s": 1.0, "at": AT.isoformat()},
            ]
            await announcer.stop()
            await eventually(lambda: other.of("live.bye") and page.of("live.bye"))
            assert other.news == page.news == []

    async def test_are_not_even_written_down_where_nobody_looks(self, announcer: Announcer) -> None:
        for plc_id in range(1000):
            announcer.tell_values(plc_id, {"level": UNWRITABLE}, {1.0: AT})
            announcer.tell_steps(plc_id, 1, [UNWRITABLE])
        assert not announcer._outbox
        assert not announcer._gatherings

    async def test_of_a_hundred_changes_a_second_are_a_few_messages_with_the_last_value(
        self, announcer: Announcer
    ) -> None:
        async with Listener(topic_of(7)) as page:
            await page.ask()
            begun = time.monotonic()
            for number in range(100):
                announcer.tell_values(7, {"level": value(number)}, {0.01: AT})
                await asyncio.sleep(0.01)
            took = time.monotonic() - begun
            await eventually(lambda: page.news_of("value")[-1]["value"] == value(99))
            assert page.news_of("value")[0]["value"] == value(0), "the first comes at once"
            assert len(page.of("live.news")) <= took / PAUSE_S + 2

    async def test_that_cannot_be_written_trouble_nobody(
        self, announcer: Announcer, caplog: pytest.LogCaptureFixture
    ) -> None:
        async with Listener(topic_of(7)) as page:
            await page.ask()
            announcer.tell_values(7, {"level": UNWRITABLE}, {})
            announcer.tell_values(7, {"level": value(2)}, {})
            await eventually(lambda: page.news_of("value") == [{"kind": "value", "value": value(2)}])
        assert "cannot be written" in caplog.text

    async def test_that_may_not_be_true_any_more_are_not_sent_and_missed(self, announcer: Announcer) -> None:
        async with Listener(topic_of(7)) as page:
            await page.ask()
            announcer.tell_values(7, {"level": value(1)}, {})
            await eventually(lambda: page.news_of("value"))
            announcer.tell_values(7, {"level": value(2)}, {})
            announcer.keep_silent()
            await asyncio.sleep(2 * PAUSE_S)
            announcer.tell_values(7, {"level": value(3)}, {})
            await eventually(lambda: len(page.news_of("value")) == 2)
            assert [news["value"] for news in page.news_of("value")] == [value(1), value(3)]
            first, last = page.numbers
            assert last > first + 1, "the page sees that it lacks something"

    async def test_come_before_the_goodbye(self, announcer: Announcer) -> None:
        async with Listener(topic_of(7)) as page:
            await page.ask()
            announcer.tell_values(7, {"level": value(1)}, {})
            announcer.tell_values(7, {"level": value(2)}, {})
            await announcer.stop()
            await eventually(lambda: page.of("live.bye"))
            assert page.news_of("value")[-1]["value"] == value(2)


class TestTheAudience:
    async def test_that_comes_anew_sees_that_it_lacks_something(self, announcer: Announcer) -> None:
        async with Listener(topic_of(7)) as page:
            await page.ask()
            before = page.of("live.tail")[-1]["seqs"][topic_of(7)]
            announcer._audience._until.clear()  # it was not heard for long
            announcer.tell_values(7, {"level": value(1)}, {})
            page.heard.clear()
            await page.ask()
            assert page.of("live.tail")[-1]["seqs"][topic_of(7)] > before

    async def test_is_let_go_when_nobody_asks_any_more(self) -> None:
        now = 0.0
        audience = Audience(on_ask=lambda _topic, _is_new: None, clock=lambda: now)
        audience.note(topic_of(7))
        now = INTEREST_S - 1
        await audience.keep()
        audience.note(topic_of(8))
        assert audience.looks_at(topic_of(7))
        now += 2
        await audience.keep()
        assert list(audience) == [topic_of(8)]

    @pytest.mark.parametrize("topic", [None, 7, [], "", OVERVIEW, "anything"])
    def test_takes_no_ask_for_what_is_not_of_a_plc(self, topic: object) -> None:
        audience = Audience(on_ask=lambda _topic, _is_new: pytest.fail("it was taken"))
        audience.note(topic)
        assert list(audience) == []

    async def test_is_heard_again_after_the_layer_was_in_trouble(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(audience_module, "RETRY_S", 0.02)
        with monkeypatch.context() as patch:
            patch.setattr(audience_module, "get_channel_layer", lambda: BrokenLayer(_raise))
            announcer = Announcer()
            announcer.start()
            await asyncio.sleep(0.05)
        async with Listener(topic_of(7)) as page:
            await page.ask()
        await announcer.stop()

    async def test_stays_where_it_hears(self, announcer: Announcer) -> None:
        """The layer in memory ends a membership after a day."""
        audience = announcer._audience
        async with Listener(topic_of(7)) as page:
            await page.ask()
            await get_channel_layer().group_discard(GATEWAYS, audience._channel)
            audience._joined_at -= audience_module.REJOIN_S + 1
            await audience.keep()
            page.heard.clear()
            await page.ask()


class TestATimeline:
    async def test_comes_as_it_happens_in_order_and_complete(
        self, machine: FaultServer, line: PLC, gateway: Gateway
    ) -> None:
        machine.answer_delay_s = 0.05
        async with Listener(topic_of(line.pk)) as page:
            await page.ask()
            record = await call()
            await eventually(lambda: page.news_of("steps")[-1]["trace"] == record.trace)
            told = page.news_of("steps")
        assert {news["run"] for news in told} == {record.id}
        assert len(told) > 1, "not only at the end"
        for news in told:
            assert news["trace"] == record.trace[: len(news["trace"])]
        firsts = [news["kind"] == "steps" for news in page.news if news["kind"] == "steps" or is_end(news)]
        assert firsts[0], "it began while the run was under way"

    async def test_that_cannot_be_told_harms_no_command(
        self, machine: FaultServer, line: PLC, gateway: Gateway, caplog: pytest.LogCaptureFixture
    ) -> None:
        def fail(*_: object) -> None:
            raise RuntimeError("no page today")

        gateway.announcer.tell_steps = fail  # type: ignore[method-assign]
        record = await call()
        assert record.state == State.SUCCEEDED
        assert record.trace
        assert "no page today" in caplog.text


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
        assert time.monotonic() - started < announce.SEND_LIMIT_S
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
        assert time.monotonic() - started < 3

    async def test_that_comes_back_hears_the_numbers_go_on(
        self, page: Listener, announcer: Announcer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Who listens sees the gap, and takes a fresh snapshot."""
        announcer.tell_registry()
        await eventually(lambda: page.registry_numbers == [1])
        with monkeypatch.context() as patch:
            layer = BrokenLayer(_raise)
            patch.setattr(announce, "get_channel_layer", lambda: layer)
            announcer.tell_registry()
            await eventually(lambda: layer.tried)
        announcer.tell_registry()
        await eventually(lambda: page.registry_numbers == [1, 3])

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
        assert page.registry_numbers == list(range(1, 51))

    async def test_of_one_that_never_started_is_nothing(self, page: Listener) -> None:
        await Announcer().stop()
        assert page.heard == []
