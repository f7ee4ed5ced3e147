"""Who ran what is told in the transaction that stores the run; no run without its entry, no entry without its run."""

import asyncio
import json

import pytest
from channels.db import database_sync_to_async

from devices.control.audit_chain import walk
from devices.control.callers import Caller
from devices.control.errors import NotProven, RecordUnavailable
from devices.control.gateway import Gateway
from devices.control.journal import Journal
from devices.control.rights import EVERYTHING
from devices.control.verdicts import Verdict
from devices.models import PLC, AuditEntry, Effect, State
from tests.control import doubtful
from tests.control.chain import change_of, told
from tests.control.databases import no_table
from tests.control.doubtful import PROOF, lost
from tests.control.rows import MES, call, runs
from tests.control.test_journal import a_run, all_done
from tests.control.test_reconcile import ACTIVE_BIT, tool
from tests.doubles.fault_server import FaultServer

__all__ = ["tool"]

commanded = database_sync_to_async(lambda: told(action="commanded"))
reconciled = database_sync_to_async(lambda: told(action="reconciled"))
whole = database_sync_to_async(walk)


class TestARun:
    async def test_is_told_with_who_asked_for_it_from_where_and_with_what(
        self, machine: FaultServer, line: PLC
    ) -> None:
        run = await call(given={"batch_size": 7})
        (entry,) = await commanded()
        assert (entry.actor, entry.source) == (MES.name, MES.source)
        assert (entry.kind, entry.subject, entry.subject_id) == ("Run", "press-1 start_batch", str(run.id))
        assert json.loads(entry.after) == {"batch_size": 7, "nok_num": 3}
        await whole()

    async def test_is_told_each_by_its_number_where_many_are_stored_at_once(self, press: PLC, journal: Journal) -> None:
        accepted = await all_done(*(journal.accept(**a_run(press, command=f"c{n}")) for n in range(150)))
        told_of = [(entry.subject_id, entry.subject) for entry in await commanded()]
        assert told_of == [(str(run.id), f"press-1 {run.command}") for run in accepted]
        await whole()

    async def test_that_is_refused_is_not_told_and_those_beside_it_are(self, press: PLC, journal: Journal) -> None:
        wrong = {3: {"plc_id": 999_999}, 5: {"parameters": {"x": object()}}}
        await all_done(*(journal.accept(**a_run(press, **wrong.get(n, {}))) for n in range(10)))
        stored = [str(run.pk) for run in await runs()]
        assert len(stored) == 8
        assert [entry.subject_id for entry in await commanded()] == stored
        await whole()

    async def test_whose_entry_cannot_be_stored_is_not_stored_and_nothing_is_told_to_the_machine(
        self, machine: FaultServer, line: PLC
    ) -> None:
        async with no_table("devices_auditentry"):
            with pytest.raises(RecordUnavailable):
                await call()
        assert await runs() == []
        assert machine.requests == []
        assert (await call()).state is State.SUCCEEDED
        assert len(await commanded()) == 1

    async def test_changes_its_state_without_another_entry(self, machine: FaultServer, line: PLC) -> None:
        await call()
        count = await AuditEntry.objects.acount()
        await call("reset", {})
        assert await AuditEntry.objects.acount() == count + 1


class TestAReconciliation:
    @pytest.mark.mute
    async def test_by_a_read_is_told_with_who_asked_for_it(
        self, tool: FaultServer, line: PLC, gateway: Gateway
    ) -> None:
        await doubtful.make_command(line, PROOF)
        before = await lost(tool)
        with pytest.raises(NotProven):
            await gateway.reconciler.read(before.id, MES)
        assert await reconciled() == []
        tool.discrete_inputs[ACTIVE_BIT] = 1
        after = await gateway.reconciler.read(before.id, MES)
        (entry,) = await reconciled()
        assert (entry.actor, entry.source, entry.subject_id) == (MES.name, "10.0.0.7", str(before.id))
        assert change_of(entry) == (
            {"state": "unknown", "effect": "unknown", "detail": before.detail},
            {"state": "succeeded", "effect": "applied", "detail": after.detail},
        )
        await whole()

    @pytest.mark.mute
    async def test_by_a_person_is_told_with_his_reason_once(
        self, tool: FaultServer, line: PLC, gateway: Gateway
    ) -> None:
        await doubtful.make_command(line, PROOF)
        before = await lost(tool)
        anna = Caller(name="user anna", source="10.0.0.9", rights=EVERYTHING, may_judge=True)
        verdict = Verdict(state=State.FAULTED, effect=Effect.NONE, reason="the press stood still")
        judged = (gateway.reconciler.judge(before.id, verdict, anna) for _ in range(3))
        await asyncio.gather(*judged, return_exceptions=True)
        (entry,) = await reconciled()
        assert (entry.actor, entry.source) == ("user anna", "10.0.0.9")
        assert "the press stood still" in change_of(entry)[1]["detail"]
        await whole()
