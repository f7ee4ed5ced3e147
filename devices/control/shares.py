"""The pollers' shares: any number of processes poll the PLCs, each PLC is polled by one of them.

Which one is to, each works out for itself from the pollers that live (`share_of`), so that few PLCs move when one comes
or goes. Which one does, Redis says (`claims`): a PLC moves once its poller has stopped, after the exchange under way.
Who cannot tell Redis in time that it lives stops by its own clock, before others may take its PLCs.
"""

import asyncio
import hashlib
import logging
import time
from collections.abc import Collection, Iterator, Set
from contextlib import suppress
from functools import lru_cache
from typing import Protocol

from devices.control.claims import Claims, LifeOver, Settled
from devices.plc.asking import AWAY

logger = logging.getLogger(__name__)

EVERY_S = 1.0
QUICK_S = 0.1  # between two looks while PLCs move
MARGIN_S = 1.0  # before its life ends, a poller that cannot prolong it stops
AT_ONCE = 500  # PLCs claimed in one question
MOVE_LIMIT_S = 5.0  # for the exchanges under way when this poller ends


def share_of(name: str, pollers: Collection[str], plc_ids: Collection[int]) -> frozenset[int]:
    """The PLCs that this poller is to poll: those at which it weighs most. Pure.

    A poller that comes takes from the others what it is to poll, and one that goes leaves its own: no other PLC moves.
    """
    if name not in pollers:
        return frozenset()
    return frozenset(i for i in plc_ids if max(pollers, key=lambda poller: _weight(poller, i)) == name)


