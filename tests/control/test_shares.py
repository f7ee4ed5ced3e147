"""Pollers share the PLCs among themselves: each `Member` here stands for a process of its own, over a real Redis."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Set
from contextlib import AsyncExitStack

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis

from devices.control.claims import Claims
from devices.control.shares import Shares, share_of
from tests.doubles.leaks import settle
from tests.doubles.redis import NEEDS_REDIS, REDIS_URL

LIMIT_S = 20.0  # for what takes a second or two on a computer that has nothing else to do

drawn = settings(max_examples=30, deadline=None, database=None)
names = st.lists(st.text("0123456789abcdef", min_size=12, max_size=12), min_size=1, max_size=6, unique=True)


class TestTheChoice:
    @drawn
    @given(names)
    def test_gives_each_plc_to_exactly_one(self, pollers):
        shares = [share_of(name, pollers, range(300)) for name in pollers]
        assert sorted(plc_id for share in shares for plc_id in share) == [*range(300)]

    @drawn
    @given(names, st.text("0123456789abcdef", min_size=13, max_size=13))
    def test_moves_only_the_plcs_of_who_comes_or_goes(self, pollers, other):
        for name in pollers:
            without, beside = share_of(name, pollers, range(300)), share_of(name, [*pollers, other], range(300))
            assert beside <= without
            assert without - beside <= share_of(other, [*pollers, other], range(300))

    @drawn
    @given(names)
    def test_is_fair(self, pollers):
        fair = 2000 / len(pollers)
        for name in pollers:
            assert abs(len(share_of(name, pollers, range(2000))) - fair) < 8 * fair**0.5

    def test_does_not_depend_on_the_order(self):
        assert share_of("a", ["a", "b", "c"], range(50)) == share_of("a", ["c", "a", "b"], range(50))

    def test_gives_nothing_to_one_that_leaves(self):
        assert share_of("a", ["b"], range(50)) == frozenset()


class Plant:
    """Sees who polls what, and that it is never two."""

    def __init__(self, *plc_ids: int) -> None:
        self.plc_ids = frozenset(plc_ids)
        self.polled: dict[int, list[Member]] = {plc_id: [] for plc_id in plc_ids}
        self.met: list[int] = []
        """PLCs at which two were at once."""

    @property
    def is_polled(self) -> bool:
        return all(len(members) == 1 for members in self.polled.values())


class Member:
    """A poller that needs a moment to leave a PLC."""

    def __init__(self, plant: Plant, claims: Claims) -> None:
        self.plant = plant
        self.claims = claims
        self.shares = Shares(claims, watch=self, every_s=0.1)
        self.shares.refresh(plant.plc_ids)
        self.stuck: set[int] = set()
        """PLCs whose exchange under way does not end."""
        self._leaving: set[int] = set()
        self.running = asyncio.create_task(self.shares.run())

    @property
    def polled(self) -> set[int]:
        return {plc_id for plc_id, members in self.plant.polled.items() if self in members}

    async def take_over(self, plc_ids: Set[int]) -> None:
        await asyncio.sleep(0.01)
        for plc_id in plc_ids & self.shares.owned:
            self.plant.met += [plc_id] if self.plant.polled[plc_id] else []
            self.plant.polled[plc_id].append(self)

    def let_go(self, plc_ids: Set[int]) -> None:
        self._leaving |= plc_ids
        asyncio.get_running_loop().call_later(0.05, self._leave)

    def _leave(self) -> None:
        for plc_id in self._leaving & self.polled - self.stuck:
            self.plant.polled[plc_id].remove(self)
        self._leaving &= self.stuck

    def is_quiet(self, plc_id: int) -> bool:
        self._leave()
        return plc_id not in self._leaving

    async def publish(self) -> None:
        pass

    async def end(self) -> None:
        """In good order."""
        await self._stop()
        await self.shares.hand_over()
        await self.shares.leave()

    async def die(self) -> None:
        """Say no more; the machine hears nothing more of it either."""
        await self._stop()
        self.shares._stop_limit()
        for members in self.plant.polled.values():
            members[:] = [member for member in members if member is not self]

    async def _stop(self) -> None:
        self.running.cancel()
        await asyncio.gather(self.running, return_exceptions=True)


@pytest.fixture
async def prefix() -> AsyncIterator[str]:
    """Of pollers that share with each other and with those of no other test; Redis has been up for long."""
    name = f"test-{secrets.token_hex(6)}"
    async with Redis.from_url(REDIS_URL, decode_responses=True) as redis:
        run = (await redis.info("server"))["run_id"]
        await redis.hset(f"{name}:sharing", mapping={"run": run, "since": 0})
        yield name


@pytest.fixture
async def redis(prefix: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(REDIS_URL, decode_responses=True) as redis:
        yield redis


@pytest.fixture
def plant() -> Plant:
    return Plant(*range(1, 41))


@pytest.fixture
async def begin(plant: Plant, prefix: str) -> AsyncIterator[Callable[..., Member]]:
    """Starts a poller."""
    async with AsyncExitStack() as stack:

        def make(**more: object) -> Member:
            claims = Claims(**{"url": REDIS_URL, "prefix": prefix, "life_s": 2.0} | more)
            member = Member(plant, claims)
            stack.push_async_callback(claims.close)
            stack.push_async_callback(member.die)
            return member

        yield make


@NEEDS_REDIS
class TestPollers:
    async def test_poll_all_and_each_plc_once(self, begin, plant):
        members = [begin() for _ in range(3)]
        assert await settle(lambda: plant.is_polled and all(member.polled for member in members), LIMIT_S)
        assert plant.met == []

    async def test_go_on_after_their_end_of_a_life_met_a_bug(self, begin, plant, redis, prefix, monkeypatch):
        one = begin()
        assert await settle(lambda: len(one.polled) == 40, LIMIT_S)
        let_go, met = one.let_go, []

        def fail_once(plc_ids: Set[int]) -> None:
            let_go(plc_ids)
            met.append(1)
            if len(met) == 1:
                raise RuntimeError("a bug")

        monkeypatch.setattr(one, "let_go", fail_once)
        await redis.delete(f"{prefix}:pollers")  # it has not heard of this one for too long
        assert await settle(lambda: met and len(one.polled) == 40, LIMIT_S)
        assert not one.running.done()

    async def test_give_one_that_comes_its_share(self, begin, plant):
        one = begin()
        assert await settle(lambda: len(one.polled) == 40, LIMIT_S)
        other = begin()
        wanted = share_of(other.claims.name, [one.claims.name, other.claims.name], plant.plc_ids)
        assert await settle(lambda: other.polled == wanted and plant.is_polled, LIMIT_S)
        assert plant.met == []

    async def test_take_the_plcs_of_one_that_dies_and_keep_their_own(self, begin, plant):
        members = [begin() for _ in range(3)]
        assert await settle(lambda: plant.is_polled and all(member.polled for member in members), LIMIT_S)
        dead, *others = members
        before = [other.polled for other in others]
        await dead.die()
        assert await settle(lambda: plant.is_polled, LIMIT_S)
        assert all(kept <= other.polled for kept, other in zip(before, others, strict=True))
        assert plant.met == []

    async def test_go_on_at_once_where_one_ends_in_good_order(self, begin, plant):
        one, other = begin(life_s=60.0), begin(life_s=60.0)
        assert await settle(lambda: plant.is_polled and one.polled and other.polled, LIMIT_S)
        await one.end()
        assert one.polled == set()
        assert await settle(lambda: len(other.polled) == 40, LIMIT_S), "long before that life would have ended"
        assert plant.met == []

    async def test_wait_for_an_exchange_under_way_at_one_plc_and_not_at_the_others(self, begin, plant):
        one = begin()
        assert await settle(lambda: len(one.polled) == 40, LIMIT_S)
        one.stuck = {7, 8}
        await one._stop()
        leaving, other = asyncio.create_task(one.shares.hand_over()), begin()
        assert await settle(lambda: other.polled == plant.plc_ids - {7, 8}, LIMIT_S)
        assert one.polled == {7, 8}
        one.stuck.clear()
        await leaving
        assert await settle(lambda: len(other.polled) == 40, LIMIT_S)
        assert plant.met == []

    async def test_poll_no_deleted_plc_and_every_new_one(self, begin, plant):
        members = [begin() for _ in range(2)]
        assert await settle(lambda: plant.is_polled, LIMIT_S)
        plant.polled[99] = []
        for member in members:
            member.shares.refresh(plant.plc_ids - {1} | {99})
        assert await settle(lambda: not plant.polled[1] and len(plant.polled[99]) == 1, LIMIT_S)

    async def test_share_more_plcs_than_one_question_holds(self, prefix):
        plant = Plant(*range(1200))
        claims = Claims(REDIS_URL, prefix=prefix)
        member = Member(plant, claims)
        assert await settle(lambda: len(member.polled) == 1200, LIMIT_S)
        await member.die()
        await claims.close()


@NEEDS_REDIS
class TestAPollerThatStoodStill:
    async def test_stops_before_others_may_begin_by_its_own_clock(self, begin, plant):
        one = begin()
        assert await settle(lambda: len(one.polled) == 40, LIMIT_S)
        assert one.shares.holds
        await one._stop()  # nothing is told to Redis any more, and nobody tells it so
        assert await settle(lambda: not one.shares.holds, LIMIT_S)
        assert await settle(lambda: one.polled == set(), LIMIT_S)
        other = begin()
        assert await settle(lambda: len(other.polled) == 40, LIMIT_S)
        assert plant.met == []

    async def test_takes_its_share_again_in_another_life(self, begin, plant, redis, prefix, caplog):
        one, other = begin(), begin()
        assert await settle(lambda: plant.is_polled and one.polled and other.polled, LIMIT_S)
        share, token = one.polled, one.claims.token
        await redis.zrem(f"{prefix}:pollers", token)  # as where it was not heard of for too long
        assert await settle(lambda: one.claims.token != token, LIMIT_S)
        assert await settle(lambda: plant.is_polled and one.polled == share, LIMIT_S)
        assert "this process polls no PLC for now" in caplog.text


@NEEDS_REDIS
class TestRedis:
    async def test_away_ends_all_polling_and_back_lets_it_go_on(self, begin, plant, caplog):
        one = begin()
        assert await settle(lambda: len(one.polled) == 40, LIMIT_S)
        there, one.claims._redis = one.claims._redis, Redis.from_url("redis://127.0.0.1:1/0")
        script, one.claims._settle = one.claims._settle, one.claims._redis.register_script("return 1")
        assert await settle(lambda: one.polled == set(), LIMIT_S)
        assert caplog.text.count("the PLCs cannot be shared") == 1
        one.claims._redis, one.claims._settle = there, script
        assert await settle(lambda: len(one.polled) == 40, LIMIT_S)

    async def test_that_lost_all_lets_no_two_poll_one_plc(self, begin, plant, redis, prefix):
        members = [begin() for _ in range(3)]
        assert await settle(lambda: plant.is_polled and all(member.polled for member in members), LIMIT_S)
        await redis.delete(*[f"{prefix}:{kind}" for kind in ("pollers", "polled", "sharing")])
        assert await settle(lambda: not any(plant.polled.values()), LIMIT_S)
        assert await settle(lambda: plant.is_polled, LIMIT_S)
        assert plant.met == []

    async def test_that_was_started_again_grants_nothing_until_all_earlier_lives_are_over(self, prefix, redis):
        await redis.hset(f"{prefix}:sharing", "run", "another one")
        claims = Claims(REDIS_URL, prefix=prefix, life_s=1.0)
        told = await claims.settle(claimed=[1])
        assert (told.is_early, told.granted) == (True, frozenset())
        await asyncio.sleep(1.1)
        claims.begin_anew()
        assert (await claims.settle(claimed=[1])).granted == {1}
        await claims.close()
