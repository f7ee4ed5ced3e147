"""A run that nobody knew the end of: what a read may prove, and what it may not. Nothing is ever written by it."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from channels.db import database_sync_to_async
from django.utils import timezone

from devices.control import restored
from devices.control.errors import NotProvable, NotProven, NotRead, PLCDisabled, RunSettled, UnknownRun
from devices.control.gateway import Gateway
from devices.control.records import RunRecord
from devices.modbus.types import DataType, Table, TagSpec
from devices.models import PLC, Effect, Run, State, Step
from devices.plc.specs import Operator, ParameterSpec, ParameterType, Phase, StepSpec
from tests.control import doubtful
from tests.control.databases import elsewhere, eventually
from tests.control.doubtful import (
    ACTIVE,
    ECHO,
    IS_ACTIVE,
    IS_OURS,
    PROOF,
    START,
    command,
    is_as_before,
    left,
    lost,
    proof,
    row,
)
from tests.control.rows import MES, call
from tests.control.test_announce import Listener
from tests.doubles import faults
from tests.doubles.fault_server import FaultServer

ACTIVE_BIT, ECHO_REGISTER = 8, 20
RESULT_REGISTER = 21
RESULT = TagSpec(
    name="result", table=Table.INPUT_REGISTER, address=21, data_type=DataType.UINT16, labels={3: "clamp open"}
)
IS_REFUSED = StepSpec(phase=Phase.FAIL_IF, tag=RESULT, operator=Operator.NOT_EQUAL, value=0)
ACKNOWLEDGED = StepSpec(phase=Phase.WAIT, tag=ACTIVE, operator=Operator.EQUAL, value=True)
TO_TEN = replace(ECHO, name="number", table=Table.HOLDING_REGISTER, address=40, maximum=Decimal(10))


@pytest.fixture
def tool(machine: FaultServer) -> FaultServer:
    """The machine, with a bit that shows that it is active and a register that shows the number of its run."""
    machine.names.update(doubtful.PLACES | {"result": (RESULT.table, RESULT.address)})
    return machine


@pytest.fixture
def active(tool: FaultServer) -> FaultServer:
    """It shows that it is active."""
    tool.discrete_inputs[ACTIVE_BIT] = 1
    return tool


async def settled(gateway: Gateway, run_id: int, machine: FaultServer) -> RunRecord:
    """Have it read, and see that nothing was written by it."""
    writes = len(machine.writes)
    try:
        return await gateway.reconciler.read(run_id, MES)
    finally:
        assert len(machine.writes) == writes


class TestARun:
    @pytest.mark.mute
    async def test_whose_proof_holds_succeeded_and_keeps_what_was_said_of_it(
        self, tool: FaultServer, line: PLC, gateway: Gateway
    ) -> None:
        await doubtful.make_command(line, PROOF)
        before = await lost(tool)
        tool.discrete_inputs[ACTIVE_BIT] = 1
        run = await settled(gateway, before.id, tool)
        assert (run.state, run.effect, run.retry) == (State.SUCCEEDED, Effect.APPLIED, "")
        assert run.detail == "Proven afterwards by a read of the PLC: active is true, wanted == true."
        (earlier,) = run.history
        assert (earlier["state"], earlier["effect"], earlier["retry"]) == ("unknown", "unknown", "after_reconcile")
        assert (earlier["detail"], earlier["by"]) == (before.detail, MES.name)
        assert before.finished_at is not None
        assert earlier["finished_at"] == before.finished_at.isoformat()
        assert RunRecord.from_row(await row(before.id)) == run
        assert run.trace == before.trace
        assert tool.writes_to("start") == [1, 0], "the run's own, and no more"

    async def test_that_timed_out_may_be_proven_too(self, active: FaultServer, line: PLC, gateway: Gateway) -> None:
        before = await left(line, command(IS_ACTIVE), state=State.TIMED_OUT)
        assert (await settled(gateway, before.pk, active)).history[0]["state"] == "timed_out"

    @pytest.mark.mute
    async def test_whose_proof_does_not_hold_stays_as_it_is(
        self, tool: FaultServer, line: PLC, gateway: Gateway
    ) -> None:
        await doubtful.make_command(line, PROOF | {"message": "not active"})
        before = await lost(tool)
        with pytest.raises(NotProven, match=r"not active \(active is false, wanted == true\)") as refusal:
            await settled(gateway, before.id, tool)
        assert [(clause.step.tag.name, clause.is_met) for clause in refusal.value.clauses] == [("active", False)]
        assert RunRecord.from_row(await row(before.id)) == refusal.value.run
        assert refusal.value.run.version == before.version

    async def test_needs_all_its_proofs(self, active: FaultServer, line: PLC, gateway: Gateway) -> None:
        before = RunRecord.from_row(await left(line, command(IS_ACTIVE, proof(ECHO, 7))))
        with pytest.raises(NotProven) as refusal:
            await settled(gateway, before.id, active)
        assert [clause.is_met for clause in refusal.value.clauses] == [True, False]
        assert await is_as_before(before)
        active.input_registers[ECHO_REGISTER] = 7
        assert (await settled(gateway, before.id, active)).state is State.SUCCEEDED

    async def test_whose_proof_the_plc_refuses_to_show_stays_as_it_is(
        self, active: FaultServer, line: PLC, gateway: Gateway
    ) -> None:
        before = RunRecord.from_row(await left(line, command(IS_ACTIVE)))
        active.misbehave(faults.exception(2), at="active")
        with pytest.raises(NotProven, match=r"active was not read \(.*exception 2"):
            await settled(gateway, before.id, active)
        assert await is_as_before(before)

    async def test_that_the_plc_did_with_an_error_stays_as_it_is(
        self, tool: FaultServer, line: PLC, gateway: Gateway
    ) -> None:
        """It echoes the number of each request that it has dealt with, and says in another register how."""
        before = RunRecord.from_row(await left(line, command(IS_OURS, IS_REFUSED), sequence=7))
        tool.input_registers[ECHO_REGISTER], tool.input_registers[RESULT_REGISTER] = 7, 3
        with pytest.raises(NotProven, match=r"the PLC reports an error: result is 3 \(clamp open\)"):
            await settled(gateway, before.id, tool)
        assert await is_as_before(before)
        tool.input_registers[RESULT_REGISTER] = 0
        run = await settled(gateway, before.id, tool)
        assert (run.state, "result is 0" in run.detail) == (State.SUCCEEDED, True)

    @pytest.mark.parametrize("fault", [faults.mute, faults.reset_before, faults.transaction(0)])
    @pytest.mark.mute
    async def test_of_a_plc_that_does_not_answer_stays_as_it_is(
        self, active: FaultServer, line: PLC, gateway: Gateway, fault: Any
    ) -> None:
        before = RunRecord.from_row(await left(line, command(IS_ACTIVE)))
        active.misbehave(fault)
        with pytest.raises(NotRead) as refusal:
            await settled(gateway, before.id, active)
        assert refusal.value.retry_after_s > 0
        assert await is_as_before(before)

    @pytest.mark.mute
    async def test_is_proven_by_the_command_as_it_stood_then(
        self, tool: FaultServer, line: PLC, gateway: Gateway
    ) -> None:
        await doubtful.make_command(line, PROOF)
        before = await lost(tool)
        await Step.objects.filter(phase="proof").aupdate(value="0")
        with pytest.raises(NotProven):
            await settled(gateway, before.id, tool)
        tool.discrete_inputs[ACTIVE_BIT] = 1
        assert (await settled(gateway, before.id, tool)).state is State.SUCCEEDED

    @pytest.mark.parametrize("state", [state for state in State if state not in (State.UNKNOWN, State.TIMED_OUT)])
    async def test_that_is_open_or_known_is_left_alone(
        self, active: FaultServer, line: PLC, gateway: Gateway, state: State
    ) -> None:
        before = RunRecord.from_row(await left(line, command(IS_ACTIVE), state=state))
        with pytest.raises(RunSettled, match=f"is {state}: there is nothing to find out") as refusal:
            await settled(gateway, before.id, active)
        assert refusal.value.run == before
        assert await is_as_before(before)
        assert active.requests == []

    async def test_that_is_not_recorded_is_unknown_here(self, line: PLC, gateway: Gateway) -> None:
        with pytest.raises(UnknownRun):
            await gateway.reconciler.read(999, MES)

    async def test_of_a_disabled_plc_is_not_read(self, active: FaultServer, line: PLC, gateway: Gateway) -> None:
        before = await left(line, command(IS_ACTIVE))
        line.is_enabled = False
        await line.asave()
        await eventually(lambda: not gateway.registry._plcs["press-1"].is_enabled)
        with pytest.raises(PLCDisabled):
            await settled(gateway, before.pk, active)
        assert active.requests == []

    async def test_is_settled_once_by_two_who_ask_at_once(
        self, active: FaultServer, line: PLC, gateway: Gateway
    ) -> None:
        before = await left(line, command(IS_ACTIVE))
        active.answer_delay_s = 0.02
        one, other = await asyncio.gather(*(settled(gateway, before.pk, active) for _ in range(2)))
        assert one == other
        assert (len(one.history), one.version) == (1, before.version + 1)

    async def test_is_announced_when_it_is_settled(self, active: FaultServer, line: PLC, gateway: Gateway) -> None:
        before = await left(line, command(IS_ACTIVE))
        async with Listener() as page:
            await settled(gateway, before.pk, active)
            await eventually(lambda: page.runs)
        assert [(run["id"], run["state"]) for run in page.runs] == [(before.pk, "succeeded")]
        assert "history" not in page.runs[0]

    async def test_is_looked_at_in_the_plc_s_turn(self, tool: FaultServer, line: PLC, gateway: Gateway) -> None:
        before = await left(line, command(IS_OURS), sequence=7)
        tool.input_registers[ECHO_REGISTER] = 7
        tool.answer_delay_s = 0.01
        started, found = await asyncio.gather(call(), gateway.reconciler.read(before.pk, MES))
        assert (started.state, found.state) == (State.SUCCEEDED, State.SUCCEEDED)
        assert tool.peak_connections == 1


class TestAProofThatWouldBeFalse:
    """Each of these machines shows what is asked for; none of it tells that this run did it."""

    @pytest.mark.mute
    async def test_is_one_that_held_before_the_start(self, active: FaultServer, line: PLC, gateway: Gateway) -> None:
        await doubtful.make_command(line, PROOF)
        before = await lost(active)
        await self._is_refused(gateway, before.id, active, "held already before the start")

    @pytest.mark.mute
    async def test_is_one_that_could_not_be_read_before_the_start(
        self, tool: FaultServer, line: PLC, gateway: Gateway
    ) -> None:
        await doubtful.make_command(line, PROOF)
        tool.misbehave(faults.exception(2), at="active")
        before = await lost(tool)
        tool.discrete_inputs[ACTIVE_BIT] = 1
        await self._is_refused(gateway, before.id, tool, "held already before the start, or was not looked at then")

    @pytest.mark.mute
    async def test_is_one_that_the_writing_of_parameters_fulfils(
        self, tool: FaultServer, line: PLC, gateway: Gateway
    ) -> None:
        """The PLC copies the batch size at once, told to start or not."""
        await doubtful.make_command(line, {"tag": "echo", "operator": "==", "parameter": "batch_size"})
        tool.on_write("batch_size", lambda value: tool.input_registers.__setitem__(ECHO_REGISTER, value))
        before = await lost(tool)
        await self._is_refused(gateway, before.id, tool, "held already before the start")

    async def test_is_one_that_the_command_itself_writes(self, tool: FaultServer, line: PLC, gateway: Gateway) -> None:
        before = await left(line, command(proof(START, True)))
        tool.coils[0] = 1
        await self._is_refused(gateway, before.pk, tool, "looks at start, which the command itself writes")

    async def test_is_one_of_a_run_before_which_nobody_looked(
        self, active: FaultServer, line: PLC, gateway: Gateway
    ) -> None:
        before = await left(line, command(IS_ACTIVE), trace=[])
        await self._is_refused(gateway, before.pk, active, "was not looked at then")

    @pytest.mark.parametrize("edited", [{"host": "localhost"}, {"port": 1502}, {"unit_id": 9}])
    @pytest.mark.mute
    async def test_may_be_another_machine_s_where_the_plc_s_address_was_changed(
        self, tool: FaultServer, line: PLC, gateway: Gateway, edited: dict[str, Any]
    ) -> None:
        await doubtful.make_command(line, PROOF)
        tool.swallow_answer_to("start")
        before = await call("lost")
        assert before.state is State.UNKNOWN
        await PLC.objects.aupdate(**edited)
        tool.discrete_inputs[ACTIVE_BIT] = 1
        await self._is_refused(gateway, before.id, tool, "had another host, port or unit id then")

    async def test_may_be_of_a_run_that_is_lost_where_the_database_was_restored(
        self, tool: FaultServer, line: PLC, gateway: Gateway
    ) -> None:
        """Its number too: a run after the backup may have had any."""
        before = await left(line, command(IS_OURS), sequence=7)
        await database_sync_to_async(restored.hold)()
        tool.input_registers[ECHO_REGISTER] = 7
        await self._is_refused(gateway, before.pk, tool, "the database was restored from a backup since")
        after = await left(line, command(IS_OURS), sequence=8)
        tool.input_registers[ECHO_REGISTER] = 8
        assert (await settled(gateway, after.pk, tool)).state is State.SUCCEEDED

    @pytest.mark.parametrize(
        "proves", [proof(ECHO, 0), proof(ECHO, 4, operator=Operator.NOT_EQUAL), proof(ACTIVE, False)]
    )
    async def test_is_one_that_a_plc_shows_after_a_restart(
        self, tool: FaultServer, line: PLC, gateway: Gateway, proves: StepSpec
    ) -> None:
        before = await left(line, command(proves))
        await self._is_refused(gateway, before.pk, tool, "a PLC that has restarted shows the same")

    async def test_may_be_a_later_run_s(self, active: FaultServer, line: PLC, gateway: Gateway) -> None:
        before = await left(line, command(IS_ACTIVE))
        await call()
        await self._is_refused(gateway, before.pk, active, "a later run told the machine too")

    async def test_may_be_one_s_that_was_asked_for_before_and_told_later(
        self, active: FaultServer, line: PLC, gateway: Gateway
    ) -> None:
        later = timezone.now() + timedelta(seconds=5)
        await left(line, command(IS_ACTIVE), triggered_at=later, state=State.SUCCEEDED)
        before = await left(line, command(IS_ACTIVE))
        await self._is_refused(gateway, before.pk, active, "a later run told the machine too")

    async def test_may_be_a_later_run_s_where_the_number_is_only_compared_by_size(
        self, tool: FaultServer, line: PLC, gateway: Gateway
    ) -> None:
        at_least = proof(ECHO, parameter="sequence", operator=Operator.GREATER_OR_EQUAL)
        before = await left(line, command(at_least), sequence=7)
        await left(line, command(at_least), sequence=8, state=State.SUCCEEDED)
        tool.input_registers[ECHO_REGISTER] = 8
        await self._is_refused(gateway, before.pk, tool, "a later run told the machine too")

    @pytest.mark.parametrize("number", [17, 27])
    async def test_may_be_a_later_run_s_where_numbers_come_again(
        self, tool: FaultServer, line: PLC, gateway: Gateway, number: int
    ) -> None:
        """The machine counts to ten, so 7 and 17 are the same to it."""
        counts_to_ten = replace(IS_OURS, operator=Operator.SET, phase=Phase.WRITE, tag=TO_TEN)
        spec = command(IS_OURS, counts_to_ten)
        before = await left(line, spec, sequence=7)
        await left(line, spec, sequence=8, state=State.SUCCEEDED)
        later = await left(line, spec, sequence=number, state=State.SUCCEEDED)
        tool.input_registers[ECHO_REGISTER] = 7
        await self._is_refused(gateway, before.pk, tool, "a later run was given the same number")
        await later.adelete()
        assert (await settled(gateway, before.pk, tool)).state is State.SUCCEEDED

    @pytest.mark.parametrize(
        "sets",
        [
            {"value": 7},
            {"parameter": "batch_size"},
            {"parameter": "sequence", "tag": replace(TO_TEN, data_type=DataType.INT32)},
            {"parameter": "sequence", "tag": replace(TO_TEN, scale=Decimal("0.5"))},
        ],
    )
    async def test_may_be_a_later_run_s_that_writes_where_the_number_goes(
        self, tool: FaultServer, line: PLC, gateway: Gateway, sets: dict[str, Any]
    ) -> None:
        """The machine shows whatever was requested last: by a number, or by hand."""
        request = StepSpec(phase=Phase.WRITE, tag=TO_TEN, operator=Operator.SET, parameter="sequence")
        before = await left(line, command(IS_OURS, request), sequence=7)
        await left(line, command(replace(request, **{"parameter": None} | sets)), sequence=8, state=State.SUCCEEDED)
        tool.input_registers[ECHO_REGISTER] = 7
        await self._is_refused(gateway, before.pk, tool, "a later lost may have written the same number")

    async def test_may_be_that_of_a_later_run_whose_command_is_not_recorded(
        self, tool: FaultServer, line: PLC, gateway: Gateway
    ) -> None:
        before = await left(line, command(IS_OURS), sequence=7)
        await left(line, None, state=State.SUCCEEDED)
        tool.input_registers[ECHO_REGISTER] = 7
        await self._is_refused(gateway, before.pk, tool, "it is not recorded what")

    @pytest.mark.parametrize("state", [State.TIMED_OUT, State.UNKNOWN])
    async def test_may_be_an_earlier_run_s_that_is_still_at_work(
        self, active: FaultServer, line: PLC, gateway: Gateway, state: State
    ) -> None:
        """A slow machine: it had not answered the first start when the second came."""
        earlier = await left(line, command(IS_ACTIVE), state=state)
        before = await left(line, command(IS_ACTIVE))
        await self._is_refused(gateway, before.pk, active, f"run {earlier.pk} told the machine before")

    async def test_may_be_an_earlier_run_s_that_was_settled_only_afterwards(
        self, active: FaultServer, line: PLC, gateway: Gateway
    ) -> None:
        told = timezone.now()
        settled_at = told + timedelta(seconds=5)
        await left(line, command(IS_ACTIVE), state=State.SUCCEEDED, triggered_at=told, finished_at=settled_at)
        before = await left(line, command(IS_ACTIVE), triggered_at=told + timedelta(seconds=1))
        await self._is_refused(gateway, before.pk, active, "may be that one's doing")

    async def test_may_be_an_earlier_run_s_though_one_between_them_was_only_written(
        self, active: FaultServer, line: PLC, gateway: Gateway
    ) -> None:
        """Nobody waited for an answer to it: the machine may not have looked at it yet."""
        await left(line, command(IS_ACTIVE), state=State.TIMED_OUT)
        await left(line, command(), state=State.SUCCEEDED)
        before = await left(line, command(IS_ACTIVE))
        await self._is_refused(gateway, before.pk, active, "may be that one's doing")

    async def test_may_be_one_s_with_a_smaller_number_than_the_last_that_succeeded(
        self, active: FaultServer, line: PLC, gateway: Gateway
    ) -> None:
        """It was asked for before, and had its turn after."""
        told = timezone.now() + timedelta(seconds=1)
        at_work = await left(line, command(IS_ACTIVE), state=State.TIMED_OUT, triggered_at=told)
        await left(line, command(ACKNOWLEDGED), state=State.SUCCEEDED)
        before = await left(line, command(IS_ACTIVE), triggered_at=told + timedelta(seconds=1))
        await self._is_refused(gateway, before.pk, active, f"run {at_work.pk} told the machine before")

    async def test_may_be_a_later_run_s_where_callers_give_a_number_of_that_name(
        self, tool: FaultServer, line: PLC, gateway: Gateway
    ) -> None:
        theirs = (ParameterSpec(name="sequence", data_type=ParameterType.INTEGER),)
        before = await left(line, command(IS_OURS, parameters=theirs), parameters={"sequence": 7})
        await left(line, command(IS_OURS, parameters=theirs), state=State.SUCCEEDED)
        tool.input_registers[ECHO_REGISTER] = 7
        await self._is_refused(gateway, before.pk, tool, "a later run told the machine too")

    @pytest.mark.parametrize(
        ("spec", "reason"),
        [
            (None, "is not recorded"),
            (command(), "names no proof"),
            (command(IS_OURS), r"needs \{sequence\}, which this run does not have"),
        ],
    )
    async def test_is_none_at_all(
        self, active: FaultServer, line: PLC, gateway: Gateway, spec: Any, reason: str
    ) -> None:
        before = await left(line, spec)
        await self._is_refused(gateway, before.pk, active, reason)

    async def test_is_one_of_a_definition_that_cannot_be_read(
        self, active: FaultServer, line: PLC, gateway: Gateway
    ) -> None:
        before = await left(line, command(IS_ACTIVE))
        before.definition.content = {"name": 7}
        await before.definition.asave()
        await self._is_refused(gateway, before.pk, active, "is not recorded")

    async def _is_refused(self, gateway: Gateway, run_id: int, machine: FaultServer, reason: str) -> None:
        before, heard = RunRecord.from_row(await row(run_id)), len(machine.requests)
        with pytest.raises(NotProvable, match=reason) as refusal:
            await settled(gateway, run_id, machine)
        assert refusal.value.run == before
        assert await is_as_before(before)
        assert len(machine.requests) == heard, "there was nothing to be learnt from the machine"


class TestAProof:
    async def test_that_a_restart_would_fulfil_may_stand_beside_one_that_it_would_not(
        self, tool: FaultServer, line: PLC, gateway: Gateway
    ) -> None:
        before = await left(line, command(proof(ACTIVE, False), IS_OURS), sequence=7)
        tool.input_registers[ECHO_REGISTER] = 7
        assert (await settled(gateway, before.pk, tool)).state is State.SUCCEEDED

    async def test_by_the_run_s_number_tells_it_from_later_ones(
        self, tool: FaultServer, line: PLC, gateway: Gateway
    ) -> None:
        ours = await left(line, command(IS_OURS), sequence=7)
        later = await left(line, command(IS_OURS), sequence=8)
        tool.input_registers[ECHO_REGISTER] = 7
        with pytest.raises(NotProven, match="echo is 7, wanted == 8"):
            await settled(gateway, later.pk, tool)
        assert (await settled(gateway, ours.pk, tool)).state is State.SUCCEEDED
        assert (await row(later.pk)).state == State.UNKNOWN

    async def test_by_number_is_not_given_by_a_plc_that_restarted(
        self, tool: FaultServer, line: PLC, gateway: Gateway
    ) -> None:
        before = await left(line, command(IS_OURS), sequence=7)
        with pytest.raises(NotProven, match="echo is 0"):
            await settled(gateway, before.pk, tool)

    async def test_is_not_spoilt_by_an_earlier_run_where_one_was_acknowledged_since(
        self, active: FaultServer, line: PLC, gateway: Gateway
    ) -> None:
        await left(line, command(IS_ACTIVE), state=State.TIMED_OUT)
        await left(line, command(ACKNOWLEDGED), state=State.SUCCEEDED)
        before = await left(line, command(IS_ACTIVE))
        assert (await settled(gateway, before.pk, active)).state is State.SUCCEEDED

    async def test_is_not_spoilt_by_an_earlier_run_that_was_settled_before(
        self, active: FaultServer, line: PLC, gateway: Gateway
    ) -> None:
        await left(line, command(IS_ACTIVE), state=State.FAULTED)
        await left(line, command(IS_ACTIVE), state=State.FAILED)
        before = await left(line, command(IS_ACTIVE))
        assert (await settled(gateway, before.pk, active)).state is State.SUCCEEDED

    async def test_by_number_is_not_spoilt_by_an_earlier_run(
        self, tool: FaultServer, line: PLC, gateway: Gateway
    ) -> None:
        await left(line, command(IS_ACTIVE), state=State.TIMED_OUT)
        before = await left(line, command(IS_OURS), sequence=7)
        tool.input_registers[ECHO_REGISTER] = 7
        assert (await settled(gateway, before.pk, tool)).state is State.SUCCEEDED

    async def test_is_not_spoilt_by_a_later_run_that_did_not_tell_the_machine(
        self, active: FaultServer, line: PLC, gateway: Gateway
    ) -> None:
        before = await left(line, command(IS_ACTIVE))
        await left(line, command(IS_ACTIVE), state=State.REJECTED, triggered_at=None)
        assert (await settled(gateway, before.pk, active)).state is State.SUCCEEDED

    async def test_is_not_spoilt_by_a_run_of_another_plc(
        self, active: FaultServer, line: PLC, gateway: Gateway
    ) -> None:
        before = await left(line, command(IS_ACTIVE))
        other = await PLC.objects.acreate(name="press-2", profile_id=line.profile_id, host="127.0.0.1")
        await left(other, command(IS_ACTIVE), state=State.SUCCEEDED)
        assert (await settled(gateway, before.pk, active)).state is State.SUCCEEDED

    async def test_is_looked_at_before_the_trigger_and_noted_with_it(
        self, tool: FaultServer, line: PLC, gateway: Gateway
    ) -> None:
        await doubtful.make_command(line, PROOF)
        seen: list[Run] = []
        tool.on_write("start", lambda _: seen.append(_look()))
        record = await call("lost")
        assert record.state is State.SUCCEEDED
        (noted,) = [entry for entry in seen[0].trace if entry["phase"] == "proof"]
        assert (noted["tag"], noted["read"], noted["is_met"]) == ("active", False, False)
        assert seen[0].triggered_at is not None

    async def test_that_cannot_be_read_before_the_trigger_does_not_keep_the_command(
        self, tool: FaultServer, line: PLC, gateway: Gateway
    ) -> None:
        await doubtful.make_command(line, PROOF)
        tool.misbehave(faults.exception(2), at="active")
        record = await call("lost")
        assert record.state is State.SUCCEEDED
        (noted,) = [entry for entry in record.trace if entry.get("phase") == "proof"]
        assert "exception 2" in noted["error"]


def _look() -> Run:
    """The only row, as another connection sees it now."""
    return elsewhere(Run.objects.get)
