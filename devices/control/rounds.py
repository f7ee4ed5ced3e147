"""The polling of one PLC: a round of each poll interval when it is due, between the commands and never before one."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from weakref import WeakKeyDictionary

from django.utils import timezone

from devices.control.status import Findings
from devices.control.values import PLCValues, Round, Sight, Stamp, Values
from devices.modbus.errors import DeviceException, LinkUnavailable, ModbusError, Unconfirmed, WrongAnswer
from devices.modbus.types import TagSpec, Words
from devices.plc.errors import LeaseLost, PoolClosed
from devices.plc.grid import Grid
from devices.plc.health import HealthState
from devices.plc.plan import LASTING, NO_FUNCTION, Plan, PlannedBlock, Unreadable
from devices.plc.plan import Reading as Held
from devices.plc.pool import Pool
from devices.plc.session import Session
from devices.plc.specs import PLCSpec, Priority
from devices.plc.turn import Turn

logger = logging.getLogger(__name__)

OnRound = Callable[[Round], None]
OnFindings = Callable[[PLCSpec], None]

AFTER_A_BUG_S = 5.0  # so that one does not fill the log
LOOK_AGAIN_S = 10.0  # at a PLC that is offline, where nobody tells of its return


class Group:
    """The tags of one poll interval."""

    def __init__(self, plc: PLCSpec, interval_s: float, start_s: float) -> None:
        self.interval_s = interval_s
        tags = [poll.tag for poll in plc.polls.values() if poll.interval_s == interval_s]
        self.plan = Plan(tags, plc.limits, plc.read_gap)
        self.grid = Grid(interval_s, plc.id, start_s)


@dataclass
class Reading:
    """A round under way."""

    plan: Plan
    left: deque[PlannedBlock]
    began: Stamp | None = None
    stamp: Stamp | None = None
    """Of the turn of now: between two turns there may be a long command, which changes what the tags hold."""
    is_connected: bool = False
    has_served: bool = False
    """The PLC has answered over the connection of now."""
    suspect: PlannedBlock | None = None
    """The connection was lost at it."""
    changed: list[str] = field(default_factory=list)


class Rounds:
    """All poll intervals of one PLC; `run` is one task."""

    def __init__(self, plc: PLCSpec, *, pool: Pool, values: Values, on_round: OnRound, on_findings: OnFindings) -> None:
        self.plc = plc
        """May be replaced by one that asks for the same readings of the same machine."""
        self._pool = pool
        self._values = values
        self._on_round = on_round
        self._on_findings = on_findings
        self._clock = asyncio.get_running_loop().time
        intervals = sorted({poll.interval_s for poll in plc.polls.values() if poll.interval_s > 0})
        self._groups = [Group(plc, interval_s, self._clock()) for interval_s in intervals]
        self._sights: WeakKeyDictionary[PlannedBlock, Sight] = WeakKeyDictionary()
        self._woken = asyncio.Event()
        self._is_talking = self._is_over = False
        self._bad, since = values.of(plc).bad()
        self._findings = Findings(bad=dict(self._bad), since=since)

    @property
    def findings(self) -> Findings:
        """The tags that cannot be read, as far as the rounds so far have found."""
        return self._findings

    def wake(self, *, at_once: bool = False) -> None:
        """Something is known that was not; `at_once`: the PLC is back, so that all is due now."""
        for group in self._groups if at_once else ():
            group.grid.hurry(self._clock())
        self._woken.set()

    def end(self, task: "asyncio.Task[None]") -> None:
        """Let `task`, which runs this, end; its exchange under way is not cut, and no longer heard.

        With the exchange its connection would go, and a machine with a watchdog drops its outputs then.
        """
        self._is_over = True
        if not self._is_talking:
            task.cancel()

    async def run(self) -> None:
        """Until ended, or the pool closes. A bug, here or in who listens, costs a round and not the polling."""
        while not self._is_over:
            try:
                group = await self._due()
                try:
                    await self._round(group)
                finally:
                    group.grid.pass_by(self._clock())
            except PoolClosed:
                return
            except Exception:
                logger.exception("polling %s failed by a fault of the gateway; it goes on", self.plc.name)
                await asyncio.sleep(AFTER_A_BUG_S)

    async def _due(self) -> Group:
        """Wait for the next round; as long as the PLC is offline there is none, the pool's probe looks for it."""
        while True:
            self._woken.clear()
            group = min(self._groups, key=lambda group: group.grid.due_s)
            until_s = group.grid.due_s
            if self._pool.health(self.plc.id).state is HealthState.OFFLINE:
                until_s = self._clock() + LOOK_AGAIN_S
            elif until_s <= self._clock():
                return group
            await self._rest(until_s)

    async def _rest(self, until_s: float) -> None:
        """Until then, or until it is woken."""
        alarm = asyncio.get_running_loop().call_at(until_s, self._woken.set)
        try:
            await self._woken.wait()
        finally:
            alarm.cancel()

    async def _round(self, group: Group) -> None:
        due_s = group.grid.due_s
        reading = Reading(group.plan, deque(group.plan.due(self._clock())))
        try:
            while reading.left and not self._is_over:
                await self._take_turn(reading)
            is_whole = True
        except PoolClosed:
            raise
        except ModbusError as error:
            # Nothing is marked: what was not read grows old by itself, and the pool knows how the PLC is.
            logger.debug("a round of %s was not finished: %s", self.plc.name, error)
            is_whole = False
        if self._is_over:
            return
        stamp = reading.began or self._now()
        if is_whole:
            self._refuse(((tag.name, reason) for tag, reason in group.plan.faults()), stamp, reading.changed)
        if is_whole or reading.changed:
            self._tell(group, reading, stamp, is_whole=is_whole, late_s=stamp.clock_s - due_s)

    async def _take_turn(self, reading: Reading) -> None:
        """Read until all is read or somebody who goes first waits: then for at most the request under way."""
        reading.is_connected = reading.has_served = False
        try:
            async with self._pool.turn(self.plc, Priority.POLL) as turn, turn.session() as session:
                reading.is_connected = True
                reading.stamp = self._now()
                reading.began = reading.began or reading.stamp
                self._is_talking = True
                await self._read_on(reading, turn, session)
        except LeaseLost:  # no block is to blame, and what is left comes with the next round
            raise
        except (LinkUnavailable, Unconfirmed, WrongAnswer) as error:
            self._note_loss(reading, error)
        finally:
            self._is_talking = False

    def _note_loss(self, reading: Reading, error: ModbusError) -> None:
        """Go on over another connection if this one was of use: some PLCs serve one request each. Else raise."""
        block = reading.left[0]
        if reading.has_served:
            reading.suspect = block
            return
        if reading.is_connected and block is reading.suspect:
            reading.plan.note_loss(block, str(error), self._clock())
        raise error

    async def _read_on(self, reading: Reading, turn: Turn, session: Session) -> None:
        while reading.left and not await turn.is_wanted():
            block = reading.left[0]
            try:
                learn = partial(self._answered, await session.read_words(block.table, block.address, block.count))
            except DeviceException as error:
                learn = partial(self._refused, error)
            except ValueError as error:
                learn = partial(self._impossible, error)
            if self._is_over:
                return
            instead = learn(block, reading)
            reading.has_served = True
            reading.left.popleft()
            reading.left.extendleft(reversed(instead))

    def _answered(self, words: Words, block: PlannedBlock, reading: Reading) -> list[PlannedBlock]:
        reading.plan.note_answer(block)
        stamp, values = reading.stamp or self._now(), self._values.of(self.plc)
        sight, readings = self._seen(words, block, values, stamp)
        sight.open()
        for tag, held in readings:
            if isinstance(held, Unreadable):
                self._refuse([(tag.name, held.reason)], stamp, reading.changed)
                continue
            if self._bad:
                self._bad.pop(tag.name, None)
            if values.take(tag.name, held, stamp, sight):
                reading.changed.append(tag.name)
        sight.settle(stamp)
        return []

    def _seen(
        self, words: Words, block: PlannedBlock, values: PLCValues, stamp: Stamp
    ) -> tuple[Sight, Iterable[tuple[TagSpec, Held]]]:
        """What has to be looked at, tag by tag: only what has changed, where the others stand as they were read."""
        changes, sight = block.take_changes(words), self._sights.get(block)
        if sight is not None and sight.is_whole(values):
            return sight, changes
        sight = self._sights[block] = Sight(values, len(block.tags), stamp)
        return sight, block.take(words)

    def _refused(self, error: DeviceException, block: PlannedBlock, reading: Reading) -> list[PlannedBlock]:
        if error.code in LASTING:
            is_whole = error.code == NO_FUNCTION
            return reading.plan.refuse(block, error.said, self._clock(), as_whole=is_whole)
        faults = ((tag.name, error.said) for tag in block.tags)
        self._refuse(faults, reading.stamp or self._now(), reading.changed)
        return []

    def _impossible(self, error: ValueError, block: PlannedBlock, reading: Reading) -> list[PlannedBlock]:
        """No such request exists: a tag that no form would have let in."""
        return reading.plan.refuse(block, str(error), self._clock())

    def _refuse(self, faults: Iterable[tuple[str, str]], stamp: Stamp, changed: list[str]) -> None:
        values = self._values.of(self.plc)
        for name, reason in faults:
            self._bad[name] = reason
            if values.refuse(name, reason, stamp):
                changed.append(name)

    def _tell(self, group: Group, reading: Reading, stamp: Stamp, *, is_whole: bool, late_s: float) -> None:
        if self._bad != self._findings.bad:
            since = self._findings.since if self._findings.bad else stamp.at
            self._findings = Findings(bad=dict(self._bad), since=since if self._bad else None)
            self._on_findings(self.plc)
        self._on_round(
            Round(
                plc=self.plc,
                interval_s=group.interval_s,
                stamp=stamp,
                changed=tuple(reading.changed),
                is_whole=is_whole,
                late_s=late_s,
            )
        )

    def _now(self) -> Stamp:
        # Not the loop's clock, which may stand still and count whole milliseconds: who reads for a caller has this one.
        return Stamp(at=timezone.now(), clock_s=time.monotonic())
