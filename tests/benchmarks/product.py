"""The product as it is run: `manage.py serve` in production settings, on a database that was made for it."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.benchmarks.calls import GIVEN
from tests.benchmarks.load import Target
from tests.benchmarks.processes import SERVER_CORE, on_core
from tests.benchmarks.registry import Plan
from tests.benchmarks.side import Side
from tests.serving.process import ROOT, RunningServer, child_environment, manage, running_server

PRODUCT = "product"
MIGRATING_S = 300.0
REGISTRY = [sys.executable, "-m", "tests.benchmarks.registry"]


@dataclass(frozen=True)
class Product:
    """One that runs."""

    server: RunningServer
    key: str

    def side(self, name: str = PRODUCT) -> Side:
        """As its callers see it."""
        return Side(name, self.server.port, self.start_batch)

    def start_batch(self, plc: int) -> Target:
        """The command that all sides carry out."""
        path = f"/api/plcs/plc-{plc}/commands/start_batch"
        return Target(method="POST", path=path, body=GIVEN, headers={"X-API-Key": self.key})

    def start_batches(self, plcs: int) -> Target:
        """The same on so many PLCs, with one call."""
        each = [f'{{"plc": "plc-{plc}", "command": "start_batch", "parameters": {GIVEN}}}' for plc in range(plcs)]
        body = f'{{"commands": [{", ".join(each)}]}}'
        return Target(method="POST", path="/api/runs", body=body, headers={"X-API-Key": self.key})


@contextmanager
def running_product(
    directory: Path, plan: Plan, *, polls: bool = False, env: Mapping[str, str] | None = None
) -> Iterator[Product]:
    """Made, registered and started; on SQLite in `directory`, which is empty, or where `env` says."""
    env = {"DJANGO_SETTINGS_MODULE": "plcsite.settings", **(env or {})}
    _migrate(directory, env)
    key = _register(directory, plan, env)
    with ExitStack() as stack:
        with on_core(SERVER_CORE):
            server = stack.enter_context(running_server(directory, env=env, migrate=False, polls=polls))
        yield Product(server, key)


def _migrate(directory: Path, env: Mapping[str, str]) -> None:
    """On SQLite once: what is started next gets a copy, since migrating takes longer than many a measurement."""
    migrated, own = directory.parent / "migrated.sqlite3", directory / "gateway.sqlite3"
    if "DATABASE_URL" not in env and migrated.exists():
        shutil.copy(migrated, own)
        return
    made = manage(directory, "migrate", "--verbosity", "0", env=env, timeout_s=MIGRATING_S)
    assert made.returncode == 0, made.stderr
    if "DATABASE_URL" not in env:
        shutil.copy(own, migrated)


def _register(directory: Path, plan: Plan, env: Mapping[str, str]) -> str:
    """The key of a MES."""
    made = subprocess.run(
        REGISTRY,
        cwd=ROOT,
        env=child_environment(directory, env),
        input=json.dumps(asdict(plan)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stderr
    return str(json.loads(made.stdout)["key"])
