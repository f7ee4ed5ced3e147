"""The same function as a user writes it with FastAPI, Tortoise and pymodbus; run by uvicorn with PEER_DATABASE set.

`/bare/…` finds the PLC in the database and tells it. `/recorded/…` also looks the caller's key up and keeps a durable
record, made before the machine is told and completed after. Both open a connection a request, which a yield
dependency closes.
"""

import hashlib
import os
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Annotated

from fastapi import Depends, FastAPI, Header, HTTPException
from pydantic import BaseModel
from pymodbus.client import AsyncModbusTcpClient
from tortoise import fields
from tortoise.contrib.fastapi import RegisterTortoise
from tortoise.models import Model

# The durability of the product's SQLite: what was committed survives a power cut.
DATABASE = f"sqlite://{os.environ['PEER_DATABASE']}?journal_mode=WAL&synchronous=FULL"
KEY = os.environ.get("PEER_KEY", "")
PORTS = [int(port) for port in os.environ.get("PEER_PORTS", "").split(",") if port]


class PLC(Model):
    id = fields.IntField(primary_key=True)
    name = fields.CharField(max_length=50, unique=True)
    host = fields.CharField(max_length=253)
    port = fields.IntField()
    unit_id = fields.IntField(default=1)


class APIKey(Model):
    id = fields.IntField(primary_key=True)
    name = fields.CharField(max_length=100)
    digest = fields.CharField(max_length=64, unique=True)


class Run(Model):
    id = fields.IntField(primary_key=True)
    plc = fields.ForeignKeyField("models.PLC")
    caller = fields.CharField(max_length=100)
    parameters = fields.JSONField()
    state = fields.CharField(max_length=20)
    created_at = fields.DatetimeField(auto_now_add=True)
    finished_at = fields.DatetimeField(null=True)


class StartIn(BaseModel):
    batch_size: int
    nok_num: int


class RunOut(BaseModel):
    id: int | None = None
    plc: str
    state: str


def digest_of(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


async def fill() -> None:
    """What is registered, where the database is new."""
    if not await PLC.exists():
        await PLC.bulk_create(
            PLC(name=f"plc-{number}", host="127.0.0.1", port=port) for number, port in enumerate(PORTS)
        )
        await APIKey.create(name="mes", digest=digest_of(KEY or secrets.token_hex(32)))


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with RegisterTortoise(app, db_url=DATABASE, modules={"models": [__name__]}, generate_schemas=True):
        await fill()
        yield


app = FastAPI(lifespan=lifespan)


async def registered(name: str) -> PLC:
    plc = await PLC.get_or_none(name=name)
    if plc is None:
        raise HTTPException(404, "unknown PLC")
    return plc


async def connected(plc: Annotated[PLC, Depends(registered)]) -> AsyncIterator[AsyncModbusTcpClient]:
    client = AsyncModbusTcpClient(plc.host, port=plc.port, timeout=1, retries=0)
    try:
        if not await client.connect():
            raise HTTPException(503, "the PLC cannot be reached")
        yield client
    finally:
        client.close()


async def caller(x_api_key: Annotated[str, Header()]) -> APIKey:
    key = await APIKey.get_or_none(digest=digest_of(x_api_key))
    if key is None:
        raise HTTPException(401, "unknown key")
    return key


async def tell(client: AsyncModbusTcpClient, plc: PLC, given: StartIn) -> None:
    """Write both registers, then set the coil."""
    written = await client.write_registers(0, [given.batch_size, given.nok_num], device_id=plc.unit_id)
    if written.isError():
        raise HTTPException(502, f"refused: {written}")
    started = await client.write_coil(0, True, device_id=plc.unit_id)
    if started.isError():
        raise HTTPException(502, f"refused: {started}")


@app.post("/bare/{name}")
async def start_bare(
    plc: Annotated[PLC, Depends(registered)],
    client: Annotated[AsyncModbusTcpClient, Depends(connected)],
    given: StartIn,
) -> RunOut:
    await tell(client, plc, given)
    return RunOut(plc=plc.name, state="succeeded")


@app.post("/recorded/{name}")
async def start_recorded(
    key: Annotated[APIKey, Depends(caller)],
    plc: Annotated[PLC, Depends(registered)],
    client: Annotated[AsyncModbusTcpClient, Depends(connected)],
    given: StartIn,
) -> RunOut:
    run = await Run.create(plc=plc, caller=key.name, parameters=given.model_dump(), state="running")
    await tell(client, plc, given)
    run.state, run.finished_at = "succeeded", datetime.now(UTC)
    await run.save(update_fields=["state", "finished_at"])
    return RunOut(id=run.id, plc=plc.name, state=run.state)
