"""`manage.py serve` as a process of its own, for tests that need the real thing; always ended by who started it."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tests.doubles.leaks import open_descriptors

ROOT = Path(__file__).resolve().parent.parent.parent
MANAGE = ("manage.py",)
READY = re.compile(r"Ready on (http://\S+?)/?\s")
START_S = 90.0  # several may start at once, on a computer with much else to do
END_S = 20.0

# What the test run itself was told, and a child must not inherit: it gets a database of its own.
OWN = (
    "DATABASE_URL",
    "REDIS_URL",
    "DATA_DIR",
    "DJANGO_SETTINGS_MODULE",
    "DRAIN_S",
    "LIVE_PUBLIC",
    "SECRET_KEY",
    "PLC_NETWORKS",
    "TLS_DIR",
)
LOOPBACK = "127.0.0.0/8,::1/128"  # where the doubles are
# A server that browsers of this computer reach without a proxy, as often as they like.
PLAIN = {"HTTPS": "off", "ALLOWED_HOSTS": "localhost,127.0.0.1,[::1]", "REQUESTS_PER_MINUTE": "0"}


def child_environment(data_dir: Path, env: Mapping[str, str] | None = None) -> dict[str, str]:
    """For a `manage.py` on SQLite in `data_dir`, or on the DATABASE_URL of `env` (see `database_url`)."""
    inherited = {name: value for name, value in os.environ.items() if name not in OWN}
    return {
        **inherited,
        **PLAIN,
        "DATA_DIR": str(data_dir),
        "PLC_NETWORKS": LOOPBACK,
        "PYTHONUNBUFFERED": "1",
        **(env or {}),
    }


def database_url(connection: Any) -> str:
    """The URL of the (test) database that a Django connection of this process uses, for a child's environment."""
    at = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{at['NAME']}"
    login = ":".join(quote(at[part], safe="") for part in ("USER", "PASSWORD") if at[part])
    port = f":{at['PORT']}" if at["PORT"] else ""
    return f"postgres://{login}{'@' if login else ''}{quote(at['HOST'], safe='')}{port}/{at['NAME']}"


def manage(
    data_dir: Path, *arguments: str, env: Mapping[str, str] | None = None, timeout_s: float = 60
) -> subprocess.CompletedProcess[str]:
    """Run a management command to its end; its exit code is the caller's to look at."""
    return subprocess.run(
        _command(*arguments),
        env=child_environment(data_dir, env),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )


@dataclass
class RunningServer:
    """A server that accepts callers."""

    process: subprocess.Popen[bytes]
    url: str
    """http://127.0.0.1:port, without a slash at the end."""
    log: Path

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.url.rpartition(":")[2])

    @property
    def socket_url(self) -> str:
        """For WebSockets; they must send the `origin` `url` or one of ALLOWED_HOSTS."""
        return self.url.replace("http", "ws", 1)

    @property
    def descriptors(self) -> int:
        """Files and sockets that it has open now."""
        return open_descriptors(self.process.pid)

    @property
    def resident_kib(self) -> int:
        """Memory that it occupies now."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.findall(r"VmRSS:\s+(\d+) kB", status)[0])

    def output(self) -> str:
        """All that it wrote so far."""
        return self.log.read_text()

    def signal(self, number: int) -> None:
        """Send a signal to this process."""
        self.process.send_signal(number)

    def wait(self, timeout_s: float = END_S) -> int:
        """The exit code, once it has ended."""
        return self.process.wait(timeout_s)

    def end(self) -> int:
        """SIGTERM, and the exit code."""
        self.process.terminate()
        return self.wait()


@contextmanager
def running_server(
    data_dir: Path,
    port: int = 0,
    env: Mapping[str, str] | None = None,
    *,
    migrate: bool = True,
    host: str = "127.0.0.1",
    program: Sequence[str] = MANAGE,
    polls: bool = False,
    fd: int | None = None,
) -> Iterator[RunningServer]:
    """Start `serve`, wait until it is ready, and end it, whatever the test did; 0 takes any free port.

    `migrate=False` where the database is already there, as with `database_url` of a transactional test. `program` is
    what Python runs, where it is not the plain manage.py. Without `polls` a machine sees what its commands ask, and
    nothing else. `fd`: a socket that it inherits and listens on, in place of host and port.
    """
    if migrate:
        made = manage(data_dir, "migrate", "--verbosity", "0", env=env)
        assert made.returncode == 0, made.stderr
    where = ["--host", host, "--port", str(port)] if fd is None else ["--fd", str(fd)]
    log = data_dir / f"serve-{time.monotonic_ns()}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            _command("serve", *where, *([] if polls else ["--no-poll"]), program=program),
            env=child_environment(data_dir, env),
            cwd=ROOT,
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            pass_fds=() if fd is None else (fd,),
        )
    try:
        yield RunningServer(process, _wait_until_ready(process, log), log)
    finally:
        _end(process)


def _command(*arguments: str, program: Sequence[str] = MANAGE) -> list[str]:
    return [sys.executable, *program, *arguments]


def _wait_until_ready(process: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and process.poll() is None:
        if ready := READY.search(log.read_text()):
            return ready[1]
        time.sleep(0.05)
    raise AssertionError(f"the server did not start (exit code {process.poll()}):\n{log.read_text()}")


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
    try:
        process.wait(END_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise
