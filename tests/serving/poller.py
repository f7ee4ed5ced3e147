"""`manage.py poll` as a process of its own, beside a server; always ended by who started it."""

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.serving.process import END_S, ROOT, START_S, child_environment


@dataclass
class RunningPoller:
    """It has said that it is ready."""

    process: subprocess.Popen[bytes]
    log: Path

    def output(self) -> str:
        """All that it wrote so far."""
        return self.log.read_text()

    async def end(self) -> int:
        """SIGTERM, and the exit code."""
        self.process.terminate()
        return await asyncio.to_thread(self.process.wait, END_S)


@asynccontextmanager
async def running_poller(data_dir: Path, env: Mapping[str, str]) -> AsyncIterator[RunningPoller]:
    """Start it, wait until it is ready, and end it, whatever the test did."""
    poller = _begin(data_dir, env)
    try:
        await asyncio.to_thread(_wait_until_ready, poller)
        yield poller
    finally:
        poller.process.kill()  # unless it has ended
        await asyncio.to_thread(poller.process.wait)


def _begin(data_dir: Path, env: Mapping[str, str]) -> RunningPoller:
    log = data_dir / f"poll-{time.monotonic_ns()}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "manage.py", "poll"],
            env=child_environment(data_dir, env),
            cwd=ROOT,
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
        )
    return RunningPoller(process, log)


def _wait_until_ready(poller: RunningPoller) -> None:
    deadline = time.monotonic() + START_S
    while "Ready: polling" not in poller.output():
        code = poller.process.poll()
        assert code is None, f"the poller did not start (exit code {code}):\n{poller.output()}"
        assert time.monotonic() < deadline, poller.output()
        time.sleep(0.05)
