"""The trace names every step that talked, also the one that failed, and each frame its step."""

import pytest
from channels.db import database_sync_to_async

from devices.control.gateway import Gateway
from devices.models import PLC, Command, Run, Step, Tag
from tests.control.rows import PLACES, call, the_run
from tests.doubles import faults
from tests.doubles.fault_server import FaultServer


def lines_of(run: Run, phase: str) -> list[dict]:
    return [line for line in run.trace if line.get("phase") == phase]


def requests_of(run: Run, tag: str) -> list[str]:
    """The requests that led to a tag's lines, from the function code on."""
    at = {index for index, line in enumerate(run.trace) if line.get("tag") == tag}
    return [f["hex"][21:] for f in run.frames if f["step"] in at and f["direction"] == "sent"]


@database_sync_to_async
def read_back(tag: str) -> None:
    Step.objects.filter(command__name="start_batch", tag__name=tag).update(tolerance=0.5)


class TestEveryStep:
    async def test_has_its_line_and_its_requests(self, machine: FaultServer, line: PLC, gateway: Gateway) -> None:
        await call("start_batch", {"batch_size": 20, "nok_num": 2})
        run = await the_run()
        assert requests_of(run, "fault") == ["02 00 02 00 02"]  # with its neighbour ack
        assert requests_of(run, "batch_size") == ["10 00 00 00 02 04 00 14 00 02"]  # with its neighbour nok_num
        assert requests_of(run, "start") == ["05 00 00 ff 00", "05 00 00 00 00"]
        assert requests_of(run, "batch_number") == ["04 00 09 00 02"]
        assert len([f for f in run.frames if f["direction"] == "sent"]) == len(machine.requests)
        assert {frame["step"] for frame in run.frames} <= set(range(len(run.trace)))

    async def test_that_was_read_back_tells_what_was_found(self, machine: FaultServer, press: PLC) -> None:
        await read_back("setpoint")
        gateway = Gateway(polls=False)
        await gateway.start()
        await call()
        await gateway.drain(1)
        run = await the_run()
        (written, found) = (entry for entry in lines_of(run, "write") if entry["tag"] == "setpoint")
        assert (written["sent"], found["read"]) == (21.5, 21.5)

    @pytest.mark.parametrize(
        ("place", "phase"), [("fault", "check"), ("ack", "wait"), ("batch_number", "read")], ids=str
    )
    @pytest.mark.mute
    async def test_that_was_not_answered_says_so(
        self, machine: FaultServer, line: PLC, gateway: Gateway, place: str, phase: str
    ) -> None:
        machine.misbehave(faults.mute, at=PLACES[place], skip=1 if place == "ack" else 0)  # first looked at before
        await call()
        run = await the_run()
        (failed,) = lines_of(run, phase)
        assert failed["tag"] == place
        assert "no answer within 1 s" in failed["error"]
        assert "read" not in failed
        assert len(requests_of(run, place)) >= 1
        assert {frame["step"] for frame in run.frames} <= set(range(len(run.trace)))

    @pytest.mark.mute
    async def test_that_was_sent_and_not_confirmed_tells_its_value(
        self, machine: FaultServer, line: PLC, gateway: Gateway
    ) -> None:
        machine.swallow_answer_to("start")
        await call()
        (trigger,) = lines_of(await the_run(), "trigger")
        assert trigger["sent"] is True
        assert trigger["error"].startswith("not confirmed: write of 1 coil at 0: no answer within")

    async def test_that_was_cut_is_told_with_what_it_sent(
        self, machine: FaultServer, line: PLC, gateway: Gateway
    ) -> None:
        def cut(_: int) -> None:
            gateway.hurry()

        machine.on_write("start", cut)
        machine.swallow_answer_to("start")
        await call()
        run = await the_run()
        (trigger,) = lines_of(run, "trigger")
        assert (run.state, trigger["sent"]) == ("unknown", True)
        assert trigger["error"] == "not confirmed: cut off while it was under way"
        assert requests_of(run, "start")[0] == "05 00 00 ff 00"

    @pytest.mark.mute
    async def test_that_had_to_stay_unsent_says_so(self, machine: FaultServer, line: PLC, gateway: Gateway) -> None:
        machine.misbehave(faults.mute, at=PLACES["recipe"])
        await call()
        written = {entry["tag"]: entry for entry in lines_of(await the_run(), "write")}
        assert "error" not in written["nok_num"]
        assert (written["recipe"]["sent"], written["recipe"]["error"][:14]) == (7, "not confirmed:")
        assert "sent" not in written["setpoint"]
        assert written["setpoint"]["error"].startswith("not sent: ")


class TestACondition:
    async def test_tells_what_it_was_compared_with(self, machine: FaultServer, line: PLC, gateway: Gateway) -> None:
        await call()
        run = await the_run()
        compared = [(entry["tag"], entry["read"], entry["wanted"]) for entry in run.trace if "wanted" in entry]
        assert compared == [("fault", False, False), ("ack", True, True), ("ack", False, False)]


class TestAWait:
    async def test_tells_its_last_look_and_that_of_each_error(self, machine: FaultServer, press: PLC) -> None:
        await database_sync_to_async(add_error)()
        gateway = Gateway(polls=False)
        await gateway.start()
        await call()
        await gateway.drain(1)
        run = await the_run()
        assert [(line["tag"], line["read"]) for line in lines_of(run, "wait")] == [("ack", True)]
        assert [line["read"] for line in lines_of(run, "fail_if")] == [0, 0]  # before the start, and with the wait


def add_error() -> None:
    command = Command.objects.get(name="start_batch")
    tag = Tag.objects.create(
        profile=command.profile, name="alarm", table="input_register", address=40, data_type="uint16"
    )
    Step.objects.create(command=command, phase="fail_if", tag=tag, operator="!=", value="0", position=20)
