"""A gateway in a process that is killed and started again, on one database."""

import asyncio
import contextlib
import signal
from pathlib import Path

import pytest

from tests.faults.crashing_serve import AMID_RECOVERY
from tests.serving.process import RunningServer, running_server

PROGRAM = ("-m", "tests.faults.crashing_serve")
DEATH_S = 20.0  # until a point that every command passes must have been met


class MortalGateway:
    """One life after the other; `start` returns when a life is ready for callers."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self._folder = folder
        self._crash_file = folder / "crash-at"
        self._environment = {**environment, "CRASH_FILE": str(self._crash_file)}
        self._life: contextlib.AbstractContextManager[RunningServer] | None = None
        self.server: RunningServer
        self.is_ending = False
        """It was told to die or to end: a caller may go unanswered."""

    @property
    def is_dead(self) -> bool:
        """It has ended, in whatever way."""
        return self.server.process.poll() is not None

    @property
    def url(self) -> str:
        """Another port in each life."""
        return self.server.url

    async def start(self) -> None:
        """Recover and be ready."""
        self._crash_file.unlink(missing_ok=True)
        await self._start()
        self.is_ending = False

    async def die_amid_recovery(self) -> None:
        """A life that ends before it was ready."""
        self._crash_file.write_text(AMID_RECOVERY)
        with pytest.raises(AssertionError, match="exit code -9"):
            await self._start()

    def die_at(self, point: str) -> None:
        """The process kills itself when it next comes to this point."""
        self.is_ending = True
        self._crash_file.write_text(point)

    def kill(self) -> None:
        """SIGKILL, wherever it is."""
        self.is_ending = True
        self.server.process.kill()

    async def dead(self) -> None:
        """Wait until it was killed."""
        assert await asyncio.to_thread(self.server.wait, DEATH_S) == -signal.SIGKILL, self.server.output()

    async def end(self) -> int:
        """Ask it to end; its exit code."""
        self.is_ending = True
        return await asyncio.to_thread(self.server.end)

    async def close(self) -> None:
        """Whatever the test did, nothing is left of it."""
        life, self._life = self._life, None
        if life is not None:
            await asyncio.to_thread(life.__exit__, None, None, None)

    async def _start(self) -> None:
        await self.close()
        life = running_server(self._folder, env=self._environment, migrate=False, program=PROGRAM)
        self.server = await asyncio.to_thread(life.__enter__)
        self._life = life
