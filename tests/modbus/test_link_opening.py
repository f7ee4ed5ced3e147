"""Connecting to a PLC over real TCP.

Numbers like "facts 3" are those of modbus-facts.md, pymodbus.
"""

import asyncio
from time import monotonic

import pytest

from devices.modbus.errors import LinkUnavailable, Unconfirmed
from devices.modbus.link import Link
from devices.modbus.types import Endpoint
from tests.doubles.listener import Full
from tests.modbus.links import HOLDING, endpoint


class TestOpening:
    async def test_does_no_io_before_it_is_asked_to(self, plc):
        link = Link(endpoint(plc))
        await asyncio.sleep(0.02)
        assert not link.is_usable
        assert plc.connects == 0

    async def test_says_that_it_was_refused_and_at_once(self, plc):
        """Facts 10: pymodbus answers False and drops the reason."""
        await plc.refuse_connects()
        start = monotonic()
        with pytest.raises(LinkUnavailable, match="refused"):
            await Link(endpoint(plc)).open()
        assert monotonic() - start < 0.1

    async def test_says_that_nobody_accepted_it_within_the_limit(self, plc):
        plc.drop_connects()
        start = monotonic()
        with pytest.raises(LinkUnavailable, match=r"did not accept the connection within 0\.4 s"):
            await Link(endpoint(plc)).open()
        assert monotonic() - start < 0.6

    async def test_says_that_there_is_no_way_to_the_host(self):
        with pytest.raises(LinkUnavailable, match="cannot reach"):
            await Link(Endpoint(host="127.255.255.255")).open()

    async def test_says_that_the_name_is_not_known(self):
        with pytest.raises(LinkUnavailable, match="was not found"):
            await Link(Endpoint(host="x" * 64)).open()

    async def test_finds_a_plc_by_its_name(self, plc):
        async with Link(Endpoint(host="localhost", port=plc.port)) as link:
            assert await link.read(HOLDING, 0, 1) == (0,)

    async def test_does_not_enter_the_block_when_it_fails(self, plc):
        """Facts 10: `async with client` of pymodbus enters its body although the connect failed."""
        await plc.refuse_connects()
        with pytest.raises(LinkUnavailable):
            async with Link(endpoint(plc)):
                pytest.fail("the block was entered")

    async def test_does_not_try_again_by_itself(self, plc):
        """Facts 2: with a reconnect delay pymodbus keeps connecting in the background."""
        await plc.refuse_connects()
        with pytest.raises(LinkUnavailable):
            await Link(endpoint(plc)).open()
        plc.behave()
        await asyncio.sleep(0.3)
        assert plc.connects == 0

    async def test_leaves_the_plc_the_pause_that_it_needs(self, plc):
        start = monotonic()
        async with Link(endpoint(plc, pause_after_connect_s=0.1)):
            assert monotonic() - start >= 0.1

    @pytest.mark.parametrize("when_full", [Full.RESET, Full.KICK_OLDEST])
    async def test_of_one_too_many_fails_soon_where_the_plc_resets(self, plc, when_full):
        plc.serves, plc.when_full = 0 if when_full is Full.RESET else 1, when_full
        start = monotonic()
        if when_full is Full.RESET:
            with pytest.raises((LinkUnavailable, Unconfirmed)):
                async with Link(endpoint(plc, response_timeout_s=5)) as link:
                    await link.read(HOLDING, 0, 1)
        else:
            async with Link(endpoint(plc, response_timeout_s=5)) as first, Link(endpoint(plc)) as second:
                await second.read(HOLDING, 0, 1)
                with pytest.raises((LinkUnavailable, Unconfirmed)):
                    await first.read(HOLDING, 0, 1)
        assert monotonic() - start < 0.5
        plc.serves = None

    async def test_of_one_too_many_succeeds_and_is_not_served_where_the_plc_queues(self, plc):
        """Facts 3: the kernel accepts for it; only an answered read tells the two apart."""
        plc.serves = 1
        async with Link(endpoint(plc)) as first:
            await first.read(HOLDING, 0, 1)
            async with Link(endpoint(plc)) as sixth:
                assert sixth.is_usable
                with pytest.raises(Unconfirmed):
                    await sixth.read(HOLDING, 0, 1)
                assert not sixth.has_answered

    async def test_of_one_too_many_fails_where_the_plc_drops_its_syn(self, plc):
        plc.serves, plc.when_full = 1, Full.DROP
        async with Link(endpoint(plc)) as first:
            await first.read(HOLDING, 0, 1)
            with pytest.raises(LinkUnavailable, match="did not accept"):
                await Link(endpoint(plc)).open()

    async def test_twice_is_refused_and_does_not_lose_the_first_connection(self, plc, link):
        """Facts 8: connect() twice leaks the first socket."""
        with pytest.raises(RuntimeError, match="twice"):
            await link.open()
        assert await link.read(HOLDING, 0, 1) == (0,)
        assert plc.connects == 1

    @pytest.mark.parametrize("turns", range(8))
    async def test_while_another_task_closes_leaves_nothing(self, plc, turns):
        """Facts 8: close() while another task is inside connect() left 250 of 300 sockets open."""
        links = [Link(endpoint(plc)) for _ in range(20)]
        opening = [asyncio.create_task(link.open()) for link in links]
        for _ in range(turns):
            await asyncio.sleep(0)
        for link in links:
            await link.close()
        await asyncio.gather(*opening, return_exceptions=True)
        for link in links:
            await link.close()
