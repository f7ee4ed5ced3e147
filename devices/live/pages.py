"""The two kinds of pages: the overview, and the page of one PLC."""

from functools import partial
from typing import Any

from devices.control.errors import UnknownPLC
from devices.control.gateway import current
from devices.control.topics import GATEWAYS, OVERVIEW, topic_of
from devices.live import plc_snapshot, snapshot
from devices.live.access import seen_with
from devices.live.consumer import PageConsumer, SentAway
from devices.live.messages import CloseCode
from devices.live.sharing import Snapshots, shared
from devices.plc.specs import PLCSpec


class OverviewConsumer(PageConsumer):
    """Shows the PLCs that the viewer may see, and their newest runs."""

    _seen: frozenset[int] | None = frozenset()
    """Numbers of these PLCs; None: all."""

    async def find(self) -> str:
        """There is one for all."""
        return OVERVIEW

    async def look_again(self) -> Snapshots:
        """Who sees the same PLCs shares the snapshots."""
        self._seen = await seen_with(self.viewer.rights)
        return shared((OVERVIEW, self._seen), partial(snapshot.read, self._seen))

    def hears(self, plc_id: int | None) -> bool:
        """Of PLCs that are not shown to him he hears nothing either."""
        return self._seen is None or plc_id in self._seen


class PLCConsumer(PageConsumer):
    """Shows one PLC, by its name or its number."""

    _plc: PLCSpec

    async def find(self) -> str:
        """The PLC of the address."""
        return topic_of((await self._found()).id)

    async def look_again(self) -> Snapshots:
        """A page must not go on under the name of a PLC that has another one now, was deleted, or is not for him."""
        self._plc = await self._found()
        if topic_of(self._plc.id) != self.topic:
            raise SentAway(CloseCode.GONE)
        return shared(self.topic, partial(plc_snapshot.read, self._plc.id))

    def may(self) -> dict[str, Any] | None:
        """Only what he may do is offered to him."""
        return self.viewer.may(self._plc)

    async def ask(self) -> None:
        """Gateways tell the news of a PLC only where somebody looks at it."""
        # Our own at once: the first snapshot is then in step with it.
        current().announcer.listen_for(self.topic)
        await self.channel_layer.group_send(GATEWAYS, {"type": "live.watch", "topic": self.topic})

    async def _found(self) -> PLCSpec:
        try:
            plc = await current().registry.find(self.scope["url_route"]["kwargs"]["plc"])
        except UnknownPLC as error:
            raise SentAway(CloseCode.GONE) from error
        if not self.viewer.rights.sees(plc):  # as if there were none
            raise SentAway(CloseCode.GONE)
        return plc
