"""Commands that reach the machine: what goes over the wire, what is stored, what the caller gets."""

from devices.models import PLC, Effect, State
from tests.control import rows
from tests.control.rows import call, stored_as
from tests.doubles.fault_server import FaultServer


class TestAPlainCommand:
    async def test_succeeds_when_the_plc_confirms_the_write(self, machine: FaultServer, line: PLC) -> None:
        record = await call("reset")
        assert (record.state, record.effect, record.retry) == (State.SUCCEEDED, Effect.APPLIED, "")
        assert record.detail == "The PLC took the write; the command asks for no acknowledge."
        assert machine.writes_to("reset") == [1]
        assert machine.coils[1] == 1
        await stored_as(record)

    async def test_proves_the_connection_by_a_read_before_it_writes(self, machine: FaultServer, line: PLC) -> None:
        await call("reset")
        assert [request.function for request in machine.requests] == [3, 5]

    async def test_can_be_asked_for_by_number(self, machine: FaultServer, line: PLC) -> None:
        record = await call("reset", plc=str(line.pk))
        assert record.plc == "press-1"


class TestAHandshake:
    async def test_goes_over_the_wire_in_the_order_of_its_phases(self, machine: FaultServer, line: PLC) -> None:
        await call(given={"batch_size": 20, "nok_num": 2})
        sent = [(request.function, request.address, request.values) for request in machine.requests]
        assert sent == [
            (2, 2, ()),  # the interlock
            (16, 0, (20, 2)),  # two neighbours at once
            (6, 5, (7,)),
            (16, 10, (0x41AC, 0x0000)),  # 21.5
            (5, 0, (1,)),  # the trigger, last and alone
            (2, 3, ()),  # its acknowledge
            (4, 9, ()),  # the result
            (5, 0, (0,)),  # the trigger is cleared
            (2, 3, ()),  # the acknowledge is gone
        ]
        assert machine.connects == 1

    async def test_returns_what_the_read_phase_found(self, machine: FaultServer, line: PLC) -> None:
        machine.input_registers[9:11] = [1, 41]
        record = await call()
        assert record.detail == "The PLC confirmed the command."
        assert record.result == {"batch_number": 0x1_0000 + 42}

    async def test_stores_who_asked_for_what_and_every_step(self, machine: FaultServer, line: PLC) -> None:
        record = await call(given={"batch_size": 20})
        run = await stored_as(record)
        assert (run.plc_id, run.plc_name, run.command) == (line.pk, "press-1", "start_batch")
        assert (run.caller, run.source) == ("key mes-line-1", "10.0.0.7")
        assert run.parameters == {"batch_size": 20, "nok_num": 3}
        assert [(entry["phase"], entry["tag"], entry.get("sent", entry.get("read"))) for entry in run.trace] == [
            ("check", "fault", False),
            ("write", "batch_size", 20),
            ("write", "nok_num", 3),
            ("write", "recipe", 7),
            ("write", "setpoint", 21.5),
            ("trigger", "start", True),
            ("wait", "ack", True),
            ("read", "batch_number", 1),
            ("cleanup", "start", False),
            ("cleanup", "ack", False),
        ]
        moments = [entry["at_ms"] for entry in run.trace]
        assert moments == sorted(moments)
        assert moments[0] >= 0

    async def test_waits_for_an_acknowledge_that_takes_a_while(self, machine: FaultServer, line: PLC) -> None:
        machine.on_write("start", lambda value: _acknowledge_at_look(machine, 3) if value else None)
        record = await call()
        assert record.state == State.SUCCEEDED
        looks = [request for request in machine.requests if request.covers(*rows.PLACES["ack"])]
        assert len(looks) >= 4

    async def test_is_repeatable(self, machine: FaultServer, line: PLC) -> None:
        numbers = [(await call()).result["batch_number"] for _ in range(3)]
        assert numbers == [1, 2, 3]
        assert machine.writes_to("start") == [1, 0] * 3


class TestAnInterlock:
    async def test_that_is_open_rejects_the_command_and_nothing_is_written(
        self, machine: FaultServer, line: PLC
    ) -> None:
        machine.discrete_inputs[2] = 1
        record = await call()
        assert (record.state, record.effect, record.retry) == (State.REJECTED, Effect.NONE, "after_fix")
        assert "the machine has a fault (fault is true, wanted == false)" in record.detail
        assert machine.writes == []
        run = await stored_as(record)
        assert run.triggered_at is None
        (looked_at,) = run.trace
        assert (looked_at["phase"], looked_at["read"]) == ("check", True)
        assert looked_at["error"] == "the machine has a fault (fault is true, wanted == false)"

    async def test_that_holds_leaves_no_error_in_the_record(self, machine: FaultServer, line: PLC) -> None:
        run = await stored_as(await call())
        assert [entry for entry in run.trace if "error" in entry] == []

    async def test_is_read_fresh_for_every_command(self, machine: FaultServer, line: PLC) -> None:
        machine.discrete_inputs[2] = 1
        await call()
        machine.discrete_inputs[2] = 0
        assert (await call()).state == State.SUCCEEDED


def _acknowledge_at_look(machine: FaultServer, looks: int) -> None:
    """The acknowledge of the double's hook goes away again and comes back at the n-th look."""
    place = rows.PLACES["ack"]
    machine.discrete_inputs[3] = 0
    carry_out, seen = machine.carry_out, 0

    def look(request):
        nonlocal seen
        seen += request.covers(*place)
        if seen == looks:
            machine.discrete_inputs[3] = 1
            machine.carry_out = carry_out
        return carry_out(request)

    machine.carry_out = look
