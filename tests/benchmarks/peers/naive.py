"""A plain Django view under Daphne (programs/naive): what the product's design gains over its own parts."""

import secrets
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.benchmarks.calls import GIVEN
from tests.benchmarks.load import Target
from tests.benchmarks.peers.environment import peer_environment
from tests.benchmarks.peers.installed import PROGRAMS
from tests.benchmarks.processes import free_port, served
from tests.benchmarks.side import Side

NAME = "naive Django view"


@contextmanager
def running_naive(directory: Path, ports: Sequence[int]) -> Iterator[list[Side]]:
    """It runs on the product's own packages."""
    port, key = free_port(), secrets.token_hex(32)
    env = peer_environment(directory / "naive.sqlite3", key, ports)
    command = [sys.executable, "-m", "daphne", "-p", str(port), "-v", "0", "naive.asgi:application"]
    with served(command, port, directory / "naive.log", env=env, cwd=PROGRAMS):
        yield [Side(NAME, port, lambda plc: _target(key, plc))]


def _target(key: str, plc: int) -> Target:
    return Target(method="POST", path=f"/start/plc-{plc}", body=GIVEN, headers={"X-API-Key": key})
