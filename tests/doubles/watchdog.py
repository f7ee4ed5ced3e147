"""A machine whose outputs are on only while the gateway shows that it lives."""

import asyncio

from devices.modbus.types import Table
from tests.doubles.fault_server import FaultServer

CYCLE_S = 0.02


class Watchdog:
    """Outputs come with the first beat and drop where the next one does not come in time, or the connection closes.

    It counts the cycles of its program, as a PLC does: a computer that stands still for a while costs one of them.
    """

    def __init__(self, plc: FaultServer, at: tuple[Table, int], *, limit_s: float) -> None:
        self.beats: list[int] = []
        self._plc = plc
        self._most = round(limit_s / CYCLE_S)
        self._cycles = 0
        """Since the last beat."""
        self._connects = 0
        """Up to the first beat."""
        self._missed: list[str] = []
        plc.on_write(at, self._hear)

    @property
    def reasons(self) -> list[str]:
        """Why its outputs have dropped since the first beat; empty while they are on."""
        anew = self._plc.connects - self._connects
        lost = [f"the connection was closed, and {anew} came anew"] if anew or not self._plc.open_connections else []
        return self._missed + lost if self.beats else ["no beat"]

    def _hear(self, value: int) -> None:
        if not self.beats:
            self._connects = self._plc.connects
            self._cycle()
        if self.beats[-1:] == [value]:
            self._missed.append(f"{value} came twice")
        self.beats.append(value)
        self._cycles = 0

    def _cycle(self) -> None:
        self._cycles += 1
        if self._cycles == self._most + 1:
            self._missed.append(f"no beat for {self._most} cycles after {self.beats[-1:]}")
        asyncio.get_running_loop().call_later(CYCLE_S, self._cycle)
