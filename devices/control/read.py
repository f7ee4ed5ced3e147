"""Read of a PLC what somebody wants to know now, in its turn like any command. Nothing is written."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime

from django.utils import timezone

from devices.control.errors import Draining, NotRead, QueueFull, TagNotReadable, UnknownTag
from devices.control.gateway import QUEUE_RETRY_S, Gateway, current
from devices.control.reading import LATER_S, told_as_not_read
from devices.control.submit import require_enabled
from devices.control.tag_news import news_of
from devices.control.values import Stamp, TagValue
from devices.modbus.errors import BUSY, REFUSALS, DeviceException
from devices.modbus.types import Value
from devices.plc.session import Session
from devices.plc.specs import PLCSpec, PollSpec

READ_LIMIT_S = 10.0  # for one tag: its turn, connecting, and the answer


@asynccontextmanager
async def reading_session(gateway: Gateway, plc: PLCSpec, limit_s: float) -> AsyncIterator[Session]:
    """A turn and a connection for reading, `limit_s` seconds for all of it.

    QueueFull where as many wait for the PLC as may: commands are not to wait behind ever more readers. NotRead where
    the PLC did not answer.
    """
    if gateway.is_draining:
        raise Draining("the gateway is shutting down and reads nothing more")
    if not gateway.pool.has_room(plc):
        raise QueueFull(f"{plc.max_waiting} already wait for {plc.name}", retry_after_s=QUEUE_RETRY_S)
    with told_as_not_read(limit_s):
        async with asyncio.timeout(limit_s), gateway.pool.session(plc) as session:
            yield session


def poll_of(plc: PLCSpec, name: str) -> PollSpec:
    """The PLC's tag of a name; UnknownTag names those that it has."""
    poll = plc.polls.get(name)
    if poll is None:
        known = ", ".join(sorted(plc.polls)) or "none"
        raise UnknownTag(f"{plc.name} has no tag {name!r}; it has: {known}")
    return poll


async def read_tag(plc: PLCSpec, name: str) -> TagValue:
    """What a tag holds now, read from the PLC; pages see it too.

    Raises UnknownTag, PLCDisabled, QueueFull, Draining; NotRead where the PLC did not answer or is busy, TagNotReadable
    where it answered with an exception: the tag is then marked as bad, if that was a no. NotRead too where meanwhile an
    engineer has made another machine of it.
    """
    gateway, tag = current(), poll_of(plc, name).tag
    require_enabled(plc)
    async with reading_session(gateway, plc, READ_LIMIT_S) as session:
        (reading,) = await session.read_all([tag])
    now = await as_registered(gateway, plc, name)
    if now is None:
        raise NotRead(f"the settings of {plc.name} were changed while it was read", retry_after_s=LATER_S)
    if isinstance(reading, DeviceException):
        raise _refusal(gateway, now, name, reading)
    return note(gateway, now, name, reading, at=timezone.now())


async def as_registered(gateway: Gateway, plc: PLCSpec, name: str) -> PLCSpec | None:
    """The PLC as it is registered now, if the tag that was read is still this place in this machine.

    UnknownPLC where it was deleted, RecordUnavailable where that cannot be looked up now.
    """
    now = await gateway.registry.find(str(plc.id))
    is_alike = (now.endpoint, now.polls.get(name)) == (plc.endpoint, plc.polls.get(name))
    return now if is_alike else None


def note(gateway: Gateway, plc: PLCSpec, name: str, value: Value, *, at: datetime) -> TagValue:
    """Keep what was read of a tag beside what polling finds, and show it to the pages."""
    age_s = max(0.0, (timezone.now() - at).total_seconds())
    gateway.values.of(plc).take(name, value, Stamp(at, time.monotonic() - age_s))
    return _shown(gateway, plc, name)


def _refusal(gateway: Gateway, plc: PLCSpec, name: str, error: DeviceException) -> Exception:
    if error.code in BUSY:
        return NotRead(str(error), retry_after_s=LATER_S)
    if error.code in REFUSALS:
        gateway.values.of(plc).refuse(name, error.said, Stamp(timezone.now(), time.monotonic()))
        _shown(gateway, plc, name)
    return TagNotReadable(f"{plc.name} does not tell what {name} holds: {error}")


def _shown(gateway: Gateway, plc: PLCSpec, name: str) -> TagValue:
    known = gateway.values.of(plc).of(name)
    gateway.announcer.tell_values(plc.id, news_of([known]), {})
    return known
