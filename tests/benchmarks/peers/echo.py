"""A Channels consumer that only sends on what it hears (programs/echo), under Daphne, on the product's packages."""

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.benchmarks.peers.installed import PROGRAMS
from tests.benchmarks.processes import free_port, served


@contextmanager
def running_echo(
    directory: Path, frames: Sequence[tuple[float, str]], period_s: float, topics: int
) -> "Iterator[tuple[int, subprocess.Popen[bytes]]]":
    """Its port and process; the frames are sent to each topic once in a period."""
    recording = directory / "recording.json"
    recording.write_text(json.dumps({"frames": frames, "period_s": period_s}))
    port = free_port()
    env = {"ECHO_RECORDING": str(recording), "ECHO_TOPICS": str(topics)}
    command = [sys.executable, "-m", "daphne", "-p", str(port), "-v", "0", "echo.asgi:application"]
    with served(command, port, directory / "echo.log", env=env, cwd=PROGRAMS) as process:
        yield port, process
