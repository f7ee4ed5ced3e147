"""The machine of tests/control behind a misbehaving double, and a MES that calls it over HTTP."""

from collections.abc import Callable

import pytest
from channels.db import database_sync_to_async
from django.test import AsyncClient

from devices.models import PLC, Command
from tests.api.conftest import change, key  # noqa: F401 - fixtures, here and below
from tests.control.conftest import _no_connection_left, line, machine, press  # noqa: F401


@pytest.fixture
def mes(line: PLC, key: str) -> AsyncClient:  # noqa: F811
    """The MES, which shows its key, at a running gateway that knows `press-1`."""
    return AsyncClient(X_API_KEY=key)


@pytest.fixture
def limit_time(press: PLC) -> Callable:  # noqa: F811
    """Change the time limit of `start_batch`, as the admin does."""

    @database_sync_to_async
    def limit_time(limit_s: float) -> None:
        command = Command.objects.get(name="start_batch")
        command.time_limit_s = limit_s
        command.save()

    return limit_time
