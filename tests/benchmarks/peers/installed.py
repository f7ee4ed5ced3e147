"""The peers' packages, in a cache outside the checkout; the product's environment never sees them."""

import hashlib
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import TypeVar

Found = TypeVar("Found")

REQUIREMENTS = Path(__file__).parent.parent / "requirements.txt"
PROGRAMS = Path(__file__).parent / "programs"
"""The peers' own code, in the directory from which it is run."""
NODE_PACKAGES = ("node-red@4.1.8", "node-red-contrib-modbus@5.23.3")
LONGEST_S = 600.0


class NotInstalled(Exception):
    """The peer's rows are left out, and the table says why."""


def python_of(cache: Path) -> Path:
    """The Python with FastAPI, Tortoise and uvicorn; made at first. NotInstalled where no index can be reached."""
    mark = hashlib.sha256(REQUIREMENTS.read_bytes() + sys.version.encode()).hexdigest()[:12]
    home = cache / f"python-{mark}"
    python = home / "bin" / "python"
    if not (home / "complete").exists():
        print(f"installing the peers' packages into {home}", file=sys.stderr)
        _run(sys.executable, "-m", "venv", "--clear", str(home))
        _run(str(python), "-m", "pip", "install", "-q", "-r", str(REQUIREMENTS))
        (home / "complete").touch()
    return python


def node_red_in(cache: Path, *, may_install: bool = True) -> Path:
    """The directory with Node-RED and its Modbus nodes; made at first."""
    mark = hashlib.sha256(" ".join(NODE_PACKAGES).encode()).hexdigest()[:12]
    home = cache / f"node-{mark}"
    if not (home / "complete").exists():
        if not may_install:
            raise NotInstalled("a brief run installs no Node-RED")
        print(f"installing Node-RED into {home}", file=sys.stderr)
        home.mkdir(parents=True, exist_ok=True)
        quiet = ("--silent", "--no-audit", "--no-fund", "--no-package-lock")
        _run("npm", "install", *quiet, "--prefix", str(home), *NODE_PACKAGES)
        (home / "complete").touch()
    return home


def _run(*command: str) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=LONGEST_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotInstalled(str(error)) from error
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:]
        raise NotInstalled(f"{command[0]} ended with {done.returncode}: {' '.join(last)}")


@contextmanager
def or_without(opened: AbstractContextManager[list[Found]]) -> Iterator[tuple[list[Found], str]]:
    """What is opened, or nothing and why not: where a peer is missing, the product is measured all the same."""
    with ExitStack() as stack:
        try:
            found, why = stack.enter_context(opened), ""
        except NotInstalled as error:
            found, why = [], f"left out, not installed: {error}"
        yield found, why
