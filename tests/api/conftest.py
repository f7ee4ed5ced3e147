"""A machine of the demo's profile behind a misbehaving double, and callers with a key or a login."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import User
from django.test import AsyncClient

from devices.control.gateway import Gateway
from devices.management import demo_registry
from devices.modbus.types import Table
from devices.models import PLC, Step
from devices.simulator import batch_map
from tests import prepared
from tests.access import agrant, anew_key
from tests.doubles.fault_server import FaultServer
from tests.doubles.wire import Exchange

START = (Table.COIL, 0)
START_ACK = (Table.DISCRETE_INPUT, 3)
FAULT_BIT = 2  # discrete input
BATCH_NUMBER = 10  # input register, its low word


@pytest.fixture
def machine(plc: FaultServer) -> FaultServer:
    """The double plays the batch machine."""
    return as_batch_machine(plc)


def as_batch_machine(plc: FaultServer) -> FaultServer:
    """It acknowledges a start and counts the batch."""

    def count(value: int) -> None:
        plc.input_registers[BATCH_NUMBER] += value

    plc.names.update({tag.name: (tag.table, tag.address) for tag in batch_map.TAGS})
    plc.acknowledge(START, on=START_ACK)
    plc.on_write(START, count)
    return plc


@pytest.fixture
async def press(machine: FaultServer, transactional_db: None) -> PLC:
    """`press-1`, registered at the double's port, with short limits."""
    await sync_to_async(prepared.put_in)(demo_registry.create)
    press = await PLC.objects.aget(name="press-1")
    press.host, press.port = machine.host, machine.port
    press.connect_timeout_s, press.response_timeout_s = 0.5, 0.5
    await Step.objects.filter(phase="wait").aupdate(timeout_s=0.3)
    await press.asave()
    return press


@pytest.fixture
async def key(transactional_db: None) -> str:
    """The key of `mes-line-1`."""
    return await anew_key("mes-line-1")


@pytest.fixture
def mes(press: PLC, gateway: Gateway, key: str) -> AsyncClient:
    """The MES, which shows its key, at a running gateway that knows `press-1`."""
    return AsyncClient(X_API_KEY=key)


@pytest.fixture
async def anna(transactional_db: None) -> User:
    """Somebody who may log in, and do everything with every PLC."""
    user = await User.objects.acreate_user("anna", password="pw")
    await agrant(user)
    return user


@pytest.fixture
def change(press: PLC) -> Callable:
    """Change settings of `press-1`, as the admin does."""

    async def change(**settings) -> None:
        for name, value in settings.items():
            setattr(press, name, value)
        await press.asave()

    return change


@pytest.fixture
async def go(machine: FaultServer, change) -> AsyncIterator[asyncio.Event]:
    """The machine answers the first trigger once this is set; set at the end of the test in any case."""
    await change(response_timeout_s=10)
    go = asyncio.Event()

    async def hold(exchange: Exchange) -> None:
        await go.wait()
        await exchange.answer()

    machine.misbehave(hold, at=START)
    yield go
    go.set()
