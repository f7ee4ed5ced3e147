"""A press behind a PLC double, registered as `press-1`, and the site in a process of its own."""

import logging
from collections.abc import Iterator
from typing import Any

import pytest

from devices.management import demo_registry
from devices.models import PLC
from tests import prepared
from tests.api.conftest import START, machine  # noqa: F401 - fixtures, here and below
from tests.doubles.fault_server import FaultServer
from tests.serving.fixtures import environment, key, mes, server  # noqa: F401

PATIENT = {"connect_timeout_s": 10, "response_timeout_s": 10}  # that this machine is busy makes no PLC late


@pytest.fixture(autouse=True)
def quiet_callers() -> Iterator[None]:
    """httpx logs a line for each of thousands of calls."""
    logger = logging.getLogger("httpx")
    before, logger.level = logger.level, logging.WARNING
    yield
    logger.level = before


@pytest.fixture
def batches(machine: FaultServer) -> list[int]:  # noqa: F811
    """The batch size of each start that the machine saw, in order."""
    sizes: list[int] = []
    machine.on_write(START, lambda value: sizes.append(machine.holding_registers[0]) if value else None)
    return sizes


@pytest.fixture
def settings_of_press() -> dict[str, Any]:
    """What the registry says of `press-1`, where it matters; override it."""
    return {}


@pytest.fixture
def registry(transactional_db: None, machine: FaultServer, settings_of_press: dict[str, Any]) -> None:  # noqa: F811
    """`press-1` is the double."""
    prepared.put_in(demo_registry.create)
    settings = PATIENT | settings_of_press
    PLC.objects.filter(name="press-1").update(host=machine.host, port=machine.port, **settings)
