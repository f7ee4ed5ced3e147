"""PLCs whose tags are polled, as the registry would describe them, and a poller that tells what it hears."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from devices.control.poll import Poller
from devices.control.status import PLCStatus, status_of
from devices.control.values import Quality, Round, TagValue, Values
from devices.modbus.types import DataType, Table, TagSpec
from devices.plc.health import Health
from devices.plc.pool import Pool
from devices.plc.specs import PLCSpec, PollSpec
from tests.doubles.fault_server import FaultServer
from tests.plc.machines import registered

PROBE_S = 0.05


def word(address: int, table: Table = Table.HOLDING_REGISTER, name: str = "") -> TagSpec:
    return TagSpec(name=name or f"r{address}", table=table, address=address, data_type=DataType.UINT16)


def polled(plc: FaultServer, tags: Sequence[TagSpec], interval_s: float = 0.05, **changes: Any) -> PLCSpec:
    """The double as a PLC with these tags, all of one interval unless `polls` says more."""
    polls = {tag.name: PollSpec(tag=tag, interval_s=interval_s) for tag in tags} | changes.pop("polls", {})
    return registered(plc, tags={name: poll.tag for name, poll in polls.items()}, polls=polls, **changes)


class Polling:
    """A poller at work, and what it has told."""

    def __init__(self) -> None:
        self.pool = Pool(
            on_health=self.note_health,
            probe_first_s=PROBE_S,
            probe_longest_s=PROBE_S,
        )
        self.values = Values()
        self.rounds: list[Round] = []
        self.told: list[PLCStatus] = []
        """The states that findings led to."""
        self.poller = Poller(
            pool=self.pool,
            values=self.values,
            on_round=lambda done: self.rounds.append(done),  # noqa: PLW0108 - a test may exchange the list
            on_findings=lambda plc: self.told.append(self.status(plc)),
        )

    def registry(self, *plcs: PLCSpec) -> None:
        """What is registered from now on."""
        self.pool.refresh({plc.id: plc for plc in plcs})
        self.poller.refresh(plcs)

    def note_health(self, plc: PLCSpec, health: Health) -> None:
        self.poller.note_health(plc, health)

    def status(self, plc: PLCSpec) -> PLCStatus:
        from django.utils import timezone

        clock_s, findings = asyncio.get_running_loop().time(), self.poller.findings(plc.id)
        return status_of(plc, self.pool.health(plc.id), findings, now=timezone.now(), clock_s=clock_s)

    def tag(self, plc: PLCSpec, name: str) -> TagValue:
        return self.values.of(plc).of(name)

    def held(self, plc: PLCSpec) -> dict[str, Any]:
        """Value of each tag that was read and is good."""
        known = self.values.of(plc).all()
        return {tag.poll.tag.name: tag.value for tag in known if tag.quality is Quality.GOOD}

    def changed(self) -> list[tuple[str, ...]]:
        """What each round told as changed, where it told something."""
        return [done.changed for done in self.rounds if done.changed]


@asynccontextmanager
async def polling(plcs: Iterable[PLCSpec] = ()) -> AsyncIterator[Polling]:
    """Polls these for the block."""
    at_work = Polling()
    at_work.registry(*plcs)
    at_work.poller.start()
    try:
        yield at_work
    finally:
        await at_work.poller.stop()
        await at_work.pool.close()
