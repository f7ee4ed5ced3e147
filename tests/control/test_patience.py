"""A run's time in the queue, and a withdrawal that comes in the same moment as its end."""

import asyncio
import time

import pytest

from devices.control.errors import Withdrawn
from devices.control.patience import Patience
from devices.plc.pool import Pool
from tests.doubles.fault_server import FaultServer
from tests.plc.machines import registered


class TestPatience:
    async def test_that_ends_while_the_run_is_withdrawn_is_withdrawn(self, plc: FaultServer) -> None:
        loop, pool, spec = asyncio.get_running_loop(), Pool(), registered(plc)
        async with pool.turn(spec):
            patience = Patience(0.02)
            ended: list[None] = []
            loop.call_later(0.021, lambda: ended.append(patience.end(Withdrawn("the run was withdrawn"))))
            loop.call_later(0.01, time.sleep, 0.05)  # both are due when the loop looks again
            with pytest.raises(Withdrawn):
                async with patience.turn(pool, spec):
                    pytest.fail("its turn never came")
        assert ended, "who withdrew it was told of a bug"
        assert pool.is_free(spec)
