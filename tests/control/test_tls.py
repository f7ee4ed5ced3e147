"""Commands, readings and writes of a PLC that speaks Modbus/TCP Security: the same promises, over TLS."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from channels.db import database_sync_to_async

from devices.control.gateway import Gateway
from devices.control.read import read_tag
from devices.models import PLC, State
from tests.control import rows
from tests.control.conftest import count
from tests.control.rows import call, stored_as
from tests.control.tags import put
from tests.doubles.certificates import Plant
from tests.doubles.fault_server import FaultServer
from tests.doubles.leaks import settle


@pytest.fixture(scope="module")
def plant() -> Plant:
    return Plant()


@pytest.fixture
async def machine(plant: Plant) -> AsyncIterator[FaultServer]:
    """Shows its certificate, made for press-1.plant, and lets in only who shows one of the plant."""
    async with FaultServer(names=dict(rows.PLACES)) as plc:
        plc.acknowledge("start", on="ack")
        plc.on_write("start", lambda value: count(plc, value))
        plc.security = plant.serving(plant.plc("press-1.plant"), wants_ours=True)
        yield plc
        assert await settle(lambda: plc.open_connections == 0), "a connection was left open"


@pytest.fixture
async def press(machine: FaultServer, transactional_db: None, plant: Plant, settings: Any, tmp_path: Path) -> PLC:
    """`press-1`, registered with the identity `hall-a`."""
    settings.TLS_DIR = tmp_path
    plant.fill(tmp_path / "hall-a", ours=plant.gateway())
    secure = {"uses_tls": True, "tls_identity": "hall-a", "tls_server_name": "press-1.plant"}
    patient = {"connect_timeout_s": 3, "response_timeout_s": 3}
    make = database_sync_to_async(lambda: rows.make_plc(rows.make_profile(), port=machine.port, **secure, **patient))
    return await make()


class TestACommand:
    async def test_succeeds_over_tls(self, machine: FaultServer, press: PLC, gateway: Gateway) -> None:
        record = await call(given={"batch_size": 42})
        assert (record.state, record.result) == (State.SUCCEEDED, {"batch_number": 1})
        assert machine.writes_to("start") == [1, 0]
        assert machine.holding_registers[0] == 42
        run = await stored_as(record)
        assert run.frames, "they are kept in plain Modbus"
        assert machine.connects == 1

    async def test_to_a_plc_that_is_not_believed_is_never_sent(
        self, machine: FaultServer, press: PLC, gateway: Gateway, plant: Plant
    ) -> None:
        machine.security = plant.serving(plant.plc("press-1.plant", by=plant.stranger))
        record = await call()
        assert (record.state, record.triggered_at, record.retry) == (State.FAILED, None, "safe")
        assert "TLS: the PLC's certificate was not signed by" in record.detail
        assert machine.requests == []

    async def test_with_a_certificate_that_the_plc_refuses_is_never_sent(
        self, machine: FaultServer, press: PLC, gateway: Gateway, plant: Plant, tmp_path: Path
    ) -> None:
        plant.fill(tmp_path / "hall-a", ours=plant.gateway(by=plant.stranger))
        record = await call()
        assert (record.state, record.triggered_at) == (State.FAILED, None)
        assert "the PLC does not know who signed the gateway's certificate" in record.detail
        assert machine.requests == []

    async def test_of_an_identity_whose_files_went_is_never_sent(
        self, machine: FaultServer, press: PLC, gateway: Gateway, tmp_path: Path
    ) -> None:
        (tmp_path / "hall-a" / "ca.pem").unlink()
        record = await call()
        assert record.state == State.FAILED
        assert "ca.pem is missing" in record.detail
        assert machine.connects == 0


class TestATag:
    async def test_is_read_over_tls(self, machine: FaultServer, press: PLC, gateway: Gateway) -> None:
        machine.holding_registers[5] = 7
        assert (await read_tag(await gateway.registry.find("press-1"), "recipe")).value == 7

    async def test_is_written_over_tls(self, machine: FaultServer, press: PLC, gateway: Gateway) -> None:
        assert (await put("setpoint", 21.5)).run.state == State.SUCCEEDED
        assert machine.holding_registers[10:12] == [0x41AC, 0]


class TestTheRegistry:
    async def test_checks_the_certificate_for_the_host_where_no_other_name_is_given(
        self, machine: FaultServer, press: PLC, gateway: Gateway, plant: Plant
    ) -> None:
        await _change(tls_server_name="")
        gateway.registry.reload()
        assert "made for another name than 127.0.0.1" in (await call()).detail
        machine.security = plant.serving(plant.plc("127.0.0.1"))
        assert (await call()).state == State.SUCCEEDED

    async def test_leaves_out_a_plc_whose_identity_is_no_folder_of_its_own(self, press: PLC, gateway: Gateway) -> None:
        await _change(tls_identity="../elsewhere")
        gateway.registry.reload()
        assert "press-1" not in await gateway.registry.plcs()


@database_sync_to_async
def _change(**fields: Any) -> None:
    """Past the form that would have refused it."""
    PLC.objects.update(**fields)
