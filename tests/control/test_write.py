"""A single tag that is written is a run like any other: told once, read back, and never called done without proof."""

import asyncio

import pytest
from django.core.exceptions import ValidationError

from devices.control.errors import (
    Draining,
    InvalidParameters,
    KeyReused,
    PLCDisabled,
    TagNotWritable,
    UnknownCommand,
    UnknownTag,
)
from devices.control.gateway import Gateway
from devices.control.submit import Request, begin
from devices.control.values import Quality
from devices.control.write import name_of
from devices.models import PLC, Effect, Run, State, Tag
from devices.models.text_rules import identifier
from tests.control.rows import MES, call, runs, stored_as
from tests.control.tags import LONGEST, MORE, add_tags, known, put, replacing
from tests.doubles import faults
from tests.doubles.fault_server import FaultServer
from tests.doubles.pdu import WRITES
from tests.doubles.wire import Exchange

REGISTER_READ = (3,)


@pytest.fixture
async def oven(line: PLC, machine: FaultServer) -> PLC:
    """`press-1` with the tags of MORE."""
    await add_tags(line.profile)
    machine.names.update({name: (machine.names["recipe"][0], tag["address"]) for name, tag in MORE.items()})
    return line


class TestAValue:
    async def test_is_written_once_read_back_and_stored_as_a_run(self, machine: FaultServer, line: PLC) -> None:
        record = (await put("setpoint", 21.5)).run
        assert (record.state, record.effect, record.retry) == (State.SUCCEEDED, Effect.APPLIED, "")
        assert "it reads back as written" in record.detail
        assert (record.command, record.parameters, record.result) == (
            "write setpoint",
            {"value": 21.5},
            {"setpoint": 21.5},
        )
        assert len(machine.writes) == 1
        assert machine.holding_registers[10:12] == [0x41AC, 0]
        run = await stored_as(record)
        assert [(line["phase"], line.get("sent"), line.get("read")) for line in run.trace] == [
            ("trigger", 21.5, None),
            ("trigger", None, 21.5),
            ("read", None, 21.5),
        ]
        assert run.triggered_at is not None
        assert run.caller == MES.name

    async def test_is_read_back_and_told_in_one_request(self, machine: FaultServer, line: PLC) -> None:
        await put("setpoint", 21.5)
        assert [request.function for request in machine.requests] == [3, 16, 3], "the first proves the connection"

    async def test_is_recorded_before_the_plc_is_told(self, machine: FaultServer, line: PLC) -> None:
        seen: list[Run] = []

        async def look(exchange: Exchange) -> None:
            seen.append(await Run.objects.select_related("definition").aget())
            await exchange.answer()

        machine.misbehave(look, functions=WRITES)
        await put("setpoint", 21.5)
        (then,) = seen
        assert then.state == State.RUNNING
        assert then.triggered_at is not None
        assert then.definition is not None
        assert then.definition.content["command"]["steps"][0]["tag"]["address"] == 10

    @pytest.mark.parametrize(
        ("tag", "value", "held"),
        [
            ("start", True, True),
            ("batch_size", 65_535, 65_535),
            ("setpoint", 21.7, 21.700000762939453),
            ("setpoint", 3, 3.0),
            ("mode_bit", True, True),
            ("recipe_name", "PLA 7", "PLA 7"),
            ("recipe_name", "", ""),
            ("temperature", 21.5, 21.5),
            ("temperature", 21.46, 21.5),
            ("temperature", -0.1, -0.1),
            ("sequence", 7, 7),
            (LONGEST, 1, 1),
        ],
    )
    async def test_of_any_type_is_told_as_the_tag_holds_it(
        self, machine: FaultServer, oven: PLC, tag: str, value, held
    ) -> None:
        record = (await put(tag, value)).run
        assert (record.state, record.result) == (State.SUCCEEDED, {tag: held})
        assert type(record.result[tag]) is type(held)
        await stored_as(record)

    async def test_of_a_bit_leaves_its_neighbours_as_they_are(self, machine: FaultServer, oven: PLC) -> None:
        machine.holding_registers[30] = 0b1010_0000
        await put("mode_bit", True)
        assert machine.holding_registers[30] == 0b1010_1000
        await put("mode_bit", False)
        assert machine.holding_registers[30] == 0b1010_0000

    async def test_is_what_pages_show_from_then_on(self, machine: FaultServer, line: PLC) -> None:
        assert (await known("setpoint")).quality is Quality.UNREAD
        record = (await put("setpoint", 21.5)).run
        shown = await known("setpoint")
        assert (shown.value, shown.quality, shown.read_at) == (21.5, Quality.GOOD, record.finished_at)

    async def test_is_not_shown_of_the_machine_that_took_its_place_meanwhile(
        self, machine: FaultServer, line: PLC
    ) -> None:
        line.response_timeout_s = 5
        await line.asave()
        machine.misbehave(replacing(line), functions=WRITES)
        assert (await put("setpoint", 21.5)).run.state == State.SUCCEEDED
        assert (await known("setpoint")).quality is Quality.UNREAD

    async def test_waits_its_turn_behind_a_command(self, machine: FaultServer, line: PLC) -> None:
        machine.answer_delay_s = 0.02
        command, written = await asyncio.gather(call(), put("recipe", 9))
        assert (command.state, written.run.state) == (State.SUCCEEDED, State.SUCCEEDED)
        assert machine.writes_to("recipe") == [7, 9]
        assert machine.writes[-1].address == 5, "the command ended before"
        assert written.run.started_at >= command.finished_at


