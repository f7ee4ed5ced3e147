"""Another process on the same database, which changes what the lines of its standard input say, and prints each "done".

`python -m tests.control.changing`: like a shell, of which nobody is told anything. With `REDIS_URL PREFIX` it has a
gateway, which tells others over Redis.
"""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import django
from django.db import connection

from tests.serving.process import ROOT, child_environment, database_url

LIMIT_S = 30.0


class Changing:
    """It is ready for lines of Python; the product's models are known to them."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def do(self, line: str) -> None:
        """Returns once it is committed there."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n".encode())
        await self.said("done")

    def stand_still(self) -> None:
        """As in a host that is suspended, or has lost its network: nothing more comes, and nothing is closed."""
        self._process.send_signal(signal.SIGSTOP)

    async def said(self, word: str) -> None:
        assert self._process.stdout is not None
        async with asyncio.timeout(LIMIT_S):
            assert await self._process.stdout.readline() == f"{word}\n".encode()


@asynccontextmanager
async def changing(data_dir: Path, *redis: str) -> AsyncIterator[Changing]:
    """Start it on this test's database, and end it."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.control.changing", *redis),
        env=child_environment(data_dir, {"DATABASE_URL": database_url(connection)}),
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        other = Changing(process)
        await other.said("ready")
        yield other
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def main(*redis: str) -> None:
    from devices import models
    from devices.control.gateway import Gateway

    if redis:
        await Gateway(polls=False, redis_url=redis[0], prefix=redis[1]).start()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    while line := await asyncio.to_thread(sys.stdin.readline):
        await asyncio.to_thread(exec, line, dict(vars(models)))
        sys.stdout.write("done\n")
        sys.stdout.flush()


if __name__ == "__main__":
    import os

    os.environ["DJANGO_SETTINGS_MODULE"] = "plcsite.settings"
    django.setup()
    asyncio.run(main(*sys.argv[1:]))
