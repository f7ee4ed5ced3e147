"""The registry in memory: a change in the admin takes effect at the next call, a bad row harms only itself."""

import asyncio
import threading
from collections.abc import Mapping
from typing import Any

import pytest
from channels.db import database_sync_to_async
from django.db import connection, transaction

from devices.control import kept, loading
from devices.control.errors import PLCDisabled, RecordUnavailable, UnknownCommand, UnknownPLC
from devices.control.gateway import Gateway
from devices.control.loading import Loader
from devices.control.registry import Registry
from devices.control.stamps import LOOK_S
from devices.models import PLC, Command, Parameter, Profile, Run, State, Step, Tag
from devices.plc.specs import PLCSpec
from tests.control import rows
from tests.control.databases import WriteLock, elsewhere, eventually, no_table
from tests.control.rows import call, runs
from tests.doubles.fault_server import FaultServer

LIMIT_S = 10.0  # that a loaded machine may take


@pytest.fixture
def registry(line: PLC, gateway: Gateway) -> Registry:
    return gateway.registry


def changed(model: Any, where: dict[str, Any], **fields: Any) -> None:
    """Change a row by its save(), as the admin does."""
    row = model.objects.get(**where)
    for name, value in fields.items():
        setattr(row, name, value)
    row.save()


change = database_sync_to_async(changed)


