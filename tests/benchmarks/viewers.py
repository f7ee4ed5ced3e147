"""Browsers with open pages, a process of its own: `python -m tests.benchmarks.viewers` reads what to open from stdin.

Says "open" once all are, and after the next line on stdin counts for so many seconds; then tells what was seen.
"""

import asyncio
import json
import sys
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass, field
from typing import Any

from websockets.asyncio.client import ClientConnection, connect


def moment_ms() -> int:
    """Now, as the PLCs' clock registers tell it: a uint32."""
    return int(time.monotonic() * 1000) % 2**32


@dataclass
class Tally:
    """What all pages saw in the time that counts."""

    frames: int = 0
    characters: int = 0
    snapshots: int = 0
    delays_ms: list[int] = field(default_factory=list)
    """From a change in a machine's register to its arrival at a page; polling takes up to its interval of it."""
    recorded: list[tuple[float, str]] = field(default_factory=list)
    """All that the first page got, and when."""


class Pages:
    """All open pages; they count only while they are told to."""

    def __init__(self) -> None:
        self._tally: Tally | None = None
        self._began = 0.0

    async def count(self, seconds: float) -> Tally:
        """What comes in the next seconds."""
        self._began = time.monotonic()
        self._tally = tally = Tally()
        await asyncio.sleep(seconds)
        self._tally = None
        return tally

    async def read(self, socket: ClientConnection, *, is_first: bool) -> None:
        """Read and answer as a browser does."""
        async for text in socket:
            assert isinstance(text, str)
            if text.startswith('{"type":"beat"'):
                await socket.send('{"type":"reading"}')
            if self._tally is not None:
                self._note(self._tally, text, is_first=is_first)

    def _note(self, tally: Tally, text: str, *, is_first: bool) -> None:
        frame, now_ms = json.loads(text), moment_ms()
        tally.frames += 1
        tally.characters += len(text)
        tally.snapshots += frame.get("type") == "snapshot"
        values = [news["value"] for news in frame.get("news", ()) if news["kind"] == "value"]
        tally.delays_ms += [(now_ms - value["value"]) % 2**32 for value in values]
        if is_first:
            tally.recorded.append((time.monotonic() - self._began, text))


async def run(urls: Sequence[str], origin: str, seconds: float) -> dict[str, Any]:
    """Open them one by one, and count when told to."""
    pages, reading = Pages(), []
    async with AsyncExitStack() as stack:
        for number, url in enumerate(urls):
            socket = await stack.enter_async_context(connect(url, origin=origin, compression=None))
            reading.append(asyncio.create_task(pages.read(socket, is_first=not number)))
        print("open", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        tally = await pages.count(seconds)
        for task in reading:
            task.cancel()
        lost = [task for task in await asyncio.gather(*reading, return_exceptions=True) if task is None]
        return asdict(tally) | {"lost": len(lost)}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(run(**json.loads(sys.stdin.readline())))))
