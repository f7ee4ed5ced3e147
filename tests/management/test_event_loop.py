"""Which event loop the product runs on, and the tests with it."""

import asyncio
import sys

import pytest

from devices.management.event_loop import new_event_loop


async def test_tests_run_on_the_loop_of_a_server():
    loop = new_event_loop()
    loop.close()
    assert type(asyncio.get_running_loop()) is type(loop)


@pytest.mark.skipif(sys.platform != "linux", reason="uvloop is required on Linux only")
def test_it_is_uvloop_where_that_can_be_had():
    import uvloop

    loop = new_event_loop()
    loop.close()
    assert isinstance(loop, uvloop.Loop)


def test_it_is_that_of_asyncio_elsewhere(monkeypatch):
    monkeypatch.setitem(sys.modules, "uvloop", None)
    loop = new_event_loop()
    loop.close()
    assert isinstance(loop, asyncio.BaseEventLoop)
