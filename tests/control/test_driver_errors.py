"""InterfaceError, as of a connection that is closed already, is no DatabaseError: it means a database that is away."""

from typing import Any

import pytest
from django.db import InterfaceError

from devices.api import handlers
from devices.control import waiting
from devices.control.errors import RecordUnavailable
from devices.control.gateway import Gateway
from devices.control.kept import Kept
from devices.control.records import RunRecord
from devices.control.stamps import Stamps
from devices.models import stamps
from devices.models.stamps import Kind
from tests.control.rows import call
from tests.doubles.fault_server import FaultServer

pytestmark = pytest.mark.django_db(transaction=True)


def closed(*_: Any, **__: Any) -> Any:
    raise InterfaceError("the connection is closed")


class TestAConnectionThatIsClosedAlready:
    async def test_means_that_stamps_cannot_be_looked_up_now(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(stamps, "versions", closed)
        looks = Stamps()
        try:
            with pytest.raises(RecordUnavailable):
                await looks.look(since=0.0)
        finally:
            await looks.stop()

    async def test_means_that_what_is_kept_cannot_be_read_now(self) -> None:
        looks = Stamps()
        kept = Kept[None](closed, kind=next(iter(Kind)), lack="not read", stamps=looks)
        try:
            with pytest.raises(RecordUnavailable, match="not read"):
                await kept.now()
        finally:
            await kept.stop()
            await looks.stop()

    async def test_ends_nobody_s_wait_for_a_run(
        self, machine: FaultServer, line: Any, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        run: RunRecord = await call()

        async def look(_: int) -> RunRecord:
            closed()
            return run

        monkeypatch.setattr(waiting, "look", look)
        assert await waiting._seen(run) is run

    def test_is_told_to_a_caller_as_one_that_may_be_asked_again(self) -> None:
        kinds = [kind for kind in handlers.HANDLERS if issubclass(InterfaceError, kind) and kind is not Exception]
        assert [handlers.HANDLERS[kind] for kind in kinds] == [handlers.on_database_error]
