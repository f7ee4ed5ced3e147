"""Many commands at once, for a line of machines: each its own run, answered together."""

import asyncio
import contextvars
from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256

from channels.db import database_sync_to_async

from devices.control import stored
from devices.control.callers import Caller
from devices.control.errors import KeyRequired, KeyReused
from devices.control.gateway import current
from devices.control.reuse import told_where_reused
from devices.control.submit import LONGEST_KEY, Pending, Reply, Request, begin, require_key

MOST = 200  # commands of one group
LONGEST_GROUP_KEY = LONGEST_KEY - len(f".{MOST - 1}")

_fingerprints = database_sync_to_async(stored.fingerprints)


def key_of(group_key: str | None, position: int) -> str | None:
    """The key of one command, made of the group's; InvalidKey where that is none."""
    if group_key is None:
        return None
    require_key(group_key, longest=LONGEST_GROUP_KEY)
    return f"{group_key}.{position}"


async def run_all(
    requests: Sequence[Request | Exception], caller: Caller, limit_s: float | None, *, group_key: str | None = None
) -> list[Reply | Exception]:
    """Start all, wait for all, and tell in each one's place its run or what kept it from being one.

    They start in the order given, which is their order in the queue of a PLC; across PLCs they run side by side.
    What could not even be read stands in the list as the error that it is. A caller that goes away cuts nothing, not
    even the rest of the starting. KeyRequired where the caller needs keys and one has none, KeyReused where what was
    started under the group's key stands no more in its place: nothing is started then.
    """
    if caller.needs_key and any(isinstance(request, Request) and request.key is None for request in requests):
        raise KeyRequired(f"{caller.name} must send an Idempotency-Key with each command, or one for the whole group")
    if group_key is not None:
        requests = _as_one(requests, group_key)
        async with told_where_reused(caller, group_key, "a group of commands"):
            await _require_same(requests, caller, group_key)
    # A fresh context: the request's own would drag its database thread and its cancellation along.
    starting = asyncio.create_task(_begin_all(requests), context=contextvars.Context())
    return await asyncio.gather(*(_reply(pending, limit_s) for pending in await asyncio.shield(starting)))


def _as_one(requests: Sequence[Request | Exception], group_key: str) -> list[Request | Exception]:
    """Each knows the whole: a group that was changed in any place is another request under the group's key."""
    told = [request.fingerprint if isinstance(request, Request) else str(request) for request in requests]
    whole = sha256("\n".join(told).encode()).hexdigest()
    return [
        replace(request, group=whole)
        if isinstance(request, Request) and request.key == key_of(group_key, position)
        else request
        for position, request in enumerate(requests)
    ]


async def _require_same(requests: Sequence[Request | Exception], caller: Caller, group_key: str) -> None:
    """KeyReused where a run stands under the group's key that this group does not ask for in its place."""
    asked = {request.key: request.fingerprint for request in requests if isinstance(request, Request)}
    keys = [f"{group_key}.{position}" for position in range(MOST)]
    known = await _fingerprints(caller.name, keys)
    under_way = {key: run.order.fingerprint for key in keys if (run := current().of_key(caller.name, key))}
    if any(asked.get(key) != fingerprint for key, fingerprint in (known | under_way).items()):
        raise KeyReused("this Idempotency-Key stands for another group of yours: nothing was started")


async def _begin_all(requests: Sequence[Request | Exception]) -> list[Pending | Exception]:
    return [await _begin(request) for request in requests]


async def _begin(request: Request | Exception) -> Pending | Exception:
    if isinstance(request, Exception):
        return request
    try:
        return await begin(request)
    except Exception as error:  # it is told in its place; the others are left alone
        return error


async def _reply(pending: Pending | Exception, limit_s: float | None) -> Reply | Exception:
    if isinstance(pending, Exception):
        return pending
    try:
        return await pending.reply(limit_s)
    except Exception as error:
        return error
