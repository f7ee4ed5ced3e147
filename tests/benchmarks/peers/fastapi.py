"""FastAPI + Tortoise + pymodbus under uvicorn, one process (programs/fastapi_app.py)."""

import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.benchmarks.calls import GIVEN
from tests.benchmarks.load import Target
from tests.benchmarks.peers.environment import peer_environment
from tests.benchmarks.peers.installed import PROGRAMS, python_of
from tests.benchmarks.processes import free_port, served
from tests.benchmarks.side import Side

BARE, RECORDED = "(a) FastAPI bare", "(b) FastAPI, key and records"


@contextmanager
def running_fastapi(directory: Path, cache: Path, ports: Sequence[int]) -> Iterator[list[Side]]:
    """(a) and (b), which are two addresses of one process."""
    python, port, key = python_of(cache), free_port(), secrets.token_hex(32)
    env = peer_environment(directory / "fastapi.sqlite3", key, ports)
    command = [str(python), "-m", "uvicorn", "fastapi_app:app", "--port", str(port), "--log-level", "warning"]
    with served(command, port, directory / "fastapi.log", env=env, cwd=PROGRAMS):
        yield [
            Side(BARE, port, lambda plc: _target("bare", plc)),
            Side(RECORDED, port, lambda plc: _target("recorded", plc, {"X-API-Key": key})),
        ]


def _target(route: str, plc: int, headers: dict[str, str] | None = None) -> Target:
    return Target(method="POST", path=f"/{route}/plc-{plc}", body=GIVEN, headers=headers or {})
