"""A batch machine behind Modbus TCP: the program and its server on the running event loop."""

import asyncio
import contextlib
import time
from types import TracebackType
from typing import Self

from devices.simulator.batch_machine import BatchMachine
from devices.simulator.server import ModbusServer

SCAN_S = 0.01  # a small PLC's program cycle: a write is seen, and acknowledged, within it


class SimulatedPLC:
    """Listens and runs while its `async with` block does."""

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        machine: BatchMachine | None = None,
        answer_delay_s: float = 0.0,
        max_connections: int | None = None,
    ) -> None:
        self.machine = machine or BatchMachine()
        self.server = ModbusServer(
            self.machine.memory,
            host=host,
            port=port,
            answer_delay_s=answer_delay_s,
            max_connections=max_connections,
        )
        self._program: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self.server.__aenter__()
        self._program = asyncio.create_task(self._scan_for_ever(), name=f"machine on port {self.server.port}")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.server.__aexit__(kind, error, trace)
        if self._program is not None:
            self._program.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._program

    async def _scan_for_ever(self) -> None:
        before = time.monotonic()
        while True:
            await asyncio.sleep(SCAN_S)
            now = time.monotonic()
            self.machine.tick(now - before)
            before = now
