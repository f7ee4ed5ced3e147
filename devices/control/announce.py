"""News after commit: every stored change of a run, every change of a PLC's state and of what its tags hold.

Over the channel layer, off the command's path and with a limit of its own: a page, or Redis, that is slow never slows
a command or the poller. A layer may drop messages without a word, so each carries a number of its source and topic;
who sees a gap takes a fresh snapshot. The numbers reached are told again and again, so that a lost last message is
noticed too. What nobody can hear is counted all the same, and not even written down.
"""

import asyncio
import contextvars
import logging
import secrets
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from channels.layers import InMemoryChannelLayer, get_channel_layer

from devices.control.audience import Audience
from devices.control.gather import Gathering, Items, written
from devices.control.records import RunRecord
from devices.control.topics import OVERVIEW, PAGES, topic_of

logger = logging.getLogger(__name__)

BEAT_S = 2.0
SEND_LIMIT_S = 2.0
BACKLOG = 2000  # messages; older ones are dropped, their numbers missing tell it


class Announcer:
    """Numbers the news of this process and sends them in order.

    To the channel layer go, `source` being this process: `{"type": "live.news", source, topic, seq, items}` to a topic
    (of all PLCs: with `plc`, the number of the one that they are about, for pages that show some of them only);
    `{"type": "live.registry", source, topic, seq}`, `{"type": "live.beat", source, seqs}` and `{"type": "live.bye",
    source}`, which is meant for its own, to all pages; `{"type": "live.tail", source, seqs}` to the pages of one PLC.
    `seqs` are the numbers reached, by topic.
    """

    def __init__(self, *, before_news: Callable[[], Awaitable[None]] | None = None, is_server: bool = True) -> None:
        """`before_news` makes readable what is about to be told: who hears it may look. It must not raise.

        Only a server's end ends its pages.
        """
        self._before_news = before_news
        self._is_server = is_server
        self.source = secrets.token_hex(4)
        """The name of this process in its news."""
        self._bye: dict[str, Any] = {"type": "live.bye", "source": self.source}
        self._seqs: Counter[str] = Counter()
        """The last number of each topic; never begun anew, or pages would not see what they miss."""
        self._audience = Audience(on_ask=self._answer)
        self._gatherings: dict[str, Gathering] = {}
        self._outbox: deque[tuple[str, dict[str, Any]]] = deque(maxlen=BACKLOG)
        self._has_news = asyncio.Event()
        self._sender: asyncio.Task[None] | None = None
        self._companions: list[asyncio.Task[None]] = []
        self._is_failing = False

    def start(self) -> None:
        """Begin to send."""
        self._sender = asyncio.create_task(self._send_all(), context=contextvars.Context())
        self._companions = [
            asyncio.create_task(work, context=contextvars.Context()) for work in (self._beat(), self._audience.listen())
        ]

    async def stop(self) -> None:
        """Send what is left, say goodbye to the pages and end; within a limit, whatever the layer does."""
        if self._sender is None:
            return
        for companion in self._companions:
            companion.cancel()
        for gathering in tuple(self._gatherings.values()):
            gathering.flush()
        self._gatherings.clear()
        self._put(PAGES, self._bye)
        await asyncio.wait([self._sender], timeout=SEND_LIMIT_S)
        self._sender.cancel()
        await asyncio.wait([self._sender, *self._companions], timeout=SEND_LIMIT_S)
        self._sender, self._companions = None, []

    def tell_run(self, record: RunRecord) -> None:
        """A run was stored or changed."""
        self._tell_both(record.plc_id, f"run:{record.id}", lambda: {"kind": "run", "run": record.as_news()})

    def tell_plc(self, plc: dict[str, Any]) -> None:
        """A PLC's state changed: `{id, name, state, reason, since, next_try_at, mark}`, JSON-ready."""
        self._tell_both(plc["id"], f"plc:{plc['id']}", lambda: {"kind": "plc", "plc": plc})

    def reached(self, *topics: str) -> dict[str, int]:
        """The last number of each topic: what is read of memory and database from now on holds all up to it."""
        return {topic: self._seqs[topic] for topic in topics}

    def listen_for(self, topic: str) -> None:
        """A page of this process looks at a PLC; those of others ask over the layer."""
        self._audience.note(topic)

    def is_heard_of(self, plc_id: int) -> bool:
        """Whether a page looks at this PLC; else what its tags hold need not even be put together."""
        return self._audience.looks_at(topic_of(plc_id))

    def tell_values(self, plc_id: int, changed: Mapping[str, dict[str, Any]], reads: Mapping[float, datetime]) -> None:
        """Tags of a PLC hold something else now (JSON-ready, by name), and rounds have read all their tags.

        `reads`: poll interval in seconds to the moment of its last whole round; what did not change was read then.
        """
        if self.is_heard_of(plc_id) and (changed or reads):
            self._gathering(topic_of(plc_id)).add_values(changed, reads)

    def tell_steps(self, plc_id: int, run_id: int, trace: Sequence[Mapping[str, Any]]) -> None:
        """The timeline of a run has grown; `trace` is the list itself, which may grow on."""
        if self.is_heard_of(plc_id):
            self._gathering(topic_of(plc_id)).add_steps(run_id, trace)

    def keep_silent(self) -> None:
        """What was to be told may not be true any more: pages see by its numbers that they lack it, and look anew."""
        for topic, gathering in self._gatherings.items():
            gathering.forget()
            self._seqs[topic] += 1
        self._gatherings.clear()
        self._outbox.clear()

    def tell_registry(self) -> None:
        """PLCs were added, changed or removed: pages take a fresh snapshot."""
        self._put(PAGES, {"type": "live.registry", **self._numbered(PAGES)})

    def _tell_both(self, plc_id: int, key: str, news: Callable[[], Mapping[str, Any]]) -> None:
        is_overview_open, is_plc_open = _may_reach(OVERVIEW), self.is_heard_of(plc_id)
        items = {key: written(news())} if is_overview_open or is_plc_open else {}
        if is_overview_open:
            self._tell(OVERVIEW, items, plc=plc_id)
        else:
            self._seqs[OVERVIEW] += 1  # a page that comes takes a snapshot, which holds it
        if is_plc_open:
            self._tell(topic_of(plc_id), items)

    def _tell(self, topic: str, items: Items, **about: int) -> None:
        self._put(topic, {"type": "live.news", **self._numbered(topic), **about, "items": items})

    def _numbered(self, topic: str) -> dict[str, Any]:
        self._seqs[topic] += 1
        return {"source": self.source, "topic": topic, "seq": self._seqs[topic]}

    def _gathering(self, topic: str) -> Gathering:
        if topic not in self._gatherings:
            self._gatherings[topic] = Gathering(
                send=partial(self._tell, topic), on_quiet=partial(self._gatherings.__delitem__, topic)
            )
        return self._gatherings[topic]

    def _answer(self, topic: str, is_new: bool) -> None:
        """A page asks for a PLC's news: it hears from where on it gets all of them."""
        # What happened while nobody looked was not told: a page that was forgotten must see that it lacks something.
        self._seqs[topic] += is_new
        self._put_tail(topic)

    def _put_tail(self, topic: str) -> None:
        self._put(topic, {"type": "live.tail", **self._up_to(PAGES, topic)})

    def _up_to(self, *topics: str) -> dict[str, Any]:
        return {"source": self.source, "seqs": self.reached(*topics)}

    def _put(self, group: str, message: dict[str, Any]) -> None:
        self._outbox.append((group, message))
        self._has_news.set()

    async def _send_all(self) -> None:
        """Until the goodbye was sent."""
        message = None
        while message is not self._bye:
            await self._has_news.wait()
            self._has_news.clear()
            while self._outbox:
                group, message = self._outbox.popleft()
                await self._send(group, message)

    async def _beat(self) -> None:
        """Show the pages that we live, and the numbers reached; in line with the news, which they must not overtake."""
        while True:
            await asyncio.sleep(BEAT_S)
            self._put(PAGES, {"type": "live.beat", **self._up_to(PAGES, OVERVIEW)})
            await self._audience.keep()
            for topic in self._audience:
                self._put_tail(topic)

    async def _send(self, group: str, message: dict[str, Any]) -> None:
        if self._before_news is not None:
            await self._before_news()
        if message is self._bye and not self._is_server:
            return
        try:
            async with asyncio.timeout(SEND_LIMIT_S):
                await get_channel_layer().group_send(group, message)
        except Exception as error:
            if not self._is_failing:
                logger.warning("live pages get no news: %s", error or type(error).__name__)
            self._is_failing = True
        else:
            self._is_failing = False


def _may_reach(group: str) -> bool:
    """Whether somebody may be in a group now: the layer in memory knows it, Redis does not say."""
    layer = get_channel_layer()
    return not isinstance(layer, InMemoryChannelLayer) or group in layer.groups
