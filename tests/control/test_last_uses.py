"""When a key was used last: to the minute, and at no call's cost."""

import threading
from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import pytest
from asgiref.sync import sync_to_async
from django.utils import timezone

from devices.control.last_uses import LastUses
from devices.models import APIKey
from devices.models.stamps import Kind, version
from tests.control.databases import WriteLock, elsewhere, eventually, no_table, write_lock

__all__ = ["write_lock"]

pytestmark = pytest.mark.django_db(transaction=True)


class Clock:
    """Moves by hand."""

    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
async def row(transactional_db: None) -> APIKey:
    """A key that was never used."""
    row = APIKey(name="mes")
    row.issue()
    await row.asave()
    return row


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def uses(clock: Clock) -> AsyncIterator[LastUses]:
    """Started, and stopped."""
    uses = LastUses(clock=clock)
    uses.start()
    yield uses
    await uses.stop()


def stored() -> datetime | None:
    """As another connection sees it."""
    return elsewhere(lambda: APIKey.objects.get().last_used_at)


class TestTheLastUse:
    async def test_is_stored_without_moving_the_stamp(self, row: APIKey, uses: LastUses):
        before, began = await sync_to_async(version)(Kind.ACCESS), timezone.now()
        uses.note(row.key_id)
        await eventually(stored)
        assert began <= stored() <= timezone.now()
        assert await sync_to_async(version)(Kind.ACCESS) == before

    async def test_is_stored_once_a_minute(self, row: APIKey, uses: LastUses, clock: Clock):
        uses.note(row.key_id)
        await eventually(stored)
        long_ago = timezone.now() - timedelta(hours=1)
        await APIKey.objects.aupdate(last_used_at=long_ago)
        clock.now_s += 59
        uses.note(row.key_id)
        clock.now_s += 1
        assert stored() == long_ago
        uses.note(row.key_id)
        await eventually(lambda: stored() > long_ago)

    async def test_is_not_stored_where_another_process_did_so_within_the_minute(self, row: APIKey, uses: LastUses):
        theirs = timezone.now() - timedelta(seconds=30)
        await APIKey.objects.aupdate(last_used_at=theirs)
        uses.note(row.key_id)
        await uses.stop()
        assert stored() == theirs

    async def test_waits_for_a_database_that_is_busy_and_holds_nobody_up(
        self, row: APIKey, uses: LastUses, write_lock: WriteLock
    ):
        write_lock.take()
        uses.note(row.key_id)
        write_lock.free()
        await eventually(stored)

    async def test_is_forgotten_where_the_database_takes_nothing(
        self, row: APIKey, uses: LastUses, clock: Clock, caplog: pytest.LogCaptureFixture
    ):
        async with no_table("devices_apikey"):
            uses.note(row.key_id)
            await eventually(lambda: "is not stored" in caplog.text)
        assert stored() is None
        clock.now_s += 60
        uses.note(row.key_id)
        await eventually(stored)

    async def test_is_stored_before_the_end_and_leaves_no_thread(self, row: APIKey, uses: LastUses):
        uses.note(row.key_id)
        await uses.stop()
        assert stored()
        assert "last uses" not in {thread.name for thread in threading.enumerate()}
        uses.note(row.key_id)  # after the end it is no error