class TestAWriteThatThePLCRefuses:
    @pytest.mark.parametrize(
        ("code", "state", "effect", "retry"),
        [
            (3, State.FAULTED, Effect.NONE, "after_fix"),
            (2, State.FAULTED, Effect.NONE, "after_fix"),
            (6, State.FAILED, Effect.NONE, "safe"),
            (4, State.UNKNOWN, Effect.UNKNOWN, "after_reconcile"),
            (5, State.UNKNOWN, Effect.UNKNOWN, "after_reconcile"),
        ],
    )
    async def test_ends_as_the_code_says(
        self, machine: FaultServer, line: PLC, code: int, state: State, effect: Effect, retry: str
    ) -> None:
        machine.misbehave(faults.exception(code), functions=WRITES)
        record = (await put("batch_size", 15)).run
        assert (record.state, record.effect, record.retry) == (state, effect, retry)
        assert f"exception {code}" in record.detail
        assert machine.writes_to("batch_size") == [15]
        await stored_as(record)


class TestAWriteWhoseAnswerIsLost:
    @pytest.mark.parametrize("fault", [faults.swallow, faults.mute, faults.reset_after, faults.echo(value=1)])
    @pytest.mark.mute
    async def test_is_unknown_and_was_sent_once(self, machine: FaultServer, line: PLC, fault) -> None:
        machine.misbehave(fault, functions=WRITES)
        record = (await put("batch_size", 15)).run
        assert (record.state, record.effect, record.retry) == (State.UNKNOWN, Effect.UNKNOWN, "after_reconcile")
        assert machine.writes_to("batch_size") == [15]
        assert record.result == {}
        assert (await known("batch_size")).quality is Quality.UNREAD, "nothing is shown that was not read"
        await stored_as(record)


