"""All that looks at the machines unasked: polling, the heartbeats of both sides, what tags hold, their history."""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import replace

from django.utils import timezone

from devices.control.announce import Announcer
from devices.control.heartbeat import Heartbeats, NoHeartbeats
from devices.control.history import Recorder
from devices.control.poll import Poller
from devices.control.pulse import Pulses
from devices.control.rounds import OnFindings, OnRound
from devices.control.status import Findings, PLCStatus, Predecessors, status_of
from devices.control.tag_news import news_of
from devices.control.values import Round, Values
from devices.plc.health import Health, HealthState
from devices.plc.leases import Leases
from devices.plc.pool import Pool
from devices.plc.specs import PLCSpec

logger = logging.getLogger(__name__)


class Watching:
    """The watch of this process over its PLCs; the announcer hears what it sees."""

    def __init__(self, *, announcer: Announcer, is_active: bool, leases: Leases | None = None) -> None:
        """Where it is not active, nothing is sent to a PLC unasked: another process does that.

        `leases` where other processes talk to the same PLCs.
        """
        self._is_active = is_active
        self._announcer = announcer
        self.pool = Pool(on_health=self._note_health, leases=leases)
        self.values = Values()
        self.recorder = Recorder(values=self.values)
        self.pulses = Pulses(self.values, on_change=self._tell_status)
        beats = Heartbeats if leases is None else NoHeartbeats
        self.heartbeats = beats(pool=self.pool, on_trouble=self._tell_status)
        self.poller = Poller(
            pool=self.pool, values=self.values, on_round=self._note_round, on_findings=self._tell_status
        )
        self.predecessors = Predecessors()
        self._watched: set[int] = set()
        self.on_rounds: list[OnRound] = [self.pulses.take, self._tell_round, self.recorder.take]
        """Hear of each round of polling; what one of them raises harms no other, and no PLC."""
        self.on_status: list[OnFindings] = [self.announce_status]
        """Hear that a PLC's state may be another one."""

    def start(self) -> None:
        """Begin to poll."""
        if self._is_active:
            self.recorder.start()
            self.poller.start()

    async def stop_polling(self) -> None:
        """Ask for nothing more; the heartbeats go on, a machine that still works on a command needs them."""
        await self.poller.stop()

    async def stop(self) -> None:
        """End the rest. History comes last: it may be slow to store, and nobody waits for it."""
        await self.heartbeats.stop()
        await self.recorder.stop()

    def refresh(self, plcs: Mapping[int, PLCSpec]) -> None:
        """Take over the registry."""
        self._watched = set(plcs)
        self.pool.refresh(plcs)
        if self._is_active:
            self.heartbeats.refresh(plcs)
        for part in (self.values, self.pulses, self.predecessors):
            part.keep_only(self._watched)
        self.poller.refresh(plcs.values())
        self.recorder.keep_only({plc.id for plc in plcs.values() if plc.is_enabled})

    def is_quiet(self, plc_id: int) -> bool:
        """Nothing is sent to a PLC that is watched no more; its last exchange is over, and its connection closed."""
        return not self.poller.is_at(plc_id) and self.pool.is_idle(plc_id)

    def status(self, plc: PLCSpec) -> PLCStatus:
        """The state of a PLC as this process knows it."""
        clock_s, health = asyncio.get_running_loop().time(), self.pool.health(plc.id)
        own = status_of(plc, health, self._findings(plc), now=timezone.now(), clock_s=clock_s)
        return self.predecessors.carried_on(plc, own, is_unsure=self.pulses.is_unsure(plc))

    def _findings(self, plc: PLCSpec) -> Findings:
        """What polling found, and how the heartbeats of both sides are."""
        findings, (still, since) = self.poller.findings(plc.id), self.pulses.still(plc)
        trouble = still or self.heartbeats.trouble(plc.id)
        return replace(findings, still=trouble, since=since) if trouble else findings

    def _note_health(self, plc: PLCSpec, health: Health) -> None:
        self.heartbeats.note_health(plc.id, health)
        self.poller.note_health(plc, health)
        if health.state is HealthState.OFFLINE:
            self.recorder.lose(plc.id)
        self._tell_status(plc)

    def _note_round(self, done: Round) -> None:
        for listener in self.on_rounds:
            try:
                listener(done)
            except Exception:
                logger.exception("a round of %s was not heard", done.plc.name)

    def _tell_round(self, done: Round) -> None:
        if not self._announcer.is_heard_of(done.plc.id):
            return
        values = self.values.of(done.plc)
        changed = news_of(values.of(name) for name in done.changed)
        self._announcer.tell_values(done.plc.id, changed, {done.interval_s: done.stamp.at} if done.is_whole else {})

    def _tell_status(self, plc: PLCSpec) -> None:
        if plc.id not in self._watched:  # the last word of a PLC that was let go
            return
        for listener in self.on_status:
            listener(plc)

    def announce_status(self, plc: PLCSpec) -> None:
        """Tell the pages how a PLC is."""
        self._announcer.tell_plc({"id": plc.id, "name": plc.name, **self.status(plc).as_news()})
