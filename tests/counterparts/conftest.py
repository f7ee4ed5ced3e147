"""Both counterparts, built and started once, and proven to be left with nothing of ours after every test."""

import shutil
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from devices.plc.pool import Pool
from tests.counterparts.counterpart import Counterpart, running
from tests.doubles.leaks import nothing_left

HERE = Path(__file__).resolve().parent
BUILD_S = 60.0

Command = Callable[[pytest.TempPathFactory], tuple[str, ...]]


def libmodbus(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    """Compile the C server; what it needs is looked for first, so that a mistake in it is a failure and no skip."""
    header = ("-fsyntax-only", "-include", "modbus/modbus.h", "-x", "c", "/dev/null")
    if shutil.which("gcc") is None or _gcc(*header).returncode != 0:
        pytest.skip("no libmodbus to talk to: apt-get install gcc libc6-dev libmodbus-dev")
    program = str(tmp_path_factory.mktemp("libmodbus") / "server")
    built = _gcc("-Wall", "-Wextra", "-Werror", str(HERE / "libmodbus_server.c"), "-o", program, "-lmodbus")
    assert built.returncode == 0, built.stderr
    return (program,)


def modbus_serial(_: pytest.TempPathFactory) -> tuple[str, ...]:
    """Node with the package that `package.json` pins."""
    if shutil.which("node") is None:
        pytest.skip("no modbus-serial to talk to: apt-get install nodejs npm, npm install --prefix tests/counterparts")
    if not (HERE / "node_modules" / "modbus-serial").is_dir():
        pytest.skip("no modbus-serial to talk to: npm install --no-package-lock --prefix tests/counterparts")
    return "node", str(HERE / "modbus_serial_server.js")


@pytest.fixture(scope="package", params=[libmodbus, modbus_serial], ids=["libmodbus", "modbus-serial"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Counterpart]:
    """One process for all tests here: whatever one session left behind would meet the next."""
    command: Command = request.param
    with running(*command(tmp_path_factory)) as counterpart:
        yield counterpart


@pytest.fixture
async def counterpart(server: Counterpart) -> AsyncIterator[Counterpart]:
    """The server with its pattern in memory; the test fails if it leaves a connection, a task or a descriptor."""
    assert server.reset().connections == 0
    async with nothing_left(server):
        yield server


@pytest.fixture
async def pool(counterpart: Counterpart) -> AsyncIterator[Pool]:
    """What lends the sessions; closed before the counterpart is looked at."""
    pool = Pool()
    try:
        yield pool
    finally:
        await pool.close()


def _gcc(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["gcc", *arguments], capture_output=True, text=True, timeout=BUILD_S, check=False)
