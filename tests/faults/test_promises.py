"""The four promises, whatever callers, machines, engineers and deaths come together in whatever order.

PROMISES=full looks for long and at random; otherwise few sequences, and the same ones each time.
"""

import asyncio
import json
import os

import httpx
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from tests.faults.crashing_serve import POINTS
from tests.faults.mes import Mes
from tests.faults.mortal_gateway import MortalGateway
from tests.faults.numbered_press import MISDEEDS, end_of
from tests.faults.plant import Plant

IS_FULL = os.environ.get("PROMISES") == "full"
DEPTH = settings(
    max_examples=150 if IS_FULL else 8,
    stateful_step_count=40 if IS_FULL else 12,
    derandomize=not IS_FULL,
    deadline=None,
    database=None,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)
STATUS = {"succeeded": 200, "rejected": 409, "faulted": 502, "failed": 503, "timed_out": 504, "unknown": 504}

some_press = st.integers(0, 1)

perhaps_a_misdeed = st.none() | st.sampled_from(MISDEEDS)
jobs = st.lists(st.tuples(some_press, perhaps_a_misdeed), min_size=1, max_size=5)


class Promises(RuleBasedStateMachine):
    """One plant; the gateway and the machines live on from sequence to sequence, what was recorded does not."""

    def __init__(self, plant: Plant) -> None:
        super().__init__()
        self.plant = plant
        plant.run(plant.begin())
        self.mes = plant.mes
        self.is_open = [False, False]
        """The door of each press."""
        self.is_enabled = [True, True]

    # --- callers and machines

    @rule(press=some_press, misdeed=perhaps_a_misdeed)
    def ask(self, press: int, misdeed: str | None) -> None:
        """One job, and its caller waits: he is told exactly how it ended."""
        number = self.mes.new_job(press, misdeed)
        answer = self.plant.run(self.mes.ask(number))
        assert answer is not None
        if not self.is_enabled[press]:
            assert (answer.status_code, code_of(answer)) == (503, "plc-disabled")
            return
        end = end_of(number, misdeed, is_open=self.is_open[press])
        run = self.mes.told[number]
        assert run is not None
        assert (run["state"], answer.status_code) == (end, STATUS[end]), run

    @precondition(lambda self: any(self.is_enabled))
    @rule()
    def vanish(self) -> None:
        """A press is lost before its plain job comes: not told, and no moment is named. The next one is carried out."""
        press = self.is_enabled.index(True)
        self.mes.presses[press].vanish_once()
        for end in ("failed", "succeeded"):
            number = self.mes.new_job(press, plain=True)
            answer = self.plant.run(self.mes.ask(number))
            run = self.mes.told[number]
            assert answer is not None
            assert run is not None
            assert (run["state"], answer.status_code) == (end, STATUS[end]), run
            assert (run["triggered_at"] is None) == (end == "failed")

    @rule(given=jobs)
    def ask_at_once(self, given: list[tuple[int, str | None]]) -> None:
        """Several in the same moment."""
        answers = self.plant.run(self.plant.ask(self.new_jobs(given)))
        assert None not in answers

    @rule(given=jobs, patience_ms=st.integers(0, 60))
    def hang_up(self, given: list[tuple[int, str | None]], patience_ms: int) -> None:
        """The callers go away; the runs go on."""
        self.plant.run(self.plant.ask(self.new_jobs(given), patience_s=patience_ms / 1000))

    @precondition(lambda self: self.mes.told or self.mes.unanswered)
    @rule(choice=st.randoms(use_true_random=False))
    def ask_again(self, choice: object) -> None:
        """A job of before, under its key."""
        number = choice.choice(sorted({*self.mes.told, *self.mes.unanswered}))  # type: ignore[attr-defined]
        self.plant.run(self.mes.ask(number))

    # --- people

    @rule(press=some_press)
    def use_the_door(self, press: int) -> None:
        """Open or close it."""
        self.is_open[press] = not self.is_open[press]
        self.mes.presses[press].open_door(self.is_open[press])

    @rule(press=some_press, given=jobs)
    def change_the_registry(self, press: int, given: list[tuple[int, str | None]]) -> None:
        """Disable or enable the PLC while it has jobs."""
        self.is_enabled[press] = not self.is_enabled[press]
        self.plant.run(self.plant.change(press, self.is_enabled[press], self.new_jobs(given)))

    # --- ends of the gateway

    @rule(given=jobs)
    def restart(self, given: list[tuple[int, str | None]]) -> None:
        """It is told to end, and started again."""
        self.plant.run(self.plant.restart(self.new_jobs(given)))

    @rule(given=jobs, point=st.none() | st.sampled_from(POINTS), delay_ms=st.integers(0, 60))
    def crash(self, given: list[tuple[int, str | None]], point: str | None, delay_ms: int) -> None:
        """It is killed, and started again."""
        self.plant.run(self.plant.crash(point, delay_ms / 1000, self.new_jobs(given)))

    # --- what is always so

    @invariant()
    def every_promise_is_kept(self) -> None:
        """Whatever came last: at rest, record, machines and callers agree."""
        self.plant.run(self.plant.come_to_rest())

    def new_jobs(self, given: list[tuple[int, str | None]]) -> list[int]:
        return [self.mes.new_job(press, misdeed) for press, misdeed in given]


class TestTheFourPromises:
    async def test_are_kept_in_any_order_of_events(self, mortal: MortalGateway, caller: Mes):
        await mortal.start()
        plant = Plant(mortal, caller)
        await asyncio.to_thread(run_state_machine_as_test, lambda: Promises(plant), settings=DEPTH)
        assert await mortal.end() == 0


def code_of(answer: httpx.Response) -> str:
    """What kind of problem it is."""
    return str(json.loads(answer.content)["type"]).rpartition(":")[2]
