"""A PLC that needs a pause gets it, whatever the event loop's timers are worth."""

import time

import pytest

from devices.modbus.pauses import pause


@pytest.mark.parametrize("least_s", [0.0004, 0.001, 0.0026])
async def test_a_pause_is_never_shorter_than_asked_for(least_s):
    for _ in range(100):
        begun_s = time.monotonic()
        await pause(least_s)
        assert time.monotonic() - begun_s >= least_s
