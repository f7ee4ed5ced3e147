"""The writer of runs: what comes together is committed together, and what is wrong harms nobody else."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from channels.db import database_sync_to_async
from django.db import InterfaceError, connection
from django.utils import timezone

from devices.control.errors import IllegalMove, KeyTaken, PLCTaken, RecordUnavailable
from devices.control.journal import Journal
from devices.control.records import RunRecord
from devices.models import PLC, Run, State
from tests.control import rows
from tests.control.databases import IS_SQLITE, WriteLock, commits_of_the_journal, no_table
from tests.control.rows import runs


@pytest.fixture
def told() -> list[RunRecord]:
    """What the journal told after its commits."""
    return []


@pytest.fixture
async def press(transactional_db: None) -> PLC:
    return await database_sync_to_async(lambda: rows.make_plc(rows.make_profile()))()


@pytest.fixture
async def journal(press: PLC, told: list[RunRecord]) -> AsyncIterator[Journal]:
    journal = Journal(on_commit=told.append)
    journal.start()
    yield journal
    await journal.stop()


def a_run(press: PLC, **changes: Any) -> dict[str, Any]:
    usual = {"plc_id": press.pk, "plc_name": press.name, "command": "start_batch", "caller": "user anna"}
    return usual | {"accepted_at": timezone.now(), **changes}


async def all_done(*changes: Any) -> list[Any]:
    async with asyncio.timeout(10):
        return await asyncio.gather(*changes, return_exceptions=True)


class TestWhatComesTogether:
    async def test_shares_transactions(self, press: PLC, write_lock: WriteLock) -> None:
        with commits_of_the_journal() as commits:
            journal = Journal(on_commit=lambda _: None)
            journal.start()
            write_lock.take()
            async with asyncio.TaskGroup() as group:
                accepting = group.create_task(all_done(*(journal.accept(**a_run(press)) for _ in range(150))))
                await asyncio.sleep(0.05)
                write_lock.free()
            records = accepting.result()
            accepted = len(commits)
            await all_done(*(journal.change(record, detail="seen") for record in records))
            changed = len(commits) - accepted
            await journal.stop()
        assert accepted <= 2
        assert changed <= 20
        assert [run.detail for run in await runs()] == ["seen"] * 150

    async def test_keeps_its_order(self, press: PLC, journal: Journal, told: list[RunRecord]) -> None:
        records = await all_done(*(journal.accept(**a_run(press, command=f"c{i}")) for i in range(50)))
        assert [record.command for record in records] == [f"c{i}" for i in range(50)]
        assert [record.id for record in records] == sorted(record.id for record in records)
        assert told == records

    async def test_is_told_only_after_its_commit(self, press: PLC, journal: Journal, told: list[RunRecord]) -> None:
        record = await journal.accept(**a_run(press))
        assert told == [record]
        assert RunRecord.from_row(await Run.objects.aget()) == record

    @pytest.mark.parametrize(
        "wrong",
        [{"plc_id": 999_999}, {"parameters": {"value": object()}}, {"accepted_at": None}],
        ids=["unknown PLC", "not JSON", "a moment missing"],
    )
    async def test_is_not_harmed_by_one_that_is_wrong(
        self, press: PLC, journal: Journal, write_lock: WriteLock, wrong: dict[str, Any]
    ) -> None:
        write_lock.take()
        changes = [journal.accept(**a_run(press, **(wrong if i == 5 else {}))) for i in range(10)]
        writing = asyncio.create_task(all_done(*changes))
        await asyncio.sleep(0.05)
        write_lock.free()
        outcomes = await writing
        assert [isinstance(outcome, RunRecord) for outcome in outcomes] == [i != 5 for i in range(10)]
        assert isinstance(outcomes[5], Exception)
        stored = await runs()
        assert [run.pk for run in stored] == [outcome.id for outcome in outcomes if isinstance(outcome, RunRecord)]


class TestAKey:
    async def test_that_stands_on_a_run_is_told_with_it_and_harms_no_other(
        self, press: PLC, journal: Journal, told: list[RunRecord], write_lock: WriteLock
    ) -> None:
        first = await journal.accept(**a_run(press, idempotency_key="k", fingerprint="f" * 64))
        write_lock.take()
        keys = [f"other-{i}" if i != 5 else "k" for i in range(10)]
        writing = asyncio.create_task(all_done(*(journal.accept(**a_run(press, idempotency_key=key)) for key in keys)))
        await asyncio.sleep(0.05)
        write_lock.free()
        outcomes = await writing
        assert [isinstance(outcome, RunRecord) for outcome in outcomes] == [key != "k" for key in keys]
        assert isinstance(outcomes[5], KeyTaken)
        assert (outcomes[5].taken.run, outcomes[5].taken.fingerprint) == (first, "f" * 64)
        assert len(told) == len(await runs()) == 10

    async def test_of_another_caller_is_another_and_no_key_is_none(self, press: PLC, journal: Journal) -> None:
        for caller, key in (("user anna", "k"), ("user bob", "k"), ("user anna", None), ("user anna", None)):
            await journal.accept(**a_run(press, caller=caller, idempotency_key=key))
        assert len(await runs()) == 4

    async def test_says_nothing_where_something_else_was_wrong(self, press: PLC, journal: Journal) -> None:
        with pytest.raises(IllegalMove, match="another process"):
            await journal.accept(**a_run(press, idempotency_key="k", plc_id=999_999, sequence=1, accepted_at=None))
        assert await runs() == []


class TestAChange:
    async def test_returns_the_record_as_stored(self, press: PLC, journal: Journal) -> None:
        record = await journal.accept(**a_run(press))
        record = await journal.change(record, state=State.RUNNING, started_at=timezone.now())
        assert (record.state, record.version) == (State.RUNNING, 2)
        assert RunRecord.from_row(await Run.objects.aget()) == record

    async def test_that_is_an_illegal_move_is_refused_and_the_row_stays(
        self, press: PLC, journal: Journal, told: list[RunRecord]
    ) -> None:
        record = await journal.accept(**a_run(press))
        with pytest.raises(IllegalMove, match="queued: it cannot become succeeded"):
            await journal.change(record, state=State.SUCCEEDED, effect="applied")
        assert RunRecord.from_row(await Run.objects.aget()) == record
        assert told == [record]

    async def test_of_a_stale_copy_is_refused_and_the_row_stays(self, press: PLC, journal: Journal) -> None:
        old = await journal.accept(**a_run(press))
        new = await journal.change(old, state=State.RUNNING, started_at=timezone.now())
        with pytest.raises(IllegalMove, match="no longer queued at version 1"):
            await journal.change(old, state=State.FAILED)
        assert RunRecord.from_row(await Run.objects.aget()) == new

    async def test_is_won_by_one_of_several_at_once(self, press: PLC, journal: Journal) -> None:
        record = await journal.accept(**a_run(press))
        ends = (State.FAILED, State.EXPIRED, State.CANCELLED)
        outcomes = await all_done(*(journal.change(record, state=state) for state in ends))
        assert [type(outcome) for outcome in outcomes] == [RunRecord, IllegalMove, IllegalMove]
        assert (await Run.objects.aget()).state == State.FAILED

    async def test_of_a_row_that_somebody_else_changed_is_refused(self, press: PLC, journal: Journal) -> None:
        record = await journal.accept(**a_run(press))
        await Run.objects.aupdate(state=State.CANCELLED, version=2)
        with pytest.raises(IllegalMove):
            await journal.change(record, state=State.RUNNING)
        assert (await Run.objects.aget()).state == State.CANCELLED

    async def test_lets_only_one_run_of_a_plc_be_running(self, press: PLC, journal: Journal) -> None:
        records = [await journal.accept(**a_run(press)) for _ in range(2)]
        outcomes = await all_done(*(journal.change(record, state=State.RUNNING) for record in records))
        assert [type(outcome) for outcome in outcomes] == [RunRecord, PLCTaken]
        assert [run.state for run in await runs()] == [State.RUNNING, State.QUEUED]

    async def test_of_a_final_record_comes_only_by_reconciliation(self, press: PLC, journal: Journal) -> None:
        record = await journal.accept(**a_run(press, state=State.RUNNING))
        record = await journal.change(record, state=State.UNKNOWN)
        record = await journal.change(record, state=State.SUCCEEDED, effect="applied")
        with pytest.raises(IllegalMove):
            await journal.change(record, state=State.FAULTED)


class TestADatabaseThatRefuses:
    async def test_is_told_and_the_next_change_is_taken(
        self, impatient: float, press: PLC, journal: Journal, write_lock: WriteLock
    ) -> None:
        write_lock.take()
        with pytest.raises(RecordUnavailable, match="does not take the record"):
            await journal.accept(**a_run(press))
        write_lock.free()
        await journal.accept(**a_run(press))
        assert len(await runs()) == 1

    async def test_is_asked_once_for_all_who_came_together(
        self, impatient: float, press: PLC, journal: Journal, write_lock: WriteLock
    ) -> None:
        """Or the last of many callers would wait many times the limit for its refusal."""
        write_lock.take()
        started = time.monotonic()
        outcomes = await all_done(*(journal.accept(**a_run(press)) for _ in range(20)))
        assert {type(outcome) for outcome in outcomes} == {RecordUnavailable}
        assert time.monotonic() - started < 10 * impatient

    async def test_for_a_moment_only_makes_the_change_wait(
        self, press: PLC, journal: Journal, write_lock: WriteLock
    ) -> None:
        write_lock.take()
        accepting = journal.accept(**a_run(press))
        await asyncio.sleep(0.2)
        assert not accepting.done()
        write_lock.free()
        assert (await accepting).version == 1

    async def test_without_its_table_is_no_reason_to_give_up(self, press: PLC, journal: Journal) -> None:
        async with no_table():
            outcomes = await all_done(*(journal.accept(**a_run(press)) for _ in range(5)))
        assert {type(outcome) for outcome in outcomes} == {RecordUnavailable}
        assert isinstance(await journal.accept(**a_run(press)), RecordUnavailable | RunRecord)
        assert isinstance(await journal.accept(**a_run(press)), RunRecord)

    async def test_by_an_error_of_its_driver_is_told_as_one_that_may_be_asked_again(
        self, press: PLC, journal: Journal, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Any other error would end a run without its outcome: it would stay open until the next start."""

        def refuse(*_: Any) -> None:
            raise InterfaceError("connection already closed")

        with monkeypatch.context() as patch:
            patch.setattr("devices.control.writer.Writer._write", refuse)
            with pytest.raises(RecordUnavailable, match="its own words are in the log"):
                await journal.accept(**a_run(press))
        assert isinstance(await journal.accept(**a_run(press)), RunRecord)

    async def test_that_cut_the_connection_is_connected_to_again(self, press: PLC, journal: Journal) -> None:
        record = await journal.accept(**a_run(press))
        await cut_other_connections()
        await all_done(journal.change(record, detail="lost or not"))
        assert isinstance(await journal.accept(**a_run(press)), RunRecord)


