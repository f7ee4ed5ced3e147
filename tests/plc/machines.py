"""The double as a registered PLC, its tags, and callers that use it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from devices.modbus.types import DataType, Endpoint, Table, TagSpec
from devices.plc.pool import Pool
from devices.plc.specs import PLCSpec, Priority
from tests.doubles.fault_server import FaultServer
from tests.doubles.leaks import settle

CONNECT_S, ANSWER_S = 1.0, 1.0  # the limits of these tests

START = TagSpec(name="start", table=Table.COIL, address=0, data_type=DataType.BOOL)
READY = TagSpec(name="ready", table=Table.DISCRETE_INPUT, address=0, data_type=DataType.BOOL)
BATCH_SIZE = TagSpec(name="batch_size", table=Table.HOLDING_REGISTER, address=10, data_type=DataType.UINT16)
NOK_NUM = TagSpec(name="nok_num", table=Table.HOLDING_REGISTER, address=11, data_type=DataType.UINT16)
SETPOINT = TagSpec(name="setpoint", table=Table.HOLDING_REGISTER, address=20, data_type=DataType.FLOAT32)
MODE_BIT = TagSpec(name="mode", table=Table.HOLDING_REGISTER, address=30, data_type=DataType.BOOL, bit=3)
MODE_BIT_4 = TagSpec(name="mode_4", table=Table.HOLDING_REGISTER, address=30, data_type=DataType.BOOL, bit=4)
UNMAPPED = TagSpec(name="unmapped", table=Table.HOLDING_REGISTER, address=5000, data_type=DataType.UINT16)


def registered(plc: FaultServer, **changes: Any) -> PLCSpec:
    """The double's entry in the registry; `response_timeout_s` and other names of Endpoint may be given too."""
    limits = {"connect_timeout_s": CONNECT_S, "response_timeout_s": ANSWER_S}
    limits |= {name: changes.pop(name) for name in list(changes) if name in Endpoint.__dataclass_fields__}
    settings: dict[str, Any] = {"id": 1, "name": "press-1", "turn_timeout_s": 10.0} | changes
    return PLCSpec(endpoint=Endpoint(host=plc.host, port=plc.port, **limits), **settings)


@asynccontextmanager
async def hmi(plc: FaultServer) -> AsyncIterator[None]:
    """An operator panel that takes one of the PLC's connections."""
    _, writer = await asyncio.open_connection(plc.host, plc.port)
    await asyncio.sleep(0.01)
    try:
        yield
    finally:
        writer.close()
        await writer.wait_closed()


async def read(pool: Pool, plc: FaultServer, priority: Priority = Priority.COMMAND, **changes: Any) -> object:
    async with pool.session(registered(plc, **changes), priority) as session:
        return await session.read(BATCH_SIZE)


async def read_twice(pool: Pool, plc: FaultServer, **changes: Any) -> None:
    async with pool.session(registered(plc, **changes)) as session:
        await session.read(BATCH_SIZE)
        await session.read(BATCH_SIZE)


async def hold(pool: Pool, plc: FaultServer, release: asyncio.Event, **changes: Any) -> None:
    """Be in a session until told to go."""
    async with pool.session(registered(plc, **changes)) as session:
        await session.read(BATCH_SIZE)
        await release.wait()


async def started(*tasks: asyncio.Task, until: Callable[[], bool] = lambda: True) -> None:
    await asyncio.sleep(0.01)
    assert await settle(until)
    assert not any(task.done() for task in tasks)
