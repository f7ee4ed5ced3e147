"""The long-lived parts of `manage.py poll`: the watch over its share of the PLCs, for servers in other processes."""

import asyncio
import contextvars
from collections.abc import Iterator, Mapping, Sequence, Set

from devices.control.announce import Announcer
from devices.control.claims import Claims
from devices.control.mirror import MirrorReader
from devices.control.mirror_writer import MirrorWriter
from devices.control.registry import Registry
from devices.control.shares import Shares
from devices.control.stamps import Stamps
from devices.control.watching import Watching
from devices.plc.leases import Leases
from devices.plc.specs import PLCSpec

AT_ONCE = 20  # PLCs taken over between two looks at other work


class Lookout:
    """Polls, tells the pages, keeps history and writes the mirror: for the PLCs that no other poller polls."""

    def __init__(self, *, redis_url: str, prefix: str) -> None:
        self._claims = Claims(redis_url, prefix=prefix)
        self._shares = Shares(self._claims, watch=self)
        # By the clock: after this process stood still for long it must not begin a round that is another's by now.
        self._leases = Leases(redis_url, prefix=prefix, may_take=lambda: self._shares.holds)
        self._announcer = Announcer(before_news=self.publish, is_server=False)
        self._watching = Watching(announcer=self._announcer, is_active=True, leases=self._leases)
        self._seen = MirrorReader(redis_url, prefix=prefix)
        self._mirror = MirrorWriter(
            redis_url,
            prefix=prefix,
            values=self._watching.values,
            status=self._watching.status,
            token=lambda: self._claims.token,
        )
        self._watching.on_rounds.insert(0, self._mirror.note_round)
        self._watching.on_status.insert(0, self._mirror.note_status)
        self._stamps = Stamps(redis_url=redis_url, prefix=prefix)
        self._registry = Registry(stamps=self._stamps, on_change=self._note_registry)
        self._plcs: Mapping[int, PLCSpec] = {}
        """All that are registered."""
        self._polled: set[int] = set()
        """Those that are watched here."""
        self._chores: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Load the registry, then poll. RecordUnavailable where the database does not answer."""
        await self._registry.start()
        self._stamps.start()
        self._announcer.start()
        self._watching.start()
        chores = self._shares.run(), self._mirror.run()
        self._chores = [asyncio.create_task(chore, context=contextvars.Context()) for chore in chores]

    async def stop(self) -> None:
        """Hand over to the other pollers, end all polling and close every connection."""
        for chore in self._chores:
            chore.cancel()
        await asyncio.gather(*self._chores, return_exceptions=True)
        await self._shares.hand_over()
        await self._watching.stop_polling()
        await self._shares.leave()
        await self._watching.pool.close()
        await self._registry.stop()
        await self._stamps.stop()
        await self._announcer.stop()
        await self._watching.stop()
        for shared in (self._mirror, self._seen, self._claims, self._leases):
            await shared.close()

    def _note_registry(self, plcs: Mapping[str, PLCSpec]) -> None:
        self._plcs = {plc.id: plc for plc in plcs.values()}
        self._polled &= self._plcs.keys()
        self._seen.note_registry()
        self._watching.refresh(self._own())
        self._mirror.refresh(self._own())
        self._shares.refresh(frozenset(self._plcs))

    async def take_over(self, plc_ids: Set[int]) -> None:
        """Go on where another poller was, so that nobody sees that it is another one now."""
        for part in _in_parts(sorted(plc_ids)):
            known = await self._seen.recall([self._plcs[plc_id] for plc_id in part if plc_id in self._plcs])
            # It may have been lost, or deleted, while Redis was asked.
            taken = self._shares.owned & self._plcs.keys() & set(part)
            for plc_id in taken & known.keys():
                plc, before = self._plcs[plc_id], known[plc_id]
                self._watching.predecessors.note(plc, before.status)
                for value in before.values.values():
                    self._watching.values.of(plc).recall(value)
            self._polled |= taken
        self._share()

    def let_go(self, plc_ids: Set[int]) -> None:
        """Poll these no more: another poller does, or is to."""
        if not self._shares.holds:
            self._announcer.keep_silent()  # others may have told newer values of them by now
        is_last = self._shares.holds and not self._shares.others
        if not is_last:
            # Nobody here can say that nothing is read from now on.
            self._watching.recorder.let_go(plc_ids & self._plcs.keys())
        self._polled -= plc_ids
        self._share()

    def is_quiet(self, plc_id: int) -> bool:
        """Of a PLC that was let go the last exchange is over, and the connection closed."""
        return self._watching.is_quiet(plc_id)

    async def publish(self) -> None:
        """Make readable to others what was read."""
        await self._mirror.flush()

    def _share(self) -> None:
        self._watching.refresh(self._own())
        self._mirror.share(self._own())

    def _own(self) -> dict[int, PLCSpec]:
        return {plc_id: self._plcs[plc_id] for plc_id in self._polled}


def _in_parts(plc_ids: Sequence[int]) -> Iterator[Sequence[int]]:
    for i in range(0, len(plc_ids), AT_ONCE):
        yield plc_ids[i : i + AT_ONCE]
