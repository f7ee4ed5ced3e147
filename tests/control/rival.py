"""A second process with a gateway of its own on the same database; what it is told stands on its standard input.

`python -m tests.control.rival KEYS TWINS`: says "ready", waits for a line, asks for `start_batch` TWINS times at once
under each of KEYS keys, and prints what it was answered. `manage.py serve` would refuse to be the second one.
"""

import asyncio
import json
import os
import sys
from typing import Any

import django

GIVEN = {"batch_size": 7}


async def ask(keys: int, twins: int) -> list[dict[str, Any]]:
    """Every key so many times, all at once, each answered: the run, and whether this request started it."""
    from devices.control.submit import Request, begin
    from tests.control.rows import MES

    async def once(key: str) -> dict[str, Any]:
        pending = await begin(Request(plc="press-1", command="start_batch", given=GIVEN, caller=MES, key=key))
        reply = await pending.reply()
        return {"key": key, "run": reply.run.id, "state": reply.run.state, "is_replayed": reply.is_replayed}

    async with asyncio.timeout(30):
        return await asyncio.gather(*(once(f"order-{n}") for n in range(keys) for _ in range(twins)))


async def main(keys: int, twins: int) -> None:
    from devices.control.gateway import Gateway

    gateway = Gateway(polls=False)
    await gateway.start()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.readline)
    answers = await ask(keys, twins)
    await gateway.drain(5)
    sys.stdout.write(json.dumps(answers))


if __name__ == "__main__":
    os.environ["DJANGO_SETTINGS_MODULE"] = "plcsite.settings"
    django.setup()
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
