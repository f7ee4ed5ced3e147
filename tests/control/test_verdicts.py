"""A person says what the machine did in a run that nobody knew the end of."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from devices.control.callers import Caller
from devices.control.errors import InvalidParameters, PersonNeeded, RightMissing, RunSettled, UnknownRun
from devices.control.gateway import Gateway
from devices.control.records import RunRecord
from devices.control.rights import EVERYTHING
from devices.control.verdicts import Verdict, verdict_of
from devices.models import PLC, Effect, State
from tests.control.doubtful import IS_ACTIVE, PLACES, command, is_as_before, left, row
from tests.control.rows import MES
from tests.doubles import faults
from tests.doubles.fault_server import FaultServer

ANNA = Caller(name="user anna", source="10.0.0.9", rights=EVERYTHING, may_judge=True)
SEEN = "parts lie in the tray"
DONE = Verdict(state=State.SUCCEEDED, effect=Effect.APPLIED, reason=SEEN)
NOT_DONE = Verdict(state=State.FAULTED, effect=Effect.NONE, reason=SEEN)
HALF_DONE = Verdict(state=State.FAULTED, effect=Effect.APPLIED, reason=SEEN)


class TestAVerdict:
    @pytest.mark.parametrize("state", [State.UNKNOWN, State.TIMED_OUT])
    @pytest.mark.parametrize(
        ("verdict", "retry", "says"),
        [
            (DONE, "", "that it succeeded"),
            (NOT_DONE, "after_fix", "that it faulted, effect none"),
            (HALF_DONE, "after_fix", "that it faulted, effect applied"),
        ],
    )
    async def test_settles_the_run_and_keeps_what_was_said_of_it(
        self, machine: FaultServer, line: PLC, gateway: Gateway, state: State, verdict: Verdict, retry: str, says: str
    ) -> None:
        before = await left(line, None, state=state)
        run = await gateway.reconciler.judge(before.pk, verdict, ANNA)
        assert (run.state, run.effect, run.retry) == (verdict.state, verdict.effect, retry)
        assert run.detail == f"Looked at by user anna, who says {says}: {SEEN}"
        (earlier,) = run.history
        assert (earlier["state"], earlier["detail"], earlier["by"]) == (state, "lost", "user anna")
        assert RunRecord.from_row(await row(before.pk)) == run
        assert machine.connects == 0

    async def test_is_not_taken_from_a_machine_s_key(self, line: PLC, gateway: Gateway) -> None:
        before = RunRecord.from_row(await left(line, None))
        with pytest.raises(PersonNeeded, match="only a person"):
            await gateway.reconciler.judge(before.id, DONE, MES)
        assert await is_as_before(before)

    async def test_is_not_taken_from_a_person_without_the_right(self, line: PLC, gateway: Gateway) -> None:
        before = RunRecord.from_row(await left(line, None))
        with pytest.raises(RightMissing, match=r"user anna lacks the permission devices\.change_run"):
            await gateway.reconciler.judge(before.id, DONE, replace(ANNA, may_judge=False))
        assert await is_as_before(before)

    @pytest.mark.parametrize("state", [state for state in State if state not in (State.UNKNOWN, State.TIMED_OUT)])
    async def test_changes_nothing_that_is_open_or_known(self, line: PLC, gateway: Gateway, state: State) -> None:
        before = RunRecord.from_row(await left(line, None, state=state))
        with pytest.raises(RunSettled):
            await gateway.reconciler.judge(before.id, DONE, ANNA)
        assert await is_as_before(before)

    async def test_of_a_run_that_is_not_recorded_is_refused(self, gateway: Gateway) -> None:
        with pytest.raises(UnknownRun):
            await gateway.reconciler.judge(999, DONE, ANNA)

    async def test_comes_first_and_the_other_s_is_told_so(self, line: PLC, gateway: Gateway) -> None:
        before = await left(line, None)
        ends = await asyncio.gather(
            *(gateway.reconciler.judge(before.pk, verdict, ANNA) for verdict in (DONE, NOT_DONE)),
            return_exceptions=True,
        )
        (won,) = [end for end in ends if isinstance(end, RunRecord)]
        (lost,) = [end for end in ends if isinstance(end, RunSettled)]
        assert lost.run == won == RunRecord.from_row(await row(before.pk))
        assert len(won.history) == 1

    async def test_that_comes_while_the_plc_is_read_stands(
        self, machine: FaultServer, line: PLC, gateway: Gateway
    ) -> None:
        machine.names.update(PLACES)
        machine.discrete_inputs[8] = 1
        machine.misbehave(faults.late(0.1), at="active")
        before = await left(line, command(IS_ACTIVE))
        reading = asyncio.create_task(gateway.reconciler.read(before.pk, MES))
        await asyncio.sleep(0.03)
        judged = await gateway.reconciler.judge(before.pk, NOT_DONE, ANNA)
        assert await reading == judged == RunRecord.from_row(await row(before.pk))
        assert (judged.state, len(judged.history)) == (State.FAULTED, 1)


class TestWhatIsGiven:
    @pytest.mark.parametrize(
        ("given", "verdict"),
        [
            ({"state": "succeeded", "reason": f"  {SEEN} "}, DONE),
            ({"state": "faulted", "effect": "none", "reason": SEEN}, NOT_DONE),
            ({"state": "faulted", "effect": "applied", "reason": SEEN}, HALF_DONE),
        ],
    )
    def test_is_a_verdict(self, given: dict[str, Any], verdict: Verdict) -> None:
        assert verdict_of(given) == verdict

    @pytest.mark.parametrize(
        ("given", "fields"),
        [
            ({"reason": SEEN}, {"state"}),
            ({"state": "unknown", "reason": SEEN}, {"state"}),
            ({"state": None, "reason": SEEN}, {"state"}),
            ({"state": True}, {"state", "reason"}),
            ({"state": "succeeded"}, {"reason"}),
            *(
                ({"state": "succeeded", "reason": reason}, {"reason"})
                for reason in (
                    "short",
                    " " * 20,
                    "x" * 501,
                    1234567890,
                    None,
                    f"{SEEN}\x07",
                    f"{SEEN}\u202e",
                    "a\nb" * 9,
                )
            ),
            ({"state": "faulted", "reason": SEEN}, {"effect"}),
            ({"state": "faulted", "effect": "unknown", "reason": SEEN}, {"effect"}),
            ({"state": "succeeded", "effect": "none", "reason": SEEN}, {"effect"}),
            ({"state": "succeeded", "reason": SEEN, "why": SEEN}, {"why"}),
        ],
    )
    def test_is_refused_with_each_wrong_field_named(self, given: dict[str, Any], fields: set[str]) -> None:
        with pytest.raises(InvalidParameters) as refusal:
            verdict_of(given)
        assert {field for field, _ in refusal.value.errors} == fields
        assert all(fault for _, fault in refusal.value.errors)