def _weight(poller: str, plc_id: int) -> bytes:
    """Eight bytes that look drawn at random."""
    place = 8 * (plc_id % 8)
    return _weights(poller, plc_id // 8)[place : place + 8]


@lru_cache(maxsize=1024)
def _weights(poller: str, eight: int) -> bytes:
    """Of eight neighbours, since their registry may be large."""
    return hashlib.blake2b(f"{poller} {eight}".encode()).digest()


class Watch(Protocol):
    """What polls the PLCs."""

    async def take_over(self, plc_ids: Set[int]) -> None:
        """Poll these too."""

    def let_go(self, plc_ids: Set[int]) -> None:
        """Poll these no more."""

    def is_quiet(self, plc_id: int) -> bool:
        """Of a PLC that was let go the last exchange is over, and the connection closed."""

    async def publish(self) -> None:
        """Make readable to others what was read: another poller goes on."""


class Shares:
    """The share of this process."""

    def __init__(self, claims: Claims, *, watch: Watch, every_s: float = EVERY_S) -> None:
        self.owned: set[int] = set()
        """PLCs that only this process polls, as long as `holds`."""
        self.others: frozenset[str] = frozenset()
        """The other pollers that live, as far as was heard."""
        self._claims = claims
        self._watch = watch
        self._every_s = every_s
        self._registered: frozenset[int] = frozenset()
        self._pollers: frozenset[str] = frozenset()
        self._share: frozenset[int] = frozenset()
        self._moving: set[int] = set()
        """PLCs to be given back, where an exchange may be under way."""
        self._until_s = 0.0
        self._limit: asyncio.TimerHandle | None = None
        self._is_over = self._is_leaving = self._is_away = False
        self._told = 0, 0
        self._woken = asyncio.Event()

    @property
    def holds(self) -> bool:
        """No other process may poll what this one owns; by the clock, also right after this process stood still."""
        return time.monotonic() < self._until_s  # the loop's clock may stand still, see `Lease.is_lost`

    def refresh(self, plc_ids: frozenset[int]) -> None:
        """Take over the registry."""
        if self._registered != plc_ids:
            self._registered = plc_ids
            self._share = share_of(self._claims.name, self._pollers, plc_ids)
            self._woken.set()

    async def run(self) -> None:
        """Share until cancelled."""
        while True:
            pause_s = await self._step()
            with suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._woken.wait()
            self._woken.clear()

    async def hand_over(self) -> None:
        """Give all to the others, each PLC as soon as it is quiet, within a limit; `run` has ended before."""
        self._is_leaving, self._share = True, frozenset()
        with suppress(*AWAY, LifeOver):
            async with asyncio.timeout(MOVE_LIMIT_S):
                while self.owned or self._moving:
                    await self._settle()
                    await asyncio.sleep(QUICK_S)
        self._give_up(set(self.owned))

    async def leave(self) -> None:
        """Nothing is polled here any more."""
        await self._claims.leave()
        self._stop_limit()

    async def _step(self) -> float:
        """Settle once, and how long there is nothing more to do."""
        try:
            is_more = await self._settle_or_lose()
        except AWAY as error:
            self._note_away(error)
            return self._every_s
        except Exception:
            logger.exception("sharing the PLCs met a bug; it goes on")
            return self._every_s
        self._note_away(None)
        return QUICK_S if is_more else self._every_s

    async def _settle_or_lose(self) -> bool:
        try:
            return await self._settle()
        except LifeOver:
            self._lose()
            return True

    async def _settle(self) -> bool:
        """Give back and ask for what is to be moved; whether more is to be moved soon."""
        if self._is_over:
            self._claims.begin_anew()
            self._is_over = False
        if surplus := self.owned - self._share:
            await self._watch.publish()
            self._give_up(surplus & self.owned)
        released = {plc_id for plc_id in self._moving if self._watch.is_quiet(plc_id)}
        missing = sorted(self._share - self.owned - self._moving)
        for claimed in _in_parts(missing):
            told = await self._ask(released, claimed)
            self._moving -= released
            released = set()
            if told.granted:
                self.owned |= told.granted
                await self._watch.take_over(told.granted)
            if self._note_pollers(told.pollers) or told.is_early:
                return not told.is_early
        self._tell_share()
        return bool(self._moving or self._share - self.owned)

    async def _ask(self, released: Set[int], claimed: Collection[int]) -> Settled:
        clock = asyncio.get_running_loop().time
        asked_s = clock()
        told = await self._claims.settle(released=released, claimed=claimed, is_leaving=self._is_leaving)
        if self._is_over or clock() >= asked_s + self._claims.life_s - MARGIN_S:
            raise LifeOver  # the answer came too late to rely on
        self._until_s = asked_s + self._claims.life_s - MARGIN_S
        self._stop_limit()
        self._limit = asyncio.get_running_loop().call_at(self._until_s, self._lose)
        return told

    def _note_pollers(self, pollers: frozenset[str]) -> bool:
        """Whether one came or went, so that this poller is to poll others than before."""
        if pollers == self._pollers:
            return False
        self._pollers, self.others = pollers, pollers - {self._claims.name}
        self._share = share_of(self._claims.name, pollers, self._registered)
        return True

    def _give_up(self, plc_ids: Set[int]) -> None:
        if plc_ids:
            self.owned -= plc_ids
            self._moving |= plc_ids
            self._watch.let_go(plc_ids)

    def _lose(self) -> None:
        """This life ends, and others may take all that it polled: stop at once."""
        self._stop_limit()
        self._until_s, self._is_over = 0.0, True
        if self.owned:
            logger.warning("this process polls no PLC for now: Redis does not confirm its share of them")
        self._give_up(set(self.owned))
        self._moving.clear()  # they are not this life's to give back
        self._told = 0, 0

    def _stop_limit(self) -> None:
        if self._limit is not None:
            self._limit.cancel()
            self._limit = None

    def _note_away(self, error: Exception | None) -> None:
        if error is not None and not self._is_away:
            logger.warning("the PLCs cannot be shared: Redis does not answer (%s)", str(error) or type(error).__name__)
        self._is_away = error is not None

    def _tell_share(self) -> None:
        share = len(self.owned), len(self._pollers)
        if share != self._told and self.owned == self._share:
            logger.info("Polling %d of %d PLCs; pollers at work: %d", share[0], len(self._registered), share[1])
            self._told = share


def _in_parts(plc_ids: list[int]) -> Iterator[list[int]]:
    """So many that Redis answers each at once; at least one part, since to ask is to live."""
    for i in range(0, max(1, len(plc_ids)), AT_ONCE):
        yield plc_ids[i : i + AT_ONCE]
