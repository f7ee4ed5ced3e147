"""PLCs as they are known now, ready to be shown: their states and what their tags hold, each with its age."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from devices.control.gateway import Gateway, current
from devices.control.mirror import merged, newest
from devices.control.status import PLCStatus
from devices.control.values import Quality, TagValue
from devices.plc.specs import PLCSpec


@dataclass(frozen=True, kw_only=True, slots=True)
class Picture:
    """What is known of a PLC; nothing was sent to it for this."""

    plc: PLCSpec
    status: PLCStatus
    tags: tuple[TagValue, ...]

    def tag(self, name: str) -> TagValue:
        """One of its tags, by name."""
        return next(known for known in self.tags if known.poll.tag.name == name)


async def picture_of(plc: PLCSpec) -> Picture:
    """What this process, and the poller where that is another one, know of a PLC."""
    gateway = current()
    status = (await statuses_of([plc]))[plc.id]
    mirrored = await _mirrored(gateway, plc)
    tags = (newest(own, mirrored.get(own.poll.tag.name)) for own in gateway.values.of(plc).all())
    return Picture(
        plc=plc, status=status, tags=tuple(_not_good(tag) if status.state.is_silent else tag for tag in tags)
    )


async def statuses_of(plcs: Iterable[PLCSpec]) -> Mapping[int, PLCStatus]:
    """The states of these PLCs, by number."""
    gateway = current()
    mirrored = await gateway.mirror.statuses() if gateway.mirror else {}
    return {plc.id: merged(gateway.status(plc), mirrored.get(plc.id)) for plc in plcs}


async def _mirrored(gateway: Gateway, plc: PLCSpec) -> Mapping[str, TagValue]:
    """What the poller of another process has read, once its states were looked at; old where it is gone."""
    if gateway.mirror is None:
        return {}
    values = await gateway.mirror.values(plc)
    return values if gateway.mirror.is_alive else {name: _not_good(known) for name, known in values.items()}


def _not_good(known: TagValue) -> TagValue:
    """A tag that is read each hour would else be good for hours after its PLC, or its reader, was lost."""
    return replace(known, quality=Quality.OLD) if known.quality is Quality.GOOD else known
