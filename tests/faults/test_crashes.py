"""Killed at any moment: no run lost, none left open, none told twice, and none that says what its machine did not see.

CRASHES=100 is the full count; CRASHES_SEED makes the choices of an earlier run again.
"""

import asyncio
import logging
import os
from collections import Counter
from collections.abc import Callable
from random import Random, SystemRandom

import pytest

from devices.models import State
from tests.doubles.leaks import settle
from tests.faults import promises
from tests.faults.crashing_serve import AMID_RECOVERY, POINTS
from tests.faults.mes import ANSWER_S, Mes
from tests.faults.mortal_gateway import DEATH_S, MortalGateway
from tests.faults.numbered_press import MISDEEDS, NumberedPress

logger = logging.getLogger(__name__)

TRIGGER_ARRIVED = "the trigger has arrived and is not answered"
ANY_MOMENT = "any moment"
PLACES = (*POINTS, TRIGGER_ARRIVED, AMID_RECOVERY, *(ANY_MOMENT,) * 4)

COUNT = int(os.environ.get("CRASHES", len(PLACES)))
SEED = int(os.environ.get("CRASHES_SEED", SystemRandom().randrange(2**32)))
CALLERS = 5
FAULTY, HANGING_UP, DOOR_OPEN, VANISHING = 0.2, 0.1, 0.05, 0.05  # of all commands
LONGEST_LIFE = 15  # answers, then death comes


@pytest.fixture
def random() -> Random:
    return Random(SEED)


class TestAGatewayThatIsKilled:
    async def test_keeps_every_promise(self, mortal: MortalGateway, caller: Mes, random: Random):
        logger.warning("CRASHES=%d CRASHES_SEED=%d", COUNT, SEED)  # shown where it fails
        await mortal.start()
        for place in places(random):
            await live_until(place, mortal, caller, random)
            await mortal.start()
            logger.warning("died at %s, and lives again", place)
            promises.nothing_open(await promises.are_kept(caller))
            await caller.ask_again(answered=CALLERS)
        assert await mortal.end() == 0
        runs = await promises.are_kept(caller)
        promises.nothing_open(runs)
        assert_was_worth_it(caller, Counter(State(run.state) for run in runs))
        plain = {State(run.state) for run in runs if run.command == "knock"}
        assert plain >= {State.SUCCEEDED, State.UNKNOWN}


def places(random: Random) -> list[str]:
    """Where to die: each place once before any of them twice, in any order."""
    rounds = -(-COUNT // len(PLACES))
    return [place for _ in range(rounds) for place in random.sample(PLACES, len(PLACES))][:COUNT]


async def live_until(place: str, gateway: MortalGateway, mes: Mes, random: Random) -> None:
    """The rest of a life under the calls of the MES, until the gateway is dead."""
    answers = len(mes.told) + random.randrange(LONGEST_LIFE)
    async with asyncio.TaskGroup() as group:
        for _ in range(CALLERS):
            group.create_task(call_until_dead(gateway, mes, random))
        assert await settle(lambda: len(mes.told) >= answers, DEATH_S), "the gateway does not answer"
        await asyncio.sleep(random.uniform(0.0, 0.1))
        ways_to_die(gateway, random.choice(mes.presses)).get(place, gateway.kill)()
        await gateway.dead()
    if place == AMID_RECOVERY:
        await gateway.die_amid_recovery()


def ways_to_die(gateway: MortalGateway, press: NumberedPress) -> dict[str, Callable[[], None]]:
    """Places that must be come to; at all others it is killed at once."""

    def at(point: str) -> Callable[[], None]:
        return lambda: gateway.die_at(point)

    return {point: at(point) for point in POINTS} | {TRIGGER_ARRIVED: lambda: press.kill_on_trigger(gateway.kill)}


async def call_until_dead(gateway: MortalGateway, mes: Mes, random: Random) -> None:
    """One job after the other, on any press; some meet a fault or an open door, some callers hang up."""
    while not gateway.is_dead:
        press = random.randrange(len(mes.presses))
        mes.presses[press].open_door(random.random() < DOOR_OPEN)
        if random.random() < VANISHING:
            mes.presses[press].vanish_once()
        number = mes.new_job(press, random.choice(MISDEEDS) if random.random() < FAULTY else None)
        await mes.ask(number, patience_s=random.uniform(0.0, 0.2) if random.random() < HANGING_UP else ANSWER_S)


def assert_was_worth_it(mes: Mes, ends: Counter[State]) -> None:
    """Crashes and faults met runs at all: what is true of nothing proves nothing."""
    logger.warning("%d answered, %d not; %s", len(mes.told), len(mes.unanswered), dict(ends))
    assert {State.SUCCEEDED, State.FAILED, State.UNKNOWN} <= ends.keys()
    assert ends[State.SUCCEEDED] > COUNT
    assert len(mes.told) > COUNT
