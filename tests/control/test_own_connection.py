"""Slow pages take the whole pool, or the database is restarted: what commands wait for goes on."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from channels.db import database_sync_to_async
from django.db import OperationalError, connection
from django.utils import timezone

from devices.control.journal import Journal
from devices.control.own_thread import OwnThread
from devices.models import PLC
from tests.control import rows
from tests.control.databases import IS_SQLITE
from tests.control.test_journal import cut_other_connections

ONLY_ONE = {"min_size": 1, "max_size": 1, "timeout": 0.5}


def session() -> int:
    """The number of this thread's session, as the database knows it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()" if connection.vendor == "postgresql" else "SELECT 1")
        return int(cursor.fetchone()[0])


def give_back(*, and_close_the_pool: bool = False) -> None:
    """This thread's connection."""
    connection.close()
    if and_close_the_pool:
        connection.close_pool()


def sessions_of_others() -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        return int(cursor.fetchone()[0])


@pytest.fixture
async def thread(transactional_db: None) -> AsyncIterator[OwnThread]:
    thread = OwnThread("looks")
    yield thread
    thread.stop()
    thread._executor.shutdown(wait=True)


@pytest.fixture
async def press(transactional_db: None) -> PLC:
    return await database_sync_to_async(lambda: rows.make_plc(rows.make_profile()))()


@contextmanager
def a_slow_page_with_all_of_the_pool(monkeypatch: pytest.MonkeyPatch) -> Iterator[ThreadPoolExecutor]:
    """Threads that are begun in the block find a pool of one, and that one is lent; gives the thread of other pages."""
    with monkeypatch.context() as patch, ThreadPoolExecutor(1) as slow, ThreadPoolExecutor(1) as other:
        patch.setitem(connection.settings_dict["OPTIONS"], "pool", ONLY_ONE)
        slow.submit(session).result()
        try:
            yield other
        finally:
            other.submit(give_back).result()
            slow.submit(give_back, and_close_the_pool=True).result()


async def accepted(press: PLC) -> int:
    journal = Journal(on_commit=lambda _: None)
    journal.start()
    try:
        run = {"plc_id": press.pk, "plc_name": press.name, "command": "start_batch", "caller": "user anna"}
        return (await journal.accept(**run, accepted_at=timezone.now())).version
    finally:
        await journal.stop()


if not IS_SQLITE:  # which has neither a pool nor a server that restarts

    class TestWhereSlowPagesHoldThePool:
        async def test_looks_and_records_of_commands_do_not_wait(
            self, thread: OwnThread, press: PLC, monkeypatch: pytest.MonkeyPatch
        ) -> None:
            with a_slow_page_with_all_of_the_pool(monkeypatch) as other:
                with pytest.raises(OperationalError):
                    await asyncio.get_running_loop().run_in_executor(other, session)
                assert await thread.run(session) == await thread.run(session)
                assert await accepted(press) == 1

        async def test_what_a_restart_dropped_is_replaced_at_the_next_look(
            self, thread: OwnThread, monkeypatch: pytest.MonkeyPatch
        ) -> None:
            """Or requests would wait for one lost connection after the other, until their limit."""
            monkeypatch.setitem(ONLY_ONE, "min_size", 4)
            monkeypatch.setitem(ONLY_ONE, "max_size", 4)
            with a_slow_page_with_all_of_the_pool(monkeypatch) as other:
                run = asyncio.get_running_loop().run_in_executor
                await thread.run(session)
                await run(other, session)
                await run(other, give_back)
                await cut_other_connections()
                await thread.run(session)
                await asyncio.sleep(0.5)
                assert await run(other, session)

    class TestAConnectionOfItsOwn:
        async def test_is_opened_once(self, thread: OwnThread) -> None:
            assert len({await thread.run(session) for _ in range(3)}) == 1

        async def test_that_the_database_has_dropped_costs_no_look(self, thread: OwnThread) -> None:
            before = await thread.run(session)
            await cut_other_connections()
            assert await thread.run(session) != before

        async def test_ends_with_its_thread(self, thread: OwnThread) -> None:
            await database_sync_to_async(session)()
            before = await database_sync_to_async(sessions_of_others)()
            await thread.run(session)
            thread.stop()
            thread._executor.shutdown(wait=True)
            assert await database_sync_to_async(sessions_of_others)() == before


class TestALookThatFails:
    async def test_on_a_new_connection_too_is_told(self, thread: OwnThread) -> None:
        tried: list[int] = []

        def fail() -> None:
            tried.append(session())
            raise OperationalError("gone")

        await thread.run(session)
        with pytest.raises(OperationalError, match="gone"):
            await thread.run(fail)
        assert len(tried) == 2
        assert await thread.run(session)
