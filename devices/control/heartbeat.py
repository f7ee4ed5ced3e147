"""The heartbeat to PLCs with a watchdog: written again and again, also while a command holds the PLC's turn.

Such a PLC drops its outputs when nothing is written in time, or when the connection closes: so it goes over the
connection that is open, between two exchanges of whoever uses it.
"""

import asyncio
import contextvars
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress

from devices.modbus.counting import following
from devices.modbus.errors import DeviceException, ModbusError
from devices.modbus.types import TagSpec, Value
from devices.plc.errors import PLCOffline
from devices.plc.health import Health, HealthState
from devices.plc.pool import Pool
from devices.plc.session import Session
from devices.plc.specs import PLCSpec

logger = logging.getLogger(__name__)

AWAY_LOOK_S = 5.0  # how often an offline PLC is asked after, where nobody says that it is back
STOP_LIMIT_S = 5.0
NOT_SHARED = (
    "it gets no heartbeat: only a `manage.py serve` that polls can write one, over the connection that it keeps"
)

OnTrouble = Callable[[PLCSpec], None]


class Beat:
    """The heartbeat to one PLC, in a task of its own."""

    def __init__(self, plc: PLCSpec, tag: TagSpec, *, pool: Pool, on_trouble: OnTrouble) -> None:
        self.plc = plc
        self.trouble = ""
        """Why the PLC, which can be reached, gets no heartbeat; empty while it does."""
        self._tag = tag
        self._pool = pool
        self._on_trouble = on_trouble
        self._last: Value | None = None
        self._is_over = self._is_away = False
        self._news = asyncio.Event()
        self.task = asyncio.create_task(self._go_on(), context=contextvars.Context())

    def note_return(self) -> None:
        """The PLC can be reached: go on at once if it was not."""
        if self._is_away:
            self._news.set()

    def end(self) -> None:
        """Go on no more; an exchange under way is not cut, since a command may use the same connection."""
        self._is_over = True
        self._news.set()

    async def _go_on(self) -> None:
        clock, interval_s = asyncio.get_running_loop().time, self.plc.heartbeat.interval_s
        due_s = clock()
        while not self._is_over:
            await self._try()
            due_s = max(due_s + interval_s, clock())
            await self._pause(AWAY_LOOK_S if self._is_away else due_s - clock())

    async def _pause(self, pause_s: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(pause_s):
                await self._news.wait()
        self._news.clear()

    async def _try(self) -> None:
        """One beat; where it does not get through, the next one looks anew what the PLC holds."""
        self._is_away = False
        try:
            async with self._pool.aside(self.plc, timeout_s=self.plc.heartbeat.interval_s) as session:
                self._last = await self._write_next(session)
        except PLCOffline:
            self._is_away = True  # the pool looks for it
        except DeviceException as error:
            self._tell(f"it does not take its heartbeat (tag {self._tag.name}): {error.said}")
        except ModbusError as error:
            self._last = None
            logger.debug("no heartbeat to %s: %s", self.plc.name, error)  # its health tells
        except Exception:
            logger.exception("the heartbeat to %s met a bug", self.plc.name)
            self._tell(f"its heartbeat (tag {self._tag.name}) cannot be written")
        else:
            self._tell("")

    async def _write_next(self, session: Session) -> Value:
        """The first one is a change too, whatever was written before."""
        if self._last is None:
            self._last = await self._read(session)
        value = following(self._tag, self._last)
        await session.write(self._tag, value)
        return value

    async def _read(self, session: Session) -> Value:
        try:
            return await session.read(self._tag)
        except DeviceException:
            return 0  # it may only be written

    def _tell(self, trouble: str) -> None:
        before, self.trouble = self.trouble, trouble
        if before != trouble:
            self._on_trouble(self.plc)


class Heartbeats:
    """The heartbeats to all PLCs of this process that want one."""

    def __init__(self, *, pool: Pool, on_trouble: OnTrouble) -> None:
        self._pool = pool
        self._on_trouble = on_trouble
        self._beats: dict[int, Beat] = {}
        self._ending: set[asyncio.Task[None]] = set()

    def refresh(self, plcs: Mapping[int, PLCSpec]) -> None:
        """Begin, go on and end as the registry says."""
        for plc_id, beat in list(self._beats.items()):
            if not _goes_on(beat.plc, plcs.get(plc_id)):
                self._end(self._beats.pop(plc_id))
        for plc in plcs.values():
            if plc.id in self._beats:
                self._beats[plc.id].plc = plc
            elif plc.is_enabled and (tag := plc.heartbeat.written):
                self._beats[plc.id] = Beat(plc, tag, pool=self._pool, on_trouble=self._on_trouble)

    def note_health(self, plc_id: int, health: Health) -> None:
        """A PLC that is back gets its heartbeat at once."""
        if health.state is HealthState.ONLINE and plc_id in self._beats:
            self._beats[plc_id].note_return()

    def trouble(self, plc_id: int) -> str:
        """Why a PLC that can be reached gets no heartbeat; empty where it does, or wants none."""
        beat = self._beats.get(plc_id)
        return beat.trouble if beat else ""

    async def stop(self) -> None:
        """End all; what hangs is cut."""
        self.refresh({})
        if self._ending:
            _, hanging = await asyncio.wait(self._ending, timeout=STOP_LIMIT_S)
            for task in hanging:
                task.cancel()
            await asyncio.gather(*hanging, return_exceptions=True)

    def _end(self, beat: Beat) -> None:
        beat.end()
        self._ending.add(beat.task)
        beat.task.add_done_callback(self._ending.discard)


class NoHeartbeats(Heartbeats):
    """In place of them, where no connection may be kept: other processes talk to the same PLCs. It says so."""

    def __init__(self, *, pool: Pool, on_trouble: OnTrouble) -> None:
        super().__init__(pool=pool, on_trouble=on_trouble)
        self._without: set[int] = set()

    def refresh(self, plcs: Mapping[int, PLCSpec]) -> None:
        """Log each PLC that wants one, once."""
        wanting = {plc.id: plc for plc in plcs.values() if plc.is_enabled and plc.heartbeat.written}
        for plc_id in wanting.keys() - self._without:
            logger.error("%s: %s", wanting[plc_id].name, NOT_SHARED)
        self._without = set(wanting)

    def trouble(self, plc_id: int) -> str:
        """That it gets none, where it wants one."""
        return NOT_SHARED if plc_id in self._without else ""


def _goes_on(before: PLCSpec, now: PLCSpec | None) -> bool:
    if now is None or not now.is_enabled:
        return False
    return (before.heartbeat, before.endpoint) == (now.heartbeat, now.endpoint)
