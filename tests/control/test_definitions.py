"""What a run ran with stays with it: the definition comes back as it was, and is stored once."""

import asyncio
import json
from dataclasses import fields, is_dataclass, replace
from typing import Any

import pytest
from channels.db import database_sync_to_async
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from hypothesis import example, given
from hypothesis import strategies as st

from devices.control import definitions
from devices.control.check import check
from devices.control.definitions import Definitions, StoredDefinitions, define
from devices.control.gateway import Gateway
from devices.control.journal import Journal
from devices.modbus.types import ByteOrder, DataType, Endpoint, Limits, Table, TagSpec, Value, WriteFunctions
from devices.models import PLC, Definition, Parameter, Run, Step
from devices.plc.specs import CommandSpec, Operator, ParameterSpec, ParameterType, Phase, PLCSpec, StepSpec
from tests.control import rows
from tests.control.databases import elsewhere
from tests.control.rows import call, the_run
from tests.control.test_journal import a_run
from tests.doubles.fault_server import FaultServer
from tests.modbus.tags import unhurried

names = st.text("abcdefgh_", min_size=1, max_size=8)
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
numbers = st.floats(allow_nan=False, allow_infinity=False)
decimals = st.decimals(allow_nan=False, allow_infinity=False, places=5, min_value=-(10**9), max_value=10**9)
values = st.booleans() | st.integers(-(2**63), 2**64 - 1) | numbers | texts
maybe = st.none()

tags = st.builds(
    TagSpec,
    name=names,
    table=st.sampled_from(Table),
    address=st.integers(0, 65535),
    data_type=st.sampled_from(DataType),
    byte_order=st.sampled_from(ByteOrder),
    bit=maybe | st.integers(0, 15),
    length=st.integers(0, 100),
    scale=decimals,
    offset=decimals,
    unit=texts,
    minimum=maybe | decimals,
    maximum=maybe | decimals,
    labels=st.dictionaries(st.integers(-(2**31), 2**32), texts, max_size=3),
)
steps = st.builds(
    StepSpec,
    phase=st.sampled_from(Phase),
    tag=tags,
    operator=st.sampled_from(Operator),
    value=maybe | values,
    choices=st.lists(values, max_size=4).map(tuple),
    parameter=maybe | names,
    timeout_s=maybe | numbers,
    message=texts,
    tolerance=maybe | numbers,
    is_applied=st.booleans(),
)
inputs = st.builds(
    ParameterSpec,
    name=names,
    data_type=st.sampled_from(ParameterType),
    label=texts,
    unit=texts,
    minimum=maybe | numbers,
    maximum=maybe | numbers,
    default=maybe | values,
)
commands = st.builds(
    CommandSpec,
    name=names,
    title=texts,
    description=texts,
    parameters=st.lists(inputs, max_size=3).map(tuple),
    steps=st.lists(steps, max_size=4).map(tuple),
    time_limit_s=numbers,
    poll_interval_s=numbers,
    expires_after_s=maybe | numbers,
    connect_tries=st.integers(1, 10),
)

PRESS = PLCSpec(id=1, name="press-1", profile="batch-machine", endpoint=Endpoint(host="10.0.0.7", port=5020, unit=3))
START = TagSpec(name="start", table=Table.COIL, address=0, data_type=DataType.BOOL)


def constant(value: Value) -> CommandSpec:
    """A command that differs from others by one constant only."""
    trigger = StepSpec(phase=Phase.TRIGGER, tag=START, operator=Operator.SET, value=value, choices=(value, True))
    return CommandSpec(name="start", steps=(trigger,))


def typed(spec: Any) -> Any:
    """All fields with their types: in Python True == 1 == 1.0."""
    if is_dataclass(spec):
        return type(spec), {field.name: typed(getattr(spec, field.name)) for field in fields(spec)}
    if isinstance(spec, dict):
        return {typed(key): typed(value) for key, value in spec.items()}
    return (type(spec), [typed(each) for each in spec] if isinstance(spec, tuple) else spec)


