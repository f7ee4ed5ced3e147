"""Several real servers on one database and one Redis, and a MES that goes to the next one where its own has died."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx

from devices.models import Run, State
from tests.control.databases import elsewhere
from tests.faults.numbered_press import command_of
from tests.serving.process import RunningServer, running_server

ANSWER_S = 90.0
OPEN = (State.QUEUED, State.RUNNING)


@asynccontextmanager
async def servers(
    count: int, folder: Path, environment: Mapping[str, str], fd: int | None = None
) -> AsyncIterator[list[RunningServer]]:
    """So many `serve --no-poll`, started at once; ended, however they stand, when the block ends."""
    async with AsyncExitStack() as stack:
        started = [_start(stack, folder, environment, fd) for _ in range(count)]
        yield await asyncio.gather(*started)


async def _start(stack: AsyncExitStack, folder: Path, environment: Mapping[str, str], fd: int | None) -> RunningServer:
    context = running_server(folder, env=environment, migrate=False, fd=fd)
    server = await asyncio.to_thread(context.__enter__)
    stack.push_async_callback(asyncio.to_thread, context.__exit__, None, None, None)
    stack.callback(_thaw, server)
    return server


def _thaw(server: RunningServer) -> None:
    """One that is frozen hears no signal."""
    with suppress(ProcessLookupError):
        server.signal(signal.SIGCONT)


def number_in(process: str) -> int:
    """The number of a process, by the name under which its runs are stored."""
    return int(process.split(":")[1])


def runner_of(state: str = State.RUNNING) -> int:
    """Number of the process whose run is running now."""
    return number_in(elsewhere(lambda: Run.objects.get(state=state).process))


def kill_runner(number: int = signal.SIGKILL) -> int:
    """Send a signal to the process that carries out a command now; which it is."""
    process = runner_of()
    os.kill(process, number)
    return process


class Mes:
    """Asks for numbered jobs at `press-0`, each under a key of its own, at the server whose turn it is."""

    def __init__(self, servers: list[RunningServer], key: str) -> None:
        self._servers = servers
        self._headers = {"X-API-Key": key}
        self.told: dict[int, tuple[int, dict[str, Any]]] = {}
        """Status and run of each job's last answer."""
        self.went_on: set[int] = set()
        """Jobs whose server died: another one was asked, under the same key."""

    async def ask(self, number: int, at: RunningServer | None = None) -> httpx.Response:
        """Ask for a job until somebody answers."""
        urls = [server.url for server in ([at] if at else self._servers[number % len(self._servers) :] + self._servers)]
        for url in urls:
            with suppress(httpx.TransportError):
                return self._noted(number, await self._post(url, number))
            self.went_on.add(number)
        raise AssertionError("no server answers")

    async def _post(self, url: str, number: int) -> httpx.Response:
        headers = {**self._headers, "Idempotency-Key": f"job-{number}"}
        async with httpx.AsyncClient(timeout=ANSWER_S) as client:
            path = f"/api/plcs/press-0/commands/{command_of(number)}"
            return await client.post(url + path, json={"number": number}, headers=headers)

    def _noted(self, number: int, answer: httpx.Response) -> httpx.Response:
        body = answer.json()
        self.told[number] = answer.status_code, body if answer.status_code == 200 else body.get("run") or body
        return answer


async def until(is_so: Any, limit_s: float = 20.0) -> bool:
    """Whether it is so within the limit; `is_so` is asked in a thread, it may look into the database."""
    clock = asyncio.get_running_loop().time
    end = clock() + limit_s
    while clock() < end:
        if await asyncio.to_thread(is_so):
            return True
        await asyncio.sleep(0.1)
    return False


def open_runs() -> int:
    """How many are not settled."""
    return elsewhere(Run.objects.filter(state__in=OPEN).count)
