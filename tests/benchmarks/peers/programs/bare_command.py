"""pymodbus alone: connect, write two registers, set a coil, close, again and again; `bare_command SECONDS PORT...`.

Prints how long each took, and what it wrote: one line of JSON.
"""

import asyncio
import itertools
import json
import sys
import time

from pymodbus.client import AsyncModbusTcpClient

WARM_UP_S = 0.5
FIRST, SECOND = 10_000, 3


async def command(port: int) -> None:
    """The frames of one command."""
    client = AsyncModbusTcpClient("127.0.0.1", port=port, timeout=1, retries=0)
    try:
        await client.connect()
        written = await client.write_registers(0, [FIRST, SECOND], device_id=1)
        started = await client.write_coil(0, True, device_id=1)
    finally:
        client.close()
    if written.isError() or started.isError():
        raise SystemExit(f"refused: {written} {started}")


async def run(seconds: float, ports: list[int]) -> dict[str, object]:
    """One at a time."""
    took_ms, sent = [], 0
    counts_from = time.perf_counter() + WARM_UP_S
    ends = counts_from + seconds
    for port in itertools.cycle(ports):
        begun = time.perf_counter()
        if begun >= ends:
            break
        await command(port)
        sent += 1
        ended = time.perf_counter()
        if counts_from <= ended < ends:
            took_ms.append((ended - begun) * 1000)
    return {
        "count": len(took_ms),
        "seconds": seconds,
        "latencies_ms": sorted(took_ms),
        "sent": sent,
        "numbers": sent,
        "numbers_sum": sent * FIRST,
        "faults": {},
    }


if __name__ == "__main__":
    print(json.dumps(asyncio.run(run(float(sys.argv[1]), [int(port) for port in sys.argv[2:]]))))