class TestADefinition:
    @given(command=commands)
    @example(command=constant(True))
    @example(command=constant(1))
    @example(command=constant(1.0))
    @example(command=constant("1"))
    @example(command=constant("true"))
    @unhurried
    def test_gives_back_the_command_that_it_was_made_of(self, command: CommandSpec) -> None:
        content = json.loads(json.dumps(define(PRESS, command).content))
        back = definitions.command_of(content)
        assert typed(back) == typed(command)
        assert define(PRESS, back) == define(PRESS, command)

    def test_says_where_it_is_sent_and_what_that_plc_takes(self) -> None:
        plc = replace(PRESS, limits=Limits(write_registers=10, write_functions=WriteFunctions.SINGLE))
        assert define(plc, constant(True)).content["plc"] == {
            "name": "press-1",
            "host": "10.0.0.7",
            "port": 5020,
            "unit": 3,
            "profile": "batch-machine",
            "limits": {
                "read_registers": 125,
                "read_bits": 2000,
                "write_registers": 10,
                "write_bits": 1968,
                "write_functions": "single",
            },
        }

    def test_has_a_digest_of_its_own_for_each_constant_and_each_plc(self) -> None:
        told = [define(PRESS, constant(value)) for value in (True, 1, 1.0, "1", False, 0)]
        told += [define(replace(PRESS, name="press-2"), constant(True))]
        assert len({spec.digest for spec in told}) == len(told)

    def test_has_the_same_digest_in_whatever_order_its_labels_come(self) -> None:
        tag = replace(START, labels={0: "off", 10: "on", 2: "?"})
        turned = replace(START, labels={2: "?", 0: "off", 10: "on"})
        one, other = (
            CommandSpec(name="c", steps=(StepSpec(phase=Phase.READ, tag=each, operator=Operator.GET),))
            for each in (tag, turned)
        )
        assert define(PRESS, one).digest == define(PRESS, other).digest

    def test_of_an_older_version_that_lacks_a_field_is_understood(self) -> None:
        content = define(PRESS, constant(True)).content
        del content["command"]["expires_after_s"], content["command"]["steps"][0]["tolerance"]
        assert definitions.command_of(content) == constant(True)

    def test_is_made_once_for_each_command_of_a_spec(self) -> None:
        made = Definitions()
        first = made.of(PRESS, constant(True))
        assert made.of(PRESS, constant(True)) is first
        edited = replace(PRESS, endpoint=Endpoint(host="10.0.0.8"))
        assert made.of(edited, constant(True)).content["plc"]["host"] == "10.0.0.8"


@pytest.fixture
async def press(transactional_db: None) -> PLC:
    return await database_sync_to_async(lambda: rows.make_plc(rows.make_profile()))()


@pytest.fixture
def spec() -> definitions.DefinitionSpec:
    return define(PRESS, constant(True))


@database_sync_to_async
def stored() -> tuple[list[str], list[str | None]]:
    """The digests of all definitions, and those that the runs name, oldest first."""
    digests = [row.digest for row in Definition.objects.order_by("pk")]
    return digests, [run.definition and run.definition.digest for run in Run.objects.order_by("pk")]


