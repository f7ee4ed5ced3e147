"""No descriptor is left: the machine is not told, no PLC is blamed, and nobody is sent here until there are some."""

import asyncio
import contextlib
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.test import AsyncClient

from devices.api import keys
from devices.control import lock_outs
from devices.control.gateway import current
from devices.models import PLC
from devices.plc.health import HealthState
from tests.doubles.fault_server import FaultServer
from tests.doubles.leaks import settle
from tests.faults.ends import FAILED, SUCCEEDED, call, ended, saw

READY = "/api/health/ready"


@contextmanager
def no_descriptor_left() -> Iterator[None]:
    """Take all that this process may have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(int(name) for name in os.listdir("/dev/fd"))
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 5, hard))
    taken: list[int] = []
    try:
        with contextlib.suppress(OSError):
            while True:
                taken.append(os.open(os.devnull, os.O_RDONLY))
        yield
    finally:
        for descriptor in taken:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def all_is_closed(machine: FaultServer) -> None:
    """At both ends: what is given back later would be one descriptor that is left."""
    assert await settle(lambda: machine.open_connections == 0)
    await asyncio.sleep(0.05)


@pytest.fixture(autouse=True)
def _what_was_looked_up_is_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a pool, as in tests, each look at PostgreSQL needs a descriptor of its own, and would be a 503."""
    monkeypatch.setattr(keys, "LOOK_S", 60.0)
    monkeypatch.setattr(lock_outs, "BELIEVED_S", 60.0)


class TestNoDescriptorLeft:
    async def test_fails_the_run_with_the_true_reason_and_turns_ready_red_until_there_is_one(
        self, mes: AsyncClient, machine: FaultServer
    ):
        await ended(await call(mes), SUCCEEDED)  # the database is open, the key is known
        await all_is_closed(machine)
        with no_descriptor_left():
            answer = await call(mes)
            ready = await mes.get(READY)
        run = await ended(answer, FAILED)
        assert "the gateway has no descriptor or port left" in run.detail
        assert int(answer["Retry-After"]) >= 1
        assert ready.status_code == 503
        saw(machine, [1, 0])
        assert (await mes.get(READY)).status_code == 200
        await ended(await call(mes), SUCCEEDED)

    async def test_makes_no_plc_offline(self, mes: AsyncClient, machine: FaultServer, line: PLC):
        await ended(await call(mes), SUCCEEDED)
        await all_is_closed(machine)
        with no_descriptor_left():
            answers = [await call(mes) for _ in range(4)]
        for answer in answers:
            assert "no descriptor" in (await ended(answer, FAILED)).detail
        assert current().pool.health(line.pk).state is HealthState.ONLINE
