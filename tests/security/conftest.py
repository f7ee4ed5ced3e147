"""For tables of who gets what: a gateway in this process. For schemathesis: the site in a process of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection

from devices.management import demo_registry
from devices.models import PLC
from devices.simulator.simulated_plc import SimulatedPLC
from tests.api.conftest import machine, press  # noqa: F401
from tests.browser.background import running_in_background
from tests.serving.process import RunningServer, database_url, running_server


@pytest.fixture
def site(transactional_db: None, tmp_path: Path) -> Iterator[RunningServer]:
    """The site with `press-1`, a batch machine that acknowledges at once; nothing of it is open to anybody."""
    environment = {"DATABASE_URL": database_url(connection), "SECRET_KEY": settings.SECRET_KEY}
    with running_in_background(SimulatedPLC()) as simulated:
        demo_registry.create()
        PLC.objects.exclude(name="press-1").delete()
        PLC.objects.update(port=simulated.server.port)
        with running_server(tmp_path, env=environment, migrate=False) as running:
            yield running
