"""A process that stands still amid a transaction: nobody waits for its rows for longer than seconds."""

import asyncio
from pathlib import Path

import pytest
from channels.db import database_sync_to_async
from django.utils import timezone

from devices.control.journal import Journal
from devices.control.records import RunRecord
from devices.models import PLC, State
from tests.control import rows
from tests.control.changing import changing
from tests.control.databases import IS_SQLITE
from tests.control.rows import runs

LIMIT_S = 25.0  # the database gives up the session after 10, and who waits after 20
OPEN = "from django.db import transaction; transaction.atomic().__enter__(); "
A_ROW = f"{OPEN}Run.objects.update(detail='never committed')"
THE_AUDIT_S_TURN = f"{OPEN}from devices.control import audit; audit.take_turn()"


@pytest.fixture
async def press(transactional_db: None) -> PLC:
    return await database_sync_to_async(lambda: rows.make_plc(rows.make_profile()))()


async def accepted(journal: Journal, press: PLC) -> RunRecord:
    run = {"plc_id": press.pk, "plc_name": press.name, "command": "start_batch", "caller": "user anna"}
    return await journal.accept(**run, accepted_at=timezone.now())


if not IS_SQLITE:  # where the kernel keeps the lock for as long as the process stands: see docs/operating.md

    class TestAProcessThatStandsStillAmidATransaction:
        async def test_keeps_its_row_from_nobody_for_long(self, press: PLC, journal: Journal, tmp_path: Path) -> None:
            record = await accepted(journal, press)
            async with changing(tmp_path) as other:
                await other.do(A_ROW)
                other.stand_still()
                async with asyncio.timeout(LIMIT_S):
                    await journal.change(record, state=State.RUNNING)
            assert [(run.state, run.detail) for run in await runs()] == [(State.RUNNING, "")]

        async def test_keeps_nobody_from_the_audit_for_long(self, press: PLC, journal: Journal, tmp_path: Path) -> None:
            async with changing(tmp_path) as other:
                await other.do(THE_AUDIT_S_TURN)
                other.stand_still()
                async with asyncio.timeout(LIMIT_S):
                    assert (await accepted(journal, press)).version == 1
