"""The registry in memory: a change in the admin takes effect at the next call, a bad row harms only itself."""

import asyncio
import threading
from typing import Any

import pytest
from channels.db import database_sync_to_async
from django.db import connection, transaction

from devices.control import translate
from devices.control.errors import PLCDisabled, RecordUnavailable, UnknownCommand, UnknownPLC
from devices.control.gateway import Gateway
from devices.control.registry import Registry
from devices.models import PLC, Command, Parameter, Profile, Run, State, Step, Tag
from tests.control import rows
from tests.control.databases import eventually
from tests.control.rows import call, runs
from tests.doubles.fault_server import FaultServer


@pytest.fixture
def registry(line: PLC, gateway: Gateway) -> Registry:
    return gateway.registry


def change(model: Any, where: dict[str, Any], **fields: Any) -> Any:
    """Change a row by its save(), as the admin does."""

    def changed() -> None:
        row = model.objects.get(**where)
        for name, value in fields.items():
            setattr(row, name, value)
        row.save()

    return database_sync_to_async(changed)()


class TestAChange:
    async def test_of_a_plc_is_seen_at_the_next_call(self, registry: Registry) -> None:
        await change(PLC, {"name": "press-1"}, host="10.1.2.3", response_timeout_s=0.7)
        plc = await registry.find("press-1")
        assert (plc.endpoint.host, plc.endpoint.response_timeout_s) == ("10.1.2.3", 0.7)

    async def test_of_a_name_makes_the_old_one_unknown(self, registry: Registry) -> None:
        await change(PLC, {"name": "press-1"}, name="press-9")
        assert (await registry.find("press-9")).name == "press-9"
        with pytest.raises(UnknownPLC):
            await registry.find("press-1")

    @pytest.mark.parametrize(
        ("model", "where", "fields", "seen"),
        [
            (Profile, {}, {"write_functions": "multiple"}, lambda plc: plc.limits.write_functions == "multiple"),
            (Tag, {"name": "recipe"}, {"address": 6}, lambda plc: plc.tags["recipe"].address == 6),
            (Command, {"name": "reset"}, {"name": "clear"}, lambda plc: "clear" in plc.commands),
            (
                Parameter,
                {"name": "nok_num"},
                {"default": 9},
                lambda plc: plc.commands["start_batch"].parameters[1].default == 9,
            ),
            (
                Step,
                {"tag__name": "recipe"},
                {"value": "8"},
                lambda plc: any(step.value == 8 for step in plc.commands["start_batch"].steps),
            ),
        ],
        ids=["profile", "tag", "command", "parameter", "step"],
    )
    async def test_of_any_part_of_it_is_seen(self, registry: Registry, model, where, fields, seen) -> None:
        await change(model, where, **fields)
        assert seen(await registry.find("press-1"))

    async def test_of_a_new_plc_is_seen(self, registry: Registry) -> None:
        profile = await Profile.objects.aget()
        await database_sync_to_async(rows.make_plc)(profile, "press-2")
        assert (await registry.find("press-2")).name == "press-2"

    async def test_that_deletes_a_plc_makes_it_unknown(self, registry: Registry, line: PLC) -> None:
        number = line.pk
        await database_sync_to_async(line.delete)()
        for ref in ("press-1", str(number)):
            with pytest.raises(UnknownPLC):
                await registry.find(ref)
        with pytest.raises(UnknownPLC):
            await call()
        assert await runs() == []

    async def test_is_seen_after_its_transaction_and_not_before(self, registry: Registry) -> None:
        @database_sync_to_async
        def taken_back() -> None:
            with transaction.atomic():
                PLC.objects.get().delete()
                transaction.set_rollback(True)

        await taken_back()
        assert (await registry.find("press-1")).name == "press-1"

    async def test_does_not_touch_a_run_under_way(self, machine: FaultServer, line: PLC) -> None:
        changing: list[asyncio.Task] = []
        edit = lambda _: changing.append(asyncio.create_task(change(Tag, {"name": "start"}, address=77)))  # noqa: E731
        machine.on_write("setpoint", edit)
        machine.answer_delay_s = 0.02
        record = await call()
        await asyncio.gather(*changing)
        assert record.state == State.SUCCEEDED
        assert machine.writes_to("start") == [1, 0]

    async def test_is_told_to_the_pages(self, line: PLC, gateway: Gateway) -> None:
        told: list[int] = []
        gateway.announcer.tell_registry = lambda: told.append(1)
        await change(PLC, {"name": "press-1"}, title="Press 1")
        await gateway.registry.find("press-1")
        assert told == [1]


class TestFinding:
    async def test_takes_a_name_or_a_number(self, registry: Registry, line: PLC) -> None:
        assert await registry.find("press-1") is await registry.find(str(line.pk))

    @pytest.mark.parametrize(
        "ref", ["press-2", "", "0", "-1", "1.0", "PRESS-1", "²", "9" * 5000, "press-1\n", "None", "١٢٣٤٥٦٧"]
    )
    async def test_of_anything_else_is_refused_by_name(self, registry: Registry, ref: str) -> None:
        with pytest.raises(UnknownPLC, match="is registered"):
            await registry.find(ref)

    async def test_of_a_disabled_plc_works_but_its_commands_are_refused(
        self, machine: FaultServer, line: PLC, gateway: Gateway
    ) -> None:
        await change(PLC, {"name": "press-1"}, is_enabled=False)
        assert not (await gateway.registry.find("press-1")).is_enabled
        with pytest.raises(PLCDisabled, match="press-1 is disabled"):
            await call()
        assert machine.connects == 0
        assert await runs() == []
        await change(PLC, {"name": "press-1"}, is_enabled=True)
        assert (await call()).state == State.SUCCEEDED

    async def test_of_a_command_that_is_not_there_names_those_that_are(self, line: PLC) -> None:
        with pytest.raises(UnknownCommand, match=r"no command 'stop'; it has: reset, start_batch"):
            await call("stop")


