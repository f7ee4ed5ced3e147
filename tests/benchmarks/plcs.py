"""The PLCs that all sides of the benchmark talk to: many ports of one fast process (plc.c), and what it saw."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.benchmarks.processes import LOAD_CORE, ROOT, end, on_core

C, PYTHON = "C", "Python"
SOURCE = Path(__file__).parent / "plc.c"


@dataclass(frozen=True)
class Seen:
    """What all PLCs saw together since the last reset."""

    connections: int
    """Open now."""
    connects: int
    requests: int
    word_writes: int
    words: int
    words_sum: int
    """Of all that was written to registers: tells that each caller's own number has arrived."""
    coil_writes: int


class PLCs:
    """The running process."""

    def __init__(self, process: "subprocess.Popen[str]", count: int, mute: int) -> None:
        self._process = process
        ports = self._line()["ports"]
        self.ports: list[int] = ports[:count]
        self.mute_ports: list[int] = ports[count : count + mute]

    def look(self) -> Seen:
        """What they saw."""
        return self._ask("look")

    def reset(self) -> None:
        """Count from zero."""
        self._ask("reset")

    def answer_after(self, ms: float) -> None:
        """Each answer comes so late from now on; to be called while nobody waits for one."""
        self._ask(f"delay {int(ms * 1000)}")

    def _ask(self, line: str) -> Seen:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()
        return Seen(**self._line())

    def _line(self) -> dict:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, f"the PLCs ended with code {self._process.wait(5)}"
        return json.loads(line)


@contextmanager
def running_plcs(count: int, *, mute: int = 0, written_in: str = "") -> Iterator[PLCs]:
    """So many that answer and so many that accept and never do, until the block ends."""
    with TemporaryDirectory() as directory:
        command = [*_program(Path(directory), written_in or language()), str(count + mute), str(mute)]
        with on_core(LOAD_CORE):
            process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            yield PLCs(process, count, mute)
        finally:
            end(process)


def language() -> str:
    """In which they are written here."""
    return C if shutil.which("gcc") else PYTHON


def _program(directory: Path, written_in: str) -> list[str]:
    if written_in == PYTHON:
        return [sys.executable, "-m", "tests.benchmarks.plc_asyncio"]
    binary = directory / "plc"
    subprocess.run(["gcc", "-O2", "-o", str(binary), str(SOURCE)], check=True)
    return [str(binary)]
