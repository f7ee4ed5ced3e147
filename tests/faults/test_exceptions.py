"""Modbus exceptions, code by code: before the trigger it was not told; on the trigger the code says what is known."""

import pytest
from django.test import AsyncClient

from tests.doubles import faults
from tests.doubles.fault_server import FaultServer
from tests.doubles.pdu import WRITES
from tests.faults.ends import FAILED, FAILED_FOR_GOOD, REFUSED, SUCCEEDED, TIMED_OUT, UNKNOWN, End, call, ended, saw

REFUSING = (1, 2, 3, 7)
BUSY = (6, 10)
BROKEN = (4, 8, 9, 11, 12, 99, 255)  # the gateway's own codes, and any other

BEFORE = [
    *((code, FAILED_FOR_GOOD) for code in (*REFUSING, *BROKEN)),
    *((code, FAILED) for code in BUSY),
]
ON_TRIGGER = [
    *((code, REFUSED) for code in REFUSING),
    *((code, FAILED) for code in BUSY),
    *((code, UNKNOWN) for code in BROKEN),
]


def by_code(rows: list[tuple[int, End]]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(("code", "end"), rows, ids=[f"exception {code}: {end}" for code, end in rows])


class TestBeforeTheTrigger:
    @by_code(BEFORE)
    async def test_on_a_parameter(self, mes: AsyncClient, machine: FaultServer, limit_time, code: int, end: End):
        await limit_time(0.3)  # a busy PLC may be asked again until then
        machine.misbehave(faults.exception(code), functions=(6, 16), times=None)
        run = await ended(await call(mes), end)
        assert f"exception {code}" in run.detail
        assert run.triggered_at is None
        saw(machine, [])

    @by_code(BEFORE)
    async def test_on_an_interlock(self, mes: AsyncClient, machine: FaultServer, limit_time, code: int, end: End):
        await limit_time(0.3)
        machine.misbehave(faults.exception(code), at="fault", times=None)
        run = await ended(await call(mes), end)
        assert run.triggered_at is None
        assert machine.writes == []


class TestOnTheTrigger:
    @by_code(ON_TRIGGER)
    async def test_ends_as_the_code_says(self, mes: AsyncClient, machine: FaultServer, code: int, end: End):
        machine.misbehave(faults.exception(code), functions=WRITES, at="start")
        run = await ended(await call(mes), end)
        assert f"exception {code}" in run.detail
        assert run.triggered_at is not None
        saw(machine, [1, 0])

    @by_code(ON_TRIGGER)
    async def test_of_a_plain_command(self, mes: AsyncClient, machine: FaultServer, code: int, end: End):
        machine.misbehave(faults.exception(code), functions=WRITES, at="reset")
        await ended(await call(mes, "reset"), end)
        assert machine.writes_to("reset") == [1]
        saw(machine, [])

    @by_code([(code, UNKNOWN) for code in BROKEN])
    async def test_that_lies_is_still_true(self, mes: AsyncClient, machine: FaultServer, code: int, end: End):
        """The PLC acted and says that it could not: to call that "not done" would be wrong."""
        machine.misbehave(faults.exception(code, carried_out=True), functions=WRITES, at="start")
        await ended(await call(mes), end)
        saw(machine, [1, 0])
        assert machine.coils[0] == 0


class TestInProgress:
    """Exception 5 on the trigger: taken, takes long; the acknowledge tells."""

    @pytest.mark.parametrize(
        ("acts", "end"), [(True, SUCCEEDED), (False, TIMED_OUT)], ids=["and acknowledges", "and never acknowledges"]
    )
    async def test_is_polled(self, mes: AsyncClient, machine: FaultServer, acts: bool, end: End):
        machine.misbehave(faults.exception(5, carried_out=acts), functions=WRITES, at="start")
        await ended(await call(mes), end)
        saw(machine, [1, 0])

    async def test_is_unknown_where_nothing_acknowledges(self, mes: AsyncClient, machine: FaultServer):
        machine.misbehave(faults.exception(5, carried_out=True), functions=WRITES, at="reset")
        await ended(await call(mes, "reset"), UNKNOWN)
        assert machine.writes_to("reset") == [1]
