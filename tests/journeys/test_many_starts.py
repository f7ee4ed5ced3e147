"""Starts one after the other, by the thousand: each is answered, and the server stays as small as it was.

FULL=1 in the environment makes it ten thousand, which take some two minutes.
"""

import os

import httpx
import pytest

from tests.api.conftest import START
from tests.doubles.leaks import serves_the_next_caller, settle
from tests.journeys.calls import is_success, refusal_of, start
from tests.serving.records import stored_runs

pytestmark = pytest.mark.django_db(transaction=True)

STARTS = 10_000 if os.environ.get("FULL") else 1_000
WARM_UP = 300
GROWTH_KIB = 6144  # measured 2.2 MiB after one thousand and 2.8 after ten, since caches fill; a leak would go on


async def start_in_turn(mes: httpx.AsyncClient, count: int) -> list[int]:
    """The batch sizes of those that succeeded; all others were refused clearly."""
    succeeded = []
    for size in range(1, count + 1):
        answer = await start(mes, size)
        if is_success(answer):
            assert answer.json()["parameters"]["batch_size"] == size
            succeeded.append(size)
        else:
            refusal_of(answer)
    return succeeded


class TestManyStarts:
    async def test_are_all_answered_and_leave_nothing(self, plc, server, mes, machine, batches):
        warm = await start_in_turn(mes, WARM_UP)
        memory, descriptors = server.resident_kib, server.descriptors
        succeeded = warm + await start_in_turn(mes, STARTS)
        assert succeeded == batches, "what succeeded is what the machine saw, in order"
        assert len(succeeded) == WARM_UP + STARTS, "refused, though nobody else waits and the PLC serves all"
        assert machine.writes_to(START) == [1, 0] * len(succeeded)
        runs = await stored_runs()
        assert [(run.parameters["batch_size"], run.state) for run in runs] == [(n, "succeeded") for n in succeeded]
        assert await settle(lambda: plc.open_connections == 0)
        assert plc.peak_connections == 1
        await serves_the_next_caller(plc)
        assert server.resident_kib - memory < GROWTH_KIB
        # API keys are read once a second over a connection of their own: look again if it is there just now.
        assert await settle(lambda: server.descriptors <= descriptors)