class TestWhatReadsBack:
    async def test_as_another_value_is_faulted_though_it_was_applied(self, machine: FaultServer, line: PLC) -> None:
        """The machine's program limits it."""
        machine.on_write("batch_size", lambda _: machine.holding_registers.__setitem__(0, 100))
        record = (await put("batch_size", 5000)).run
        assert (record.state, record.effect, record.retry) == (State.FAULTED, Effect.APPLIED, "after_fix")
        assert "batch_size was written as 5000 and reads back as 100" in record.detail
        assert machine.writes_to("batch_size") == [5000]
        run = await stored_as(record)
        assert [line.get("read") for line in run.trace] == [None, 100]

    async def test_as_the_plcs_exception_is_faulted_though_it_was_applied(
        self, machine: FaultServer, line: PLC
    ) -> None:
        machine.misbehave(faults.exception(2), functions=REGISTER_READ, at="setpoint", times=None)
        record = (await put("setpoint", 21.5)).run
        assert (record.state, record.effect) == (State.FAULTED, Effect.APPLIED)
        assert "The PLC confirmed, but what it holds then could not be read" in record.detail
        assert "exception 2" in record.detail
        assert "exception 2" in (await stored_as(record)).trace[-1]["error"]

    @pytest.mark.parametrize("fault", [faults.swallow, faults.reset_before, faults.transaction(0)])
    @pytest.mark.mute
    async def test_as_nothing_is_unknown_for_nobody_saw_it_held(self, machine: FaultServer, line: PLC, fault) -> None:
        machine.misbehave(fault, functions=REGISTER_READ, at="setpoint")
        record = (await put("setpoint", 21.5)).run
        assert (record.state, record.effect) == (State.UNKNOWN, Effect.UNKNOWN)
        assert "The PLC confirmed, then contact was lost" in record.detail
        assert machine.holding_registers[10:12] == [0x41AC, 0]
        assert len(machine.writes) == 1
        await stored_as(record)


class TestAWriteThatIsNotTold:
    @pytest.mark.mute
    async def test_to_a_plc_that_serves_nobody_has_failed(self, machine: FaultServer, line: PLC) -> None:
        machine.misbehave(faults.swallow, times=None)
        record = (await put("setpoint", 21.5)).run
        assert (record.state, record.effect, record.retry) == (State.FAILED, Effect.NONE, "safe")
        assert machine.writes == []
        assert (await stored_as(record)).triggered_at is None

    async def test_to_an_offline_plc_fails_at_once(self, machine: FaultServer, line: PLC) -> None:
        await machine.refuse_connects()
        for _ in range(3):
            await put("setpoint", 21.5)
        record = (await put("setpoint", 21.5)).run
        assert (record.state, record.effect) == (State.FAILED, Effect.NONE)
        assert "offline" in record.detail
        assert record.started_at is None, "it got no turn"

    async def test_of_a_bit_whose_register_cannot_be_read_has_failed(self, machine: FaultServer, oven: PLC) -> None:
        machine.misbehave(faults.exception(4), functions=REGISTER_READ, at="mode_bit")
        record = (await put("mode_bit", True)).run
        assert (record.state, record.effect) == (State.FAILED, Effect.NONE)
        assert machine.writes == []