class TestTheEnd:
    async def test_comes_after_all_that_was_handed_in(self, press: PLC, told: list[RunRecord]) -> None:
        journal = Journal(on_commit=told.append)
        journal.start()
        accepting = [journal.accept(**a_run(press)) for _ in range(300)]
        await asyncio.sleep(0)
        await journal.stop()
        assert len(await asyncio.gather(*accepting)) == len(told) == len(await runs()) == 300

    async def test_refuses_what_comes_later(self, press: PLC, journal: Journal) -> None:
        await journal.stop()
        with pytest.raises(RecordUnavailable, match="not running"):
            await journal.accept(**a_run(press))

    async def test_may_come_twice_and_before_the_start(self, journal: Journal) -> None:
        await Journal(on_commit=lambda _: None).stop()
        await journal.stop()
        await journal.stop()

    async def test_of_a_caller_leaves_his_change_stored(
        self, press: PLC, journal: Journal, told: list[RunRecord], write_lock: WriteLock
    ) -> None:
        write_lock.take()
        accepting = journal.accept(**a_run(press))
        await asyncio.sleep(0.01)
        accepting.cancel()
        await asyncio.sleep(0)
        write_lock.free()
        await journal.accept(**a_run(press))
        assert len(told) == len(await runs()) == 2


@database_sync_to_async
def cut_other_connections() -> None:
    """What a restart of PostgreSQL does to the journal; SQLite has no connection to cut."""
    if IS_SQLITE:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name <> 'psql'"
        )
