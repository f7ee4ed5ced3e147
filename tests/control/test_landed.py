"""A commit that the database made and did not confirm: the change counts, and no PLC stays shut."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from channels.db import database_sync_to_async
from django.db import OperationalError
from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils import timezone

from devices.control.errors import RecordUnavailable
from devices.control.writer import Change, Writer
from devices.models import PLC, State
from tests.control.rows import call, stored_as, the_run
from tests.doubles.fault_server import FaultServer

LOST = "server closed the connection unexpectedly"


@contextmanager
def unconfirmed(monkeypatch: pytest.MonkeyPatch, nth: int) -> Iterator[None]:
    """The journal's nth commit from now on is made, and its answer is lost."""
    commit, count = BaseDatabaseWrapper.commit, iter(range(1, 1000))

    def lose_the_answer(self: BaseDatabaseWrapper) -> None:
        commit(self)
        if threading.current_thread().name == "journal" and next(count) == nth:
            raise OperationalError(LOST)

    with monkeypatch.context() as patch:
        patch.setattr(BaseDatabaseWrapper, "commit", lose_the_answer)
        yield


class TestADatabaseThatAnswersNothing:
    async def test_is_asked_once_for_all_that_came_together(self, line: PLC, monkeypatch: pytest.MonkeyPatch) -> None:
        """Each question lasts until its limit: asked for each, the last of many callers would wait for minutes."""
        asked: list[str] = []

        def away(question: str) -> Callable[..., None]:
            def ask(*_: object) -> None:
                asked.append(question)
                raise OperationalError(LOST)

            return ask

        new = {"plc_id": line.pk, "plc_name": line.name, "command": "start_batch", "caller": "user anna"}
        loop, writer = asyncio.get_running_loop(), Writer()
        batch = [Change({**new, "accepted_at": timezone.now()}, None, loop.create_future()) for _ in range(20)]
        with monkeypatch.context() as patch:
            patch.setattr(Writer, "_write", away("write"))
            patch.setattr("devices.control.writer.find", away("did it land"))
            patch.setattr("devices.control.landed._settle", away("settle"))
            await asyncio.to_thread(writer.commit, batch)
            assert await asyncio.to_thread(writer.settle_doubtful) == []
        assert asked == ["write", "did it land", "settle"]
        assert {type(change.outcome) for change in batch} == {RecordUnavailable}
        assert len(writer._doubtful._runs) == 20, "each is looked for once the database answers"
        assert await database_sync_to_async(writer.settle_doubtful)() == []
        assert writer._doubtful._runs == []


class TestACommitWhoseAnswerIsLost:
    @pytest.mark.parametrize("nth", [1, 2, 3], ids=["T1 and T2", "T3", "T4"])
    async def test_counts_where_the_database_has_it(
        self, machine: FaultServer, line: PLC, monkeypatch: pytest.MonkeyPatch, nth: int
    ) -> None:
        with unconfirmed(monkeypatch, nth):
            record = await call()
        assert record.state == State.SUCCEEDED
        assert machine.writes_to("start") == [1, 0]
        await stored_as(record)
        assert (await call()).state == State.SUCCEEDED

    async def test_leaves_no_run_open_where_that_could_not_even_be_seen(
        self, machine: FaultServer, line: PLC, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def see_nothing(*_: object) -> None:
            raise OperationalError(LOST)

        with unconfirmed(monkeypatch, 1), monkeypatch.context() as patch:
            patch.setattr("devices.control.writer.find", see_nothing)
            with pytest.raises(RecordUnavailable):
                await call()
        lost = await the_run()
        assert (lost.state, lost.effect, lost.retry) == (State.FAILED, "none", "safe")
        assert "the machine was not told" in lost.detail
        assert machine.requests == []
        assert (await call()).state == State.SUCCEEDED
