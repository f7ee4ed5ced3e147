"""One PLC as the pool sees it. No I/O but to close what is no longer wanted."""

import asyncio
import math
from collections.abc import Iterator
from contextlib import contextmanager

from devices.modbus.link import Link
from devices.plc.health import Health
from devices.plc.specs import PLCSpec
from devices.plc.turns import Turns


class Peer:
    """Its queue, its kept links, its health."""

    def __init__(self, plc: PLCSpec) -> None:
        self.plc = plc
        self.turns = Turns()
        self.kept: dict[Link, float] = {}
        """Links that nobody uses, and when they are closed."""
        self._expiry: asyncio.TimerHandle | None = None
        self.lent: set[Link] = set()
        """In use by a session."""
        self._beside: Link | None = None
        self.health = Health()
        self.probing: asyncio.Task[None] | None = None

    def take_kept(self) -> Link | None:
        """A kept link that still stands, if there is one; dead ones are dropped on the way."""
        while self.kept:
            link, _ = self.kept.popitem()
            if link.is_usable and link.endpoint == self.plc.endpoint:
                return link
            link.abort()
        return None

    def keep(self, link: Link, keep_open_s: float) -> None:
        """Hold the link for the next user, then close it."""
        until_s = self.kept[link] = asyncio.get_running_loop().time() + keep_open_s
        self._expire_at(until_s)

    def open_link(self) -> Link | None:
        """One that stands, lent or kept; while there are several, always the same."""
        standing = [link for link in (*self.lent, *self.kept) if link.is_usable and link.endpoint == self.plc.endpoint]
        if self._beside not in standing:
            self._beside = next(iter(standing), None)
        return self._beside

    @contextmanager
    def holding(self, link: Link) -> Iterator[None]:
        """A kept link does not expire within the block, and its time begins anew afterwards."""
        if link in self.kept:
            self.kept[link] = math.inf
        try:
            yield
        finally:
            if link in self.kept:
                self.keep(link, self.plc.keep_open_s)

    def _expire_at(self, until_s: float) -> None:
        """Look then; a link that is taken and kept again and again is looked at once in a while and not each time."""
        if self._expiry is not None and self._expiry.when() > until_s:
            self._expiry.cancel()
            self._expiry = None
        if self._expiry is None and until_s < math.inf:
            self._expiry = asyncio.get_running_loop().call_at(until_s, self._expire)

    def _expire(self) -> None:
        now_s, self._expiry = asyncio.get_running_loop().time(), None
        for link in [link for link, until_s in self.kept.items() if until_s <= now_s]:
            del self.kept[link]
            link.abort()
        if self.kept:
            self._expire_at(min(self.kept.values()))

    def forget(self) -> None:
        """Drop all that was learnt and held under the old settings."""
        for link in self.kept:
            link.abort()
        self.kept.clear()
        if self._expiry is not None:
            self._expiry.cancel()
        self._expiry = None
        if self.probing is not None:
            self.probing.cancel()
        self.probing = None
        self.health = Health()
