"""The Redis of the tests that need one: CI has it in both of its runs."""

import asyncio
import os
import socket
from contextlib import suppress
from urllib.parse import urlsplit

import pytest

ADDRESS = "127.0.0.1", 6379
REDIS_URL = os.environ.get("REDIS_URL") or "redis://{}:{}/0".format(*ADDRESS)


def _is_there() -> bool:
    try:
        socket.create_connection(ADDRESS, timeout=1).close()
    except OSError:
        return False
    return True


NEEDS_REDIS = pytest.mark.skipif(
    not os.environ.get("REDIS_URL") and not _is_there(), reason="no Redis at 127.0.0.1:6379, and no REDIS_URL"
)


class Line:
    """A wire to that Redis which a test can cut and mend; for `url` in place of its own."""

    def __init__(self) -> None:
        self._server: asyncio.Server | None = None
        self._wires: set[asyncio.StreamWriter] = set()
        self.url = ""
        self.is_mute = asyncio.Event()
        """Set: nothing is passed on, and nothing is closed."""

    async def __aenter__(self) -> "Line":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        at = urlsplit(REDIS_URL)
        login, has_login, _ = at.netloc.rpartition("@")
        self.port = self._server.sockets[0].getsockname()[1]
        self.url = at._replace(netloc=f"{login}{has_login}127.0.0.1:{self.port}").geturl()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.cut()

    async def cut(self) -> None:
        """As where Redis ends: what is open is closed, and nobody listens."""
        if self._server is not None:
            self._server.close()
            self._server = None
        while self._wires:
            for wire in tuple(self._wires):  # one that was just taken may have come meanwhile
                wire.close()
            await asyncio.sleep(0.001)

    async def mend(self) -> None:
        """As where Redis is there again."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        at = urlsplit(REDIS_URL)
        there, to_redis = await asyncio.open_connection(at.hostname, at.port or ADDRESS[1])
        both = {writer, to_redis}
        self._wires |= both
        try:
            await asyncio.gather(self._pass_on(reader, to_redis), self._pass_on(there, writer))
        finally:
            self._wires -= both

    async def _pass_on(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        """Until one of both ends has gone."""
        with suppress(OSError):
            while octets := await source.read(65536):
                if not self.is_mute.is_set():
                    target.write(octets)
                    await target.drain()
        target.close()
        with suppress(OSError):
            await target.wait_closed()