class TestTheJournal:
    async def test_stores_a_definition_once_however_many_runs_have_it(
        self, press: PLC, journal: Journal, spec: definitions.DefinitionSpec
    ) -> None:
        other = define(PRESS, constant(False))
        await asyncio.gather(*(journal.accept(**a_run(press, definition=each)) for each in [spec, other, spec] * 20))
        await journal.accept(**a_run(press, definition=spec))
        await journal.accept(**a_run(press))
        digests, named = await stored()
        assert sorted(digests) == sorted([spec.digest, other.digest])
        assert named == [each.digest for each in [spec, other, spec] * 20] + [spec.digest, None]

    async def test_finds_one_that_an_earlier_process_stored(
        self, press: PLC, journal: Journal, spec: definitions.DefinitionSpec
    ) -> None:
        await Definition.objects.acreate(digest=spec.digest, content=spec.content)
        await journal.accept(**a_run(press, definition=spec))
        assert await stored() == ([spec.digest], [spec.digest])

    async def test_knows_none_of_a_change_that_was_refused(
        self, press: PLC, journal: Journal, spec: definitions.DefinitionSpec
    ) -> None:
        """Else the next run would name a row that was never stored."""
        with pytest.raises(Exception, match=r"(?i)not|refused"):
            await journal.accept(**a_run(press, definition=spec, plc_id=999_999))
        assert await stored() == ([], [])
        await journal.accept(**a_run(press, definition=spec))
        assert await stored() == ([spec.digest], [spec.digest])

    async def test_two_that_store_the_same_one_at_once_share_its_row(
        self, press: PLC, spec: definitions.DefinitionSpec
    ) -> None:
        journals = [Journal(on_commit=lambda _: None) for _ in range(4)]
        for journal in journals:
            journal.start()
        await asyncio.gather(*(journal.accept(**a_run(press, definition=spec)) for journal in journals))
        for journal in journals:
            await journal.stop()
        assert await stored() == ([spec.digest], [spec.digest] * 4)


class TestWhatIsKnownToBeStored:
    @pytest.fixture
    def known(self, transactional_db: None) -> StoredDefinitions:
        return StoredDefinitions()

    def test_is_not_asked_for_again(self, known: StoredDefinitions, spec: definitions.DefinitionSpec) -> None:
        with transaction.atomic():
            first = known.store([spec])
        with CaptureQueriesContext(connection) as queries, transaction.atomic():
            assert known.store([spec, spec]) == first
        assert [query["sql"] for query in queries if "devices_definition" in query["sql"]] == []

    def test_is_forgotten_with_the_transaction_that_stored_it(
        self, known: StoredDefinitions, spec: definitions.DefinitionSpec
    ) -> None:
        with transaction.atomic():
            known.store([spec])
            transaction.set_rollback(True)
        with transaction.atomic():
            keys = known.store([spec])
        assert elsewhere(lambda: dict(Definition.objects.values_list("digest", "pk"))) == keys


class TestARun:
    async def test_keeps_the_command_as_it_stood_whatever_is_edited_later(
        self, machine: FaultServer, press_at_work: PLC, gateway: Gateway
    ) -> None:
        await call("start_batch", {"batch_size": 9000})
        ran = (await the_run()).definition_id
        command = (await gateway.registry.find("press-1")).commands["start_batch"]
        await database_sync_to_async(edit)()
        content = (await Definition.objects.aget(pk=ran)).content
        assert definitions.command_of(content) == command
        assert content["command"]["parameters"][0]["maximum"] == 10_000
        assert content["command"]["steps"][0]["message"] == "the machine has a fault"
        assert content["plc"]["port"] == machine.port

    async def test_has_the_definition_of_its_day(
        self, machine: FaultServer, press_at_work: PLC, gateway: Gateway
    ) -> None:
        await call("start_batch", {"batch_size": 100})
        await call("start_batch", {"batch_size": 100})
        await database_sync_to_async(edit)()
        await call("start_batch", {"batch_size": 100})
        _, (first, second, third) = await stored()
        assert first == second != third
        newest = await Definition.objects.aget(digest=third)
        assert newest.content["command"]["parameters"][0]["maximum"] == 500
        assert newest.content["command"]["steps"][0]["phase"] == "write"

    async def test_that_is_only_checked_stores_nothing(
        self, machine: FaultServer, press_at_work: PLC, gateway: Gateway
    ) -> None:
        await check("press-1", "start_batch", {}, rows.MES)
        assert await stored() == ([], [])

    @pytest.fixture
    async def press_at_work(self, machine: FaultServer, press: PLC) -> PLC:
        press.port = machine.port
        await press.asave()
        return press


def edit() -> None:
    """The engineer lowers a limit and drops the interlock."""
    parameter = Parameter.objects.get(command__name="start_batch", name="batch_size")
    parameter.maximum = 500
    parameter.save()
    Step.objects.get(command__name="start_batch", phase="check").delete()