@transaction.atomic
def both_changed() -> None:
    """A machine is moved, and its registers with it."""
    changed(PLC, {"name": "press-1"}, host="10.1.2.3")
    changed(Tag, {"name": "recipe"}, address=6)


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

    async def test_of_one_plc_leaves_all_others_the_same(self, registry: Registry, line: PLC) -> None:
        other = await database_sync_to_async(rows.make_profile)("other-machine")
        for name, profile in (("press-2", line.profile), ("odd-1", other)):
            await database_sync_to_async(rows.make_plc)(profile, name)
        before = await registry.plcs()
        await change(PLC, {"name": "press-1"}, host="10.1.2.3")
        now = await registry.plcs()
        assert [name for name in now if now[name] is not before[name]] == ["press-1"]
        assert now["press-1"].polls is before["press-2"].polls

    async def test_of_one_profile_leaves_the_plcs_of_others_the_same(self, registry: Registry) -> None:
        other = await database_sync_to_async(rows.make_profile)("other-machine")
        await database_sync_to_async(rows.make_plc)(other, "odd-1")
        before = await registry.plcs()
        await change(Parameter, {"name": "nok_num", "command__profile": other}, maximum=7)
        now = await registry.plcs()
        assert [name for name in now if now[name] is not before[name]] == ["odd-1"]
        assert now["odd-1"].commands["start_batch"].parameters[1].maximum == 7

    async def test_that_leaves_all_as_it_was_is_told_to_nobody(
        self, line: PLC, gateway: Gateway, loads: list[int], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        before, heard = await gateway.registry.plcs(), told_of(gateway, monkeypatch)
        await change(Profile, {}, description="as before, for colleagues")
        await eventually(lambda: loads)
        assert (await gateway.registry.find("press-1")) is before["press-1"]
        assert heard == []

    async def test_of_a_tag_that_a_step_of_another_profile_uses_is_seen_too(self, registry: Registry) -> None:
        """The admin refuses such a step; other hands may write it."""
        other = await database_sync_to_async(rows.make_profile)("other-machine")
        foreign = await Tag.objects.aget(profile=other, name="recipe")
        await change(Step, {"tag__name": "recipe", "command__profile__name": "batch-machine"}, tag=foreign)
        await change(Tag, {"pk": foreign.pk}, address=9)
        steps = (await registry.find("press-1")).commands["start_batch"].steps
        assert [step.tag.address for step in steps if step.tag.name == "recipe"] == [9]


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

    @pytest.mark.parametrize(
        ("model", "where", "fields"),
        [
            (Tag, {"name": "recipe"}, {"data_type": "uint24"}),
            (Tag, {"name": "recipe"}, {"data_type": "float32"}),
            (Tag, {"name": "recipe"}, {"table": "input_register"}),
            (PLC, {"name": "press-1"}, {"heartbeat_interval_ms": 0, "watched_limit_s": 0}),
        ],
        ids=str,
    )
    async def test_takes_a_heartbeat_away_and_not_its_plc(
        self, registry: Registry, line: PLC, model, where, fields
    ) -> None:
        recipe = await Tag.objects.aget(name="recipe")
        await change(PLC, {"name": "press-1"}, heartbeat_tag=recipe)
        assert (await registry.find("press-1")).heartbeat.written == recipe.spec()
        await change(model, where, **fields)
        assert (await registry.find("press-1")).heartbeat.written is None
        await change(PLC, {"name": "press-1"}, watched_limit_s=0, watched_tag=recipe)
        assert (await registry.find("press-1")).heartbeat.watched is None

    async def test_of_another_profile_s_tag_is_no_heartbeat(self, registry: Registry, line: PLC) -> None:
        other = (await database_sync_to_async(rows.make_profile)("other-machine")).pk
        foreign = await Tag.objects.aget(profile=other, name="recipe")
        await change(PLC, {"name": "press-1"}, heartbeat_tag=foreign, watched_tag=foreign)
        heartbeat = (await registry.find("press-1")).heartbeat
        assert (heartbeat.written, heartbeat.watched) == (None, None)

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
        registry.reload()
        await asyncio.gather(*(registry.find("press-1") for _ in range(50)))
        assert len(loads) == 1

    async def test_is_not_done_while_nothing_changes(self, registry: Registry, loads: list[int]) -> None:
        await asyncio.sleep(2.5 * LOOK_S)
        for _ in range(10):
            await registry.find("press-1")
        assert loads == []

    async def test_of_a_change_amid_a_load_is_done_again(
        self, registry: Registry, loads: list[int], held_up: threading.Event
    ) -> None:
        registry.reload()
        finding = asyncio.create_task(registry.find("press-1"))
        await eventually(lambda: loads)
        registry.reload()
        held_up.set()
        await finding
        assert len(loads) == 2

    async def test_of_what_is_changed_together_amid_a_load_is_seen_together(
        self, gateway: Gateway, line: PLC, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Half of it would be a command that nobody has written, told to a machine."""
        seen: set[tuple[str, int]] = set()
        digests, changes = loading._digests, iter([both_changed])

        def changed_amid() -> dict[int, bytes]:
            found = digests()
            for make in changes:
                elsewhere(make)
            return found

        def note(plcs: Mapping[int, PLCSpec]) -> None:
            seen.update((plc.endpoint.host, plc.tags["recipe"].address) for plc in plcs.values())

        await gateway.registry.find("press-1")
        monkeypatch.setattr(loading, "_digests", changed_amid)
        monkeypatch.setattr(gateway.watching, "refresh", note)
        await change(Profile, {}, description="its rows are read anew")
        await eventually(lambda: ("10.1.2.3", 6) in seen, LIMIT_S)
        assert seen <= {("127.0.0.1", 5), ("10.1.2.3", 6)}, "the machine moved with its registers"

    async def test_waits_for_nobody_who_writes(self, registry: Registry, write_lock: WriteLock) -> None:
        await asyncio.to_thread(write_lock.take)
        registry.reload()
        async with asyncio.timeout(LIMIT_S):
            assert await registry.find("press-1")

    async def test_is_not_cut_by_a_caller_who_goes(self, registry: Registry) -> None:
        registry.reload()
        first, second = asyncio.create_task(registry.plcs()), asyncio.create_task(registry.plcs())
        await asyncio.sleep(0)
        first.cancel()
        assert set(await second) == {"press-1"}

    async def test_that_fails_is_told_and_tried_again(self, registry: Registry) -> None:
        async with no_table("devices_tag"):
            registry.reload()
            with pytest.raises(RecordUnavailable, match="the registry cannot be read"):
                await registry.find("press-1")
        assert (await registry.find("press-1")).name == "press-1"

    async def test_of_a_change_amid_a_load_needs_nobody_who_asks(
        self, line: PLC, gateway: Gateway, loads: list[int], held_up: threading.Event, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        heard = told_of(gateway, monkeypatch)
        gateway.registry.reload()
        await eventually(lambda: loads)
        elsewhere(lambda: changed(PLC, {"name": "press-1"}, host="10.1.2.3"))  # the load may have read it or not
        held_up.set()
        await eventually(lambda: heard and heard[-1]["press-1"].endpoint.host == "10.1.2.3")
        assert len(loads) == 2

    async def test_that_fails_is_tried_again_also_where_nobody_asks(
        self, line: PLC, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(kept, "RETRY_S", 0.05)
        heard = told_of(gateway, monkeypatch)
        async with no_table("devices_command"):
            # The audit names what a PLC refers to, its tags among them; its commands it does not read.
            await change(PLC, {"name": "press-1"}, host="10.1.2.3")
            await asyncio.sleep(0.1)
            assert heard == []
        await eventually(lambda: heard)
        (plc,) = heard[-1].values()
        assert plc.endpoint.host == "10.1.2.3"

    async def test_of_what_somebody_wrote_past_the_product_is_done_after_a_while(
        self, registry: Registry, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(kept, "KEPT_S", 0.0)
        await PLC.objects.aupdate(host="10.1.2.3")
        async with asyncio.timeout(LIMIT_S):
            while (await registry.find("press-1")).endpoint.host != "10.1.2.3":  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.01)

    async def test_takes_as_many_queries_for_many_plcs_as_for_few(self, registry: Registry) -> None:
        def queries() -> int:
            counted: list[str] = []

            def note(execute, sql, *rest):
                counted.append(sql)
                return execute(sql, *rest)

            with connection.execute_wrapper(note):
                Loader().load()
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


def told_of(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> list[Mapping[str, PLCSpec]]:
    """What the registry tells the poller and all others who do not ask."""
    heard: list[Mapping[str, PLCSpec]] = []
    monkeypatch.setattr(gateway.registry, "_on_change", heard.append)
    return heard


@pytest.fixture
def loads(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One entry for each load from the database."""
    counted: list[int] = []
    load = registry._kept._read
    monkeypatch.setattr(registry._kept, "_read", lambda: (counted.append(1), load())[1])
    return counted


@pytest.fixture
def held_up(registry: Registry, loads: list[int], monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Each load ends once this is set."""
    load, goes_on = registry._kept._read, threading.Event()
    monkeypatch.setattr(registry._kept, "_read", lambda: (load(), goes_on.wait(5))[0])
    return goes_on