class TestABadRow:
    """The admin refuses these; other hands may write them."""

    @pytest.mark.parametrize(
        ("model", "where", "fields"),
        [
            (Step, {"tag__name": "recipe"}, {"value": "much"}),
            (Step, {"tag__name": "recipe"}, {"value": "70000"}),
            (Step, {"tag__name": "recipe"}, {"phase": "dance"}),
            (Step, {"tag__name": "recipe"}, {"operator": "~"}),
            (Step, {"phase": "trigger", "tag__name": "start"}, {"phase": "write"}),
            (Step, {"tag__name": "recipe"}, {"phase": "trigger"}),
            (Step, {"phase": "trigger", "tag__name": "start"}, {"value": ""}),
            (Parameter, {"name": "nok_num"}, {"data_type": "date"}),
            (Tag, {"name": "recipe"}, {"data_type": "uint24"}),
            (Tag, {"name": "recipe"}, {"labels": {"many": "words"}}),
            (Tag, {"name": "recipe"}, {"byte_order": "EFGH"}),
        ],
        ids=lambda value: str(value) if isinstance(value, dict) else getattr(value, "__name__", None),
    )
    async def test_takes_its_command_away_and_nothing_else(
        self, machine: FaultServer, line: PLC, gateway: Gateway, model, where, fields
    ) -> None:
        await change(model, where, **fields)
        assert set((await gateway.registry.find("press-1")).commands) == {"reset"}
        assert (await call("reset")).state == State.SUCCEEDED
        with pytest.raises(UnknownCommand):
            await call()

    async def test_takes_its_plc_away_and_no_other(self, registry: Registry) -> None:
        def make() -> None:
            profile = rows.make_profile("odd-machine")
            rows.make_plc(profile, "odd-1")
            Profile.objects.filter(pk=profile.pk).update(write_functions="none")
            profile.refresh_from_db()
            profile.save()

        await database_sync_to_async(make)()
        assert (await registry.find("press-1")).name == "press-1"
        with pytest.raises(UnknownPLC):
            await registry.find("odd-1")


class TestLoading:
    async def test_is_done_once_for_all_who_ask_at_once(self, registry: Registry, loads: list[int]) -> None:
        registry._stored += 1
        await asyncio.gather(*(registry.find("press-1") for _ in range(50)))
        assert len(loads) == 1

    async def test_is_not_done_while_nothing_changes(self, registry: Registry, loads: list[int]) -> None:
        for _ in range(10):
            await registry.find("press-1")
        assert loads == []

    async def test_of_a_change_amid_a_load_is_done_again(
        self, registry: Registry, loads: list[int], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        load, goes_on = translate.load, threading.Event()
        monkeypatch.setattr(translate, "load", lambda: (load(), goes_on.wait(2))[0])
        registry._stored += 1
        finding = asyncio.create_task(registry.find("press-1"))
        await eventually(lambda: loads)
        registry._stored += 1
        goes_on.set()
        await finding
        assert len(loads) == 2

    async def test_is_not_cut_by_a_caller_who_goes(self, registry: Registry) -> None:
        registry._stored += 1
        first, second = asyncio.create_task(registry.plcs()), asyncio.create_task(registry.plcs())
        await asyncio.sleep(0)
        first.cancel()
        assert set(await second) == {"press-1"}

    async def test_that_fails_is_told_and_tried_again(self, registry: Registry) -> None:
        await _rename("devices_tag", "devices_tag_gone")
        registry._stored += 1
        with pytest.raises(RecordUnavailable, match="the registry cannot be read"):
            await registry.find("press-1")
        await _rename("devices_tag_gone", "devices_tag")
        assert (await registry.find("press-1")).name == "press-1"

    async def test_takes_as_many_queries_for_many_plcs_as_for_few(self, registry: Registry) -> None:
        def queries() -> int:
            counted: list[str] = []

            def note(execute, sql, *rest):
                counted.append(sql)
                return execute(sql, *rest)

            with connection.execute_wrapper(note):
                translate.load()
            return len(counted)

        few = await database_sync_to_async(queries)()
        profile = await Profile.objects.aget()
        for number in range(2, 8):
            await database_sync_to_async(rows.make_plc)(profile, f"press-{number}")
        await database_sync_to_async(rows.make_profile)("other-machine")
        assert await database_sync_to_async(queries)() == few


class TestARecord:
    async def test_keeps_its_plc_from_being_deleted(self, line: PLC) -> None:
        await call("reset")
        with pytest.raises(Exception, match="protected"):
            await database_sync_to_async(line.delete)()
        assert await Run.objects.acount() == 1


@pytest.fixture
def loads(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One entry for each load from the database."""
    counted: list[int] = []
    load = translate.load
    monkeypatch.setattr(translate, "load", lambda: (counted.append(1), load())[1])
    return counted


@database_sync_to_async
def _rename(old: str, new: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {old} RENAME TO {new}")
