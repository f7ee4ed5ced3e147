"""pymodbus in a bare loop: the same blocks of each PLC once a second; `bare_polling fresh|kept`, the ports on stdin.

`fresh` connects for each round and closes after it, `kept` connects once. Nothing is decoded, kept or told.
"""

import asyncio
import json
import resource
import sys

from pymodbus.client import AsyncModbusTcpClient

INTERVAL_S = 1.0


async def read(client: AsyncModbusTcpClient, registers: int, coils: int) -> None:
    """One round."""
    for answer in (
        await client.read_input_registers(0, count=registers, device_id=1),
        await client.read_coils(0, count=coils, device_id=1),
    ):
        if answer.isError():
            raise SystemExit(f"refused: {answer}")


async def poll(port: int, phase: float, *, is_kept: bool, registers: int, coils: int) -> None:
    """One PLC, on its own grid."""
    loop = asyncio.get_running_loop()
    client = AsyncModbusTcpClient("127.0.0.1", port=port, timeout=1, retries=0)
    due = loop.time() + phase * INTERVAL_S
    while True:
        await asyncio.sleep(due - loop.time())
        if not client.connected:
            await client.connect()
        await read(client, registers, coils)
        if not is_kept:
            client.close()
        due = max(due + INTERVAL_S, loop.time())


async def run(ports: list[int], *, is_kept: bool, registers: int, coils: int) -> None:
    """All of them, spread over the second."""
    async with asyncio.TaskGroup() as group:
        for number, port in enumerate(ports):
            phase = number / len(ports)
            group.create_task(poll(port, phase, is_kept=is_kept, registers=registers, coils=coils))


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    asyncio.run(run(is_kept=sys.argv[1] == "kept", **json.load(sys.stdin)))
