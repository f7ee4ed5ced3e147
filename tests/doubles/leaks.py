"""What must be true after any test: nothing open at the PLC, no task, no descriptor, and the next caller is served."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from tests.doubles.fault_server import FaultServer

SETTLE_S = 10.0  # for the double's own slow answers to run out
READ_ONE_REGISTER = bytes.fromhex("0001 0000 0006 01 03 0000 0001")


@asynccontextmanager
async def nothing_left(plc: FaultServer) -> AsyncIterator[None]:
    """Check after the block that all of it is closed and gone, and that the PLC serves the next caller."""
    loop = asyncio.get_running_loop()
    complaints: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: complaints.append(context))
    await asyncio.sleep(0)
    tasks, descriptors = asyncio.all_tasks() - plc.tasks, open_descriptors()

    def is_clean() -> bool:
        return not plc.open_connections and not tasks_left() and open_descriptors() == descriptors

    def tasks_left() -> set[asyncio.Task[Any]]:
        # pytest's fixtures run before and after the test in tasks of their own.
        return asyncio.all_tasks() - plc.tasks - tasks - {asyncio.current_task()}

    yield
    plc.behave()
    await settle(is_clean)
    assert plc.open_connections == 0, "connections left open at the PLC"
    assert tasks_left() == set(), "tasks left"
    assert open_descriptors() == descriptors, "descriptors left"
    assert complaints == [], "errors that nobody caught"
    await serves_the_next_caller(plc)


async def serves_the_next_caller(plc: FaultServer) -> None:
    """One plain exchange with no code of the product in it."""
    async with asyncio.timeout(SETTLE_S):
        reader, writer = await asyncio.open_connection(plc.host, plc.port)
        writer.write(READ_ONE_REGISTER)
        assert (await reader.readexactly(11))[:9] == bytes.fromhex("0001 0000 0005 01 03 02")
        writer.close()
        await writer.wait_closed()
        await settle(lambda: plc.open_connections == 0)


async def settle(is_done: Callable[[], bool], limit_s: float = SETTLE_S) -> bool:
    """Give the loop time until something is so; whether it came to be."""
    end = asyncio.get_running_loop().time() + limit_s
    while not is_done() and asyncio.get_running_loop().time() < end:  # noqa: ASYNC110 - descriptors fire no event
        await asyncio.sleep(0.005)
    return is_done()


def open_descriptors(pid: int | str = "self") -> int:
    """But for the one that the event loop keeps in reserve, for the day on which there are no more."""
    return sum(target != os.devnull for target in _targets(f"/proc/{pid}/fd"))


def _targets(folder: str) -> Iterator[str]:
    for number in os.listdir(folder):
        with suppress(FileNotFoundError):  # closed meanwhile, as that of the listing itself is
            yield os.readlink(f"{folder}/{number}")