class TestAWrongRequest:
    @pytest.mark.parametrize(
        ("tag", "value", "said"),
        [
            ("batch_size", 65_536, "does not fit"),
            ("batch_size", -1, "does not fit"),
            ("batch_size", 15.0, "must be a whole number, not 15.0"),
            ("batch_size", True, "must be a whole number, not true"),
            ("batch_size", "15", 'must be a whole number, not "15"'),
            ("batch_size", None, "is required"),
            ("setpoint", "hot", 'must be a number, not "hot"'),
            ("setpoint", float("nan"), "must be a finite number"),
            ("setpoint", 1e39, "does not fit"),
            ("start", 1, "must be true or false, not 1"),
            ("temperature", 300.1, "above the maximum"),
            ("temperature", 4000, "above the maximum"),
            ("recipe_name", "123456789", "does not fit"),
            ("recipe_name", 7, "must be text, not 7"),
        ],
    )
    async def test_names_the_value_and_makes_no_run(
        self, machine: FaultServer, oven: PLC, tag: str, value, said: str
    ) -> None:
        with pytest.raises(InvalidParameters) as refusal:
            await put(tag, value)
        ((field, fault),) = refusal.value.errors
        assert field == "value"
        assert said in fault
        assert await runs() == []
        assert machine.connects == 0

    async def test_names_a_field_that_is_not_one(self, machine: FaultServer, line: PLC) -> None:
        with pytest.raises(InvalidParameters) as refusal:
            await put("batch_size", 15, unit="pcs")
        assert dict(refusal.value.errors).keys() == {"unit"}

    @pytest.mark.parametrize(
        ("tag", "said"),
        [
            ("batch_number", "batch_number is in the input registers, which can only be read"),
            ("fault", "fault is in the discrete inputs, which can only be read"),
        ],
    )
    async def test_for_a_tag_that_can_only_be_read_says_so(
        self, machine: FaultServer, line: PLC, tag: str, said: str
    ) -> None:
        with pytest.raises(TagNotWritable, match=said):
            await put(tag, True)
        assert await runs() == []
        assert machine.connects == 0

    async def test_for_a_tag_that_the_plcs_cannot_write_whole_says_so(
        self, machine: FaultServer, press: PLC, gateway: Gateway
    ) -> None:
        press.profile.write_functions = "single"
        await press.profile.asave()
        with pytest.raises(TagNotWritable, match="only the single writes"):
            await put("setpoint", 21.5)
        assert (await known("setpoint")).poll.is_writable is False
        assert (await put("batch_size", 15)).run.state == State.SUCCEEDED
        assert (await known("batch_size")).poll.is_writable is True

    async def test_for_an_unknown_tag_lists_those_there_are(self, machine: FaultServer, line: PLC) -> None:
        with pytest.raises(UnknownTag, match=r"press-1 has no tag 'pressure'; it has: ack, batch_number, .*start"):
            await put("pressure", 1)

    async def test_for_a_disabled_plc_is_refused(self, machine: FaultServer, line: PLC) -> None:
        line.is_enabled = False
        await line.asave()
        with pytest.raises(PLCDisabled):
            await put("setpoint", 21.5)
        assert await runs() == []

    async def test_of_a_gateway_that_shuts_down_is_refused(self, line: PLC, gateway: Gateway) -> None:
        gateway.is_draining = True
        with pytest.raises(Draining):
            await put("setpoint", 21.5)


class TestAskedAgainUnderItsKey:
    async def test_it_is_told_and_not_written_again(self, machine: FaultServer, line: PLC) -> None:
        first, again = await put("setpoint", 21.5, key="k"), await put("setpoint", 21.5, key="k")
        assert (first.is_replayed, again.is_replayed) == (False, True)
        assert again.run == first.run
        assert len(machine.writes) == 1

    async def test_it_does_not_bring_back_an_old_value(self, machine: FaultServer, line: PLC) -> None:
        await put("batch_size", 1, key="k")
        await put("batch_size", 2)
        await put("batch_size", 1, key="k")
        assert (await known("batch_size")).value == 2

    @pytest.mark.parametrize(("tag", "value"), [("setpoint", 22), ("recipe", 21)])
    async def test_with_another_value_or_tag_nothing_is_written(
        self, machine: FaultServer, line: PLC, tag: str, value: int
    ) -> None:
        await put("setpoint", 21, key="k")
        with pytest.raises(KeyReused):
            await put(tag, value, key="k")
        assert len(machine.writes) == 1

    async def test_while_it_is_under_way_both_get_the_one_answer(self, machine: FaultServer, line: PLC) -> None:
        machine.answer_delay_s = 0.02
        replies = await asyncio.gather(*(put("setpoint", 21.5, key="k") for _ in range(5)))
        assert len({reply.run.id for reply in replies}) == 1
        assert len(machine.writes) == 1


class TestItsName:
    def test_is_none_that_an_engineer_can_give_a_command(self) -> None:
        with pytest.raises(ValidationError):
            identifier(name_of("setpoint"))

    async def test_runs_nothing_where_a_command_is_asked_for(self, machine: FaultServer, line: PLC) -> None:
        with pytest.raises(UnknownCommand):
            await begin(Request(plc="press-1", command="write setpoint", given={"value": 1}, caller=MES))
        assert machine.connects == 0

    def test_of_the_longest_tag_fits_the_record(self) -> None:
        longest = Tag._meta.get_field("name").max_length
        assert longest == len(LONGEST)
        assert Run._meta.get_field("command").max_length >= len(name_of(LONGEST))
