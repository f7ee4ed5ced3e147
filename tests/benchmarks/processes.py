"""Processes of the benchmark: on which core they run, what they used, and that each is ended."""

import os
import re
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.serving.process import ROOT

__all__ = ["LOAD_CORE", "ROOT", "SERVER_CORE", "cpu_s", "end", "on_core", "resident_kib", "served"]

START_S = 60.0
END_S = 20.0


def _cores() -> tuple[int | None, int | None]:
    """The server's core, and that of all who load it; None where they cannot be kept apart."""
    allowed = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    return (allowed[0], allowed[1]) if len(allowed) > 1 else (None, None)


SERVER_CORE, LOAD_CORE = _cores()


@contextmanager
def on_core(core: int | None) -> Iterator[None]:
    """Processes that are started within stay on that core, with all their threads."""
    if core is None:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def cpu_s(pid: int) -> float:
    """Processor time of all threads of a process so far; proc(5)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_kib(pid: int) -> int:
    """Memory that a process occupies now."""
    return int(re.findall(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())[0])


def end(process: "subprocess.Popen") -> None:
    """Ask it to end, and see to it."""
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            with suppress(OSError):
                stream.close()
    with suppress(ProcessLookupError):
        process.terminate()
    try:
        process.wait(END_S)
    except BaseException:  # also a second Ctrl-C: nothing of ours stays behind
        process.kill()
        process.wait()
        raise


def free_port() -> int:
    """Of this moment, for servers that cannot say which they took."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


@contextmanager
def served(
    command: Sequence[str], port: int, log: Path, *, env: Mapping[str, str] | None = None, cwd: Path = ROOT
) -> Iterator["subprocess.Popen[bytes]"]:
    """A server on the server's core, from the moment at which it listens to the end of the block."""
    with log.open("wb") as output, on_core(SERVER_CORE):
        process = subprocess.Popen(
            command,
            cwd=cwd,
            env={**os.environ, **(env or {})},
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
        )
    try:
        _wait_until_listening(process, port, log)
        yield process
    finally:
        end(process)


def _wait_until_listening(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(OSError), socket.socket() as probe:
            probe.connect(("127.0.0.1", port))
            return
        time.sleep(0.1)
    raise AssertionError(f"{process.args} did not start (exit code {process.poll()}):\n{log.read_text()}")
