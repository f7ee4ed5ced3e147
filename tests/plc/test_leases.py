"""Turns that several processes share: each `Leases` here stands for a process of its own, over a real Redis."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest

from devices.plc.errors import LeaseLost, TurnNotGot, TurnsUnavailable
from devices.plc.leases import Leases
from devices.plc.specs import Priority
from tests.doubles.redis import NEEDS_REDIS, REDIS_URL

PLC = 7

MakeLeases = Callable[..., Leases]


pytestmark = NEEDS_REDIS


@pytest.fixture
async def process() -> AsyncIterator[MakeLeases]:
    """Makes processes that share turns with each other, and with no other test."""
    prefix = f"test-{secrets.token_hex(6)}"
    async with AsyncExitStack() as stack:

        def make(url: str = REDIS_URL, **times: Any) -> Leases:
            leases = Leases(url, prefix=prefix, **times)
            stack.push_async_callback(leases.close)
            return leases

        yield make


def hold(leases: Leases, priority: Priority = Priority.COMMAND, *, limit: int = 1, timeout_s: float = 0.1):
    return leases.hold(PLC, limit=limit, priority=priority, timeout_s=timeout_s)


class TestATurn:
    async def test_that_one_process_holds_is_not_given_to_another(self, process):
        one, other = process(), process()
        async with hold(one):
            with pytest.raises(TurnNotGot):
                async with hold(other):
                    raise AssertionError("two at once")

    async def test_that_was_given_back_is_free_at_once(self, process):
        one, other = process(), process()
        async with hold(one):
            pass
        async with hold(other):
            pass

    async def test_is_one_of_as_many_as_the_plc_allows_but_of_one_command(self, process):
        one, other, third = process(), process(), process()
        async with hold(one, limit=2):
            with pytest.raises(TurnNotGot):
                async with hold(other, limit=2):
                    raise AssertionError("two commands at once")
            async with hold(other, Priority.POLL, limit=2, timeout_s=3.0):
                with pytest.raises(TurnNotGot):
                    async with hold(third, Priority.POLL, limit=2):
                        raise AssertionError("three at once")

    async def test_goes_to_a_command_before_a_poller_that_asked_earlier(self, process):
        holder, commander, poller = process(), process(), process()
        order = []

        async def take(leases: Leases, priority: Priority) -> None:
            async with hold(leases, priority, timeout_s=5.0):
                order.append(priority)
                await asyncio.sleep(0.02)

        async with hold(holder):
            polling = asyncio.create_task(take(poller, Priority.POLL))
            await asyncio.sleep(0.1)
            commanding = asyncio.create_task(take(commander, Priority.COMMAND))
            async with asyncio.timeout(10):
                while not await poller.is_wanted(PLC):  # noqa: ASYNC110 - nobody tells
                    await asyncio.sleep(0.01)
        await asyncio.gather(polling, commanding)
        assert order == [Priority.COMMAND, Priority.POLL]

    async def test_of_another_plc_is_another(self, process):
        one, other = process(), process()
        async with hold(one), other.hold(8, limit=1, priority=Priority.COMMAND, timeout_s=0.1):
            pass

    async def test_lasts_longer_than_a_lease_where_it_is_renewed(self, process):
        one, other = process(life_s=1.5, renew_s=0.1), process()
        async with hold(one):
            await asyncio.sleep(2.0)
            with pytest.raises(TurnNotGot):
                async with hold(other):
                    raise AssertionError("two at once")


class TestAProcessThatMayTakeNone:
    async def test_is_told_so_before_redis_is_asked(self, process):
        with pytest.raises(TurnNotGot, match="another process"):
            async with hold(process("redis://127.0.0.1:1/0", may_take=lambda: False)):
                raise AssertionError("a turn at another's PLC")


class TestAProcessThatDies:
    async def test_frees_its_turn_within_the_life_of_a_lease(self, process):
        dead, other = process(life_s=1.0), process()
        clock = asyncio.get_running_loop().time
        begun_s = clock()
        await dead._get(PLC, "c-dead", limit=1, priority=Priority.COMMAND, timeout_s=1.0)  # and nobody renews it
        async with hold(other, timeout_s=10.0):
            assert clock() > begun_s + 0.9  # Redis's clock has whole milliseconds


class TestALeaseThatCannotBeRenewed:
    async def test_cuts_its_holder_before_another_can_have_it(self, process):
        one, other = process(life_s=1.5, renew_s=60.0), process()
        with pytest.raises(LeaseLost):
            async with hold(one):
                await asyncio.sleep(30)
        async with hold(other):
            pass

    async def test_that_somebody_took_away_cuts_its_holder_at_once(self, process):
        one = process(renew_s=0.05)

        async def lose_it() -> None:
            async with hold(one):
                await one._redis.delete(f"{one._prefix}:turn:{PLC}")
                await asyncio.sleep(30)

        with pytest.raises(LeaseLost):
            await lose_it()

    @pytest.mark.parametrize("is_taken", [True, False], ids=["taken away", "not confirmed"])
    async def test_closes_what_its_holder_has_open_however_long_he_takes_to_leave(self, process, is_taken):
        one, closed = process(life_s=1.5, renew_s=0.05 if is_taken else 60.0), asyncio.Event()

        async def leave_slowly() -> None:
            async with hold(one) as lease:
                with lease.closing(closed.set):
                    if is_taken:
                        await one._redis.delete(f"{one._prefix}:turn:{PLC}")
                    try:
                        await asyncio.sleep(30)
                    finally:
                        await asyncio.wait_for(closed.wait(), 10)

        with pytest.raises(LeaseLost):
            await leave_slowly()

    async def test_closes_nothing_after_it_was_given_back_or_while_it_is_renewed(self, process):
        one, closed = process(life_s=1.5, renew_s=0.1), asyncio.Event()
        async with hold(one) as lease:
            with lease.closing(closed.set):
                await asyncio.sleep(2.0)
        await asyncio.sleep(2.0)
        assert not closed.is_set()


class TestARedisThatIsAway:
    async def test_is_told_before_anything_is_sent(self, process):
        with pytest.raises(TurnsUnavailable, match="Redis"):
            async with hold(process("redis://127.0.0.1:1/0")):
                raise AssertionError("a turn that nobody shares")

    async def test_keeps_nobody_from_going_on_reading(self, process):
        assert not await process("redis://127.0.0.1:1/0").is_wanted(PLC)

    async def test_that_answers_nothing_is_told_within_a_limit(self, process):
        async def stay_mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()  # until the caller has gone
            writer.close()

        async with await asyncio.start_server(stay_mute, "127.0.0.1", 0) as mute:
            port = mute.sockets[0].getsockname()[1]
            with pytest.raises(TurnsUnavailable):
                async with asyncio.timeout(10), hold(process(f"redis://127.0.0.1:{port}/0")):
                    raise AssertionError("a turn that nobody shares")
