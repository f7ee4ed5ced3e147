"""What is async, for tests that are not: it runs on an event loop in a thread of its own."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import TypeVar

Entered = TypeVar("Entered")

LIMIT_S = 10.0


@contextmanager
def running_in_background(context: AbstractAsyncContextManager[Entered]) -> Iterator[Entered]:
    """Enter it there, and leave it whatever the test did."""
    entered: Future[tuple[Entered, asyncio.AbstractEventLoop, asyncio.Event]] = Future()

    async def live() -> None:
        is_over = asyncio.Event()
        async with context as value:
            entered.set_result((value, asyncio.get_running_loop(), is_over))
            await is_over.wait()

    with ThreadPoolExecutor(1, "background") as thread:
        living = thread.submit(lambda: asyncio.run(live()))
        value, loop, is_over = entered.result(LIMIT_S)
        try:
            yield value
        finally:
            loop.call_soon_threadsafe(is_over.set)
            living.result(LIMIT_S)
