"""Killed at any moment: no run lost, none left open, none told twice, and none that says what its machine did not see.

CRASHES=100 is the full count; CRASHES_SEED repeats the choices of a run that failed.
"""

import asyncio
import logging
import os
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from random import Random, SystemRandom

import pytest

from devices.models import State
from tests.doubles.fault_server import FaultServer
from tests.faults import promises
from tests.faults.crashing_serve import AMID_RECOVERY, POINTS
from tests.faults.mes import Mes
from tests.faults.mortal_gateway import MortalGateway
from tests.faults.numbered_press import NumberedPress
from tests.faults.numbered_rows import register
from tests.serving.fixtures import environment, key  # noqa: F401 - fixtures
from tests.serving.records import stored_runs

TRIGGER_ARRIVED = "the trigger has arrived and is not answered"
ANY_MOMENT = "any moment"
NAMED = (*POINTS, TRIGGER_ARRIVED, AMID_RECOVERY)
PLACES = (*NAMED, *(ANY_MOMENT,) * 6)

COUNT = int(os.environ.get("CRASHES", len(PLACES)))
SEED = int(os.environ.get("CRASHES_SEED", SystemRandom().randrange(2**32)))
LONGEST_LIFE_S = 0.7


@pytest.fixture
async def presses() -> AsyncIterator[list[NumberedPress]]:
    """Two of them; they outlive every gateway."""
    async with AsyncExitStack() as stack:
        yield [NumberedPress(await stack.enter_async_context(FaultServer())) for _ in range(2)]


@pytest.fixture
def registry(transactional_db: None, presses: list[NumberedPress]) -> None:
    """`press-0` and `press-1`."""
    register(presses)


@pytest.fixture
async def gateway(environment: dict[str, str], tmp_path: Path) -> AsyncIterator[MortalGateway]:  # noqa: F811
    """Not started yet."""
    gateway = MortalGateway(tmp_path, environment)
    yield gateway
    await gateway.close()


@pytest.fixture
def random() -> Random:
    return Random(SEED)


@pytest.fixture
def mes(gateway: MortalGateway, key: str, presses: list[NumberedPress], random: Random) -> Mes:  # noqa: F811
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it logs a line for each call
    return Mes(gateway, key, presses, random)


class TestAGatewayThatIsKilled:
    async def test_keeps_every_promise(
        self, gateway: MortalGateway, presses: list[NumberedPress], mes: Mes, random: Random
    ):
        print(f"CRASHES={COUNT} CRASHES_SEED={SEED}")
        for place in places(random):
            await live_until(place, gateway, presses, mes, random)
            await gateway.start()
            promises.nothing_open(await stored_runs())
            await mes.ask_again()
        assert await gateway.end() == 0
        runs, started = await stored_runs(), [number for press in presses for number in press.started]
        promises.all_kept(runs, started, mes.told)
        assert_was_worth_it(mes, Counter(State(run.state) for run in runs))


def places(random: Random) -> list[str]:
    """Where to die: each place once before any of them twice, in any order."""
    rounds = -(-COUNT // len(PLACES))
    return [place for _ in range(rounds) for place in random.sample(PLACES, len(PLACES))][:COUNT]


async def live_until(
    place: str, gateway: MortalGateway, presses: list[NumberedPress], mes: Mes, random: Random
) -> None:
    """One life under the calls of the MES, from ready to dead."""
    if getattr(gateway, "server", None) is None or gateway.server.process.poll() is not None:
        await gateway.start()
    calls = asyncio.create_task(mes.work())
    await asyncio.sleep(random.uniform(0.0, LONGEST_LIFE_S))
    if place in POINTS:
        gateway.die_at(place)
    elif place == TRIGGER_ARRIVED:
        random.choice(presses).kill = gateway.kill
    else:
        gateway.kill()
    await gateway.dead()
    await calls
    if place == AMID_RECOVERY:
        await gateway.die_amid_recovery()


def assert_was_worth_it(mes: Mes, ends: Counter[State]) -> None:
    """Crashes and faults met runs at all: what is true of nothing proves nothing."""
    assert {State.SUCCEEDED, State.FAILED, State.UNKNOWN} <= ends.keys(), ends
    assert ends[State.SUCCEEDED] > COUNT
    assert len(mes.told) > COUNT
