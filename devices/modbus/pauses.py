"""Pauses that a PLC needs."""

import asyncio
import time

TICK_S = 0.001  # of uvloop's timers


async def pause(least_s: float) -> None:
    """Let the loop turn once, and so much time pass; a timer that counts in whole ticks may call one too early."""
    end_s = time.monotonic() + least_s
    await asyncio.sleep(least_s)
    while least_s and time.monotonic() < end_s:  # noqa: ASYNC110  # time is what it waits for
        await asyncio.sleep(TICK_S)
