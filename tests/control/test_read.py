"""A tag that is read now: what the PLC holds, or why that cannot be told; never a value that nobody read."""

import asyncio
import math

import pytest

from devices.control.errors import Draining, NotRead, PLCDisabled, QueueFull, TagNotReadable, UnknownTag
from devices.control.gateway import Gateway
from devices.control.values import Quality
from devices.models import PLC, State
from tests.control.databases import eventually
from tests.control.rows import call, runs
from tests.control.tags import get, known, replacing
from tests.doubles import faults
from tests.doubles.fault_server import FaultServer


@pytest.fixture
def told(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> list[dict]:
    """What pages are told of values."""
    told: list[dict] = []
    monkeypatch.setattr(gateway.announcer, "tell_values", lambda _plc, changed, _reads: told.append(dict(changed)))
    return told


class TestATag:
    async def test_is_read_from_the_plc_now(self, machine: FaultServer, line: PLC) -> None:
        machine.holding_registers[5] = 7
        assert (await get("recipe")).value == 7
        machine.holding_registers[5] = 8
        read = await get("recipe")
        assert (read.value, read.quality) == (8, Quality.GOOD)
        assert read.age_s is not None
        assert read.age_s < 5
        assert machine.writes == []
        assert await runs() == [], "a look is no run"

    async def test_is_shown_to_pages_too(self, machine: FaultServer, line: PLC, told: list[dict]) -> None:
        machine.holding_registers[5] = 7
        read = await get("recipe")
        assert (await known("recipe")).value == 7
        assert told == [{"recipe": told[0]["recipe"]}]
        assert (told[0]["recipe"]["value"], told[0]["recipe"]["read_at"]) == (7, read.read_at.isoformat())

    async def test_that_holds_no_number_is_told_as_that(self, machine: FaultServer, line: PLC) -> None:
        machine.holding_registers[10:12] = [0x7FC0, 0]
        assert math.isnan((await get("setpoint")).value)

    async def test_waits_its_turn_behind_a_command(self, machine: FaultServer, line: PLC) -> None:
        machine.answer_delay_s = 0.02
        command = asyncio.create_task(call())
        await eventually(lambda: machine.requests)
        read, run = await get("recipe"), await command
        assert (run.state, read.value) == (State.SUCCEEDED, 7)
        assert read.read_at > run.finished_at
        assert machine.peak_connections == 1


class TestATagThatIsNotRead:
    @pytest.mark.parametrize("code", [1, 2, 3])
    async def test_because_the_plc_says_no_is_told_and_shown_as_bad(
        self, machine: FaultServer, line: PLC, told: list[dict], code: int
    ) -> None:
        await get("recipe")
        machine.misbehave(faults.exception(code), at="recipe", functions=(3,), times=None)
        with pytest.raises(TagNotReadable, match=f"press-1 does not tell what recipe holds.*exception {code}"):
            await get("recipe")
        shown = await known("recipe")
        assert (shown.value, shown.quality) == (None, Quality.BAD)
        assert f"exception {code}" in shown.reason
        assert told[-1]["recipe"]["quality"] == "bad"

    async def test_because_the_device_failed_leaves_what_was_known(self, machine: FaultServer, line: PLC) -> None:
        before = await get("recipe")
        machine.misbehave(faults.exception(4), at="recipe", functions=(3,), times=None)
        with pytest.raises(TagNotReadable, match="exception 4"):
            await get("recipe")
        shown = await known("recipe")
        assert (shown.value, shown.read_at) == (before.value, before.read_at)

    @pytest.mark.parametrize(
        ("fault", "said"),
        [
            (faults.exception(6), "exception 6"),
            (faults.mute, "not served"),
            (faults.reset_before, "not served"),
            (faults.transaction(0), "not served"),
        ],
    )
    @pytest.mark.mute
    async def test_because_the_plc_does_not_answer_is_told_with_when_to_ask_again(
        self, machine: FaultServer, line: PLC, told: list[dict], fault, said: str
    ) -> None:
        machine.misbehave(fault, times=None)
        with pytest.raises(NotRead, match=said) as refusal:
            await get("recipe")
        assert refusal.value.retry_after_s > 0
        assert (await known("recipe")).quality is Quality.UNREAD
        assert told == []

    async def test_because_the_plc_is_offline_is_told_at_once(self, machine: FaultServer, line: PLC) -> None:
        await machine.refuse_connects()
        for _ in range(3):
            with pytest.raises(NotRead):
                await get("recipe")
        with pytest.raises(NotRead, match="offline") as refusal:
            await get("recipe")
        assert refusal.value.retry_after_s >= 1

    async def test_because_another_machine_took_its_place_meanwhile_is_told_and_not_shown(
        self, machine: FaultServer, line: PLC, told: list[dict]
    ) -> None:
        line.response_timeout_s = 5
        await line.asave()
        machine.misbehave(replacing(line))
        with pytest.raises(NotRead, match="the settings of press-1 were changed while it was read"):
            await get("recipe")
        assert ((await known("recipe")).quality, told) == (Quality.UNREAD, [])

    async def test_because_it_takes_too_long_is_told(
        self, machine: FaultServer, line: PLC, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("devices.control.read.READ_LIMIT_S", 0.05)
        machine.answer_delay_s = 0.1
        with pytest.raises(NotRead, match=r"0\.05 s were over before all was read"):
            await get("recipe")

    async def test_because_as_many_wait_as_may_is_told(self, machine: FaultServer, line: PLC) -> None:
        line.max_waiting = 2
        await line.asave()
        machine.answer_delay_s = 0.02
        answers = await asyncio.gather(*(get("recipe") for _ in range(10)), return_exceptions=True)
        assert sum(isinstance(answer, QueueFull) for answer in answers) == 7

    async def test_because_the_plc_is_disabled_is_told(self, machine: FaultServer, line: PLC) -> None:
        line.is_enabled = False
        await line.asave()
        with pytest.raises(PLCDisabled):
            await get("recipe")
        assert machine.connects == 0

    async def test_because_there_is_none_is_told_with_those_there_are(self, machine: FaultServer, line: PLC) -> None:
        with pytest.raises(UnknownTag, match=r"no tag 'pressure'; it has: ack, batch_number"):
            await get("pressure")
        assert machine.connects == 0

    async def test_because_the_gateway_shuts_down_is_told(self, line: PLC, gateway: Gateway) -> None:
        gateway.is_draining = True
        with pytest.raises(Draining):
            await get("recipe")
