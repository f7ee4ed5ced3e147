"""Two processes on one database, asked by one caller under one key: the database's constraint makes it one run."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from devices.control.errors import KeyReused
from devices.control.gateway import Gateway
from devices.control.submit import Request, begin
from devices.models import PLC, Run, State
from tests.control import rival
from tests.control.databases import elsewhere, eventually
from tests.control.rows import MES, runs
from tests.doubles.fault_server import FaultServer
from tests.serving.process import ROOT, child_environment, database_url

KEYS, TWINS = 10, 5


@pytest.fixture
async def other(line: PLC, gateway: Gateway, tmp_path: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """The other process, ready."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.control.rival", str(KEYS), str(TWINS)),
        env=child_environment(tmp_path, {"DATABASE_URL": database_url(connection)}),
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(30):
            assert await process.stdout.readline() == b"ready\n"
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def under(key: str, given: dict[str, Any] | None = None) -> Any:
    """Ask for a start under a key."""
    return await begin(Request(plc="press-1", command="start_batch", given=given or {}, caller=MES, key=key))


def elsewhere_is(plc: PLC, state: State, key: str = "k", **more: Any) -> Run:
    """Another process is asked under the key, with an empty body, and stores its run before this one goes on."""
    of = Request(plc="press-1", command="start_batch", given={}, caller=MES, key=key).fingerprint
    usual = {"plc": plc, "plc_name": plc.name, "command": "start_batch", "caller": MES.name}
    row = usual | {"state": state, "idempotency_key": key, "fingerprint": of, "accepted_at": timezone.now(), **more}
    return elsewhere(lambda: Run.objects.create(**row))


class TestTwinsOnTwoProcesses:
    async def test_are_one_run_and_one_trigger_each(
        self, machine: FaultServer, line: PLC, other: asyncio.subprocess.Process
    ) -> None:
        line.max_waiting = KEYS
        await line.asave()
        other.stdin.write(b"go\n")
        here, (printed, _) = await asyncio.gather(rival.ask(KEYS, TWINS), other.communicate())
        answers = [*here, *json.loads(printed)]
        assert len(answers) == 2 * KEYS * TWINS
        stored = {run.idempotency_key: run for run in await runs()}
        assert len(stored) == len(await runs()) == KEYS
        for key, run in stored.items():
            told = [answer for answer in answers if answer["key"] == key]
            assert {(answer["run"], answer["state"]) for answer in told} == {(run.pk, run.state)}
            assert [answer["is_replayed"] for answer in told].count(False) == 1
        # Two processes without a shared queue: where both want the PLC at once, the database lets one wait in vain.
        succeeded = [run for run in stored.values() if run.state == State.SUCCEEDED]
        assert {run.state for run in stored.values()} <= {State.SUCCEEDED, State.FAILED}
        assert machine.writes_to("start").count(1) == len(succeeded) > 0


class TestAKeyThatAnotherProcessTook:
    async def test_between_our_look_and_our_record_is_joined(
        self, machine: FaultServer, line: PLC, gateway: Gateway
    ) -> None:
        pending = await under("k")
        run = elsewhere_is(line, State.QUEUED)
        joined = asyncio.create_task(pending.reply())
        await eventually(lambda: not gateway._runs)
        assert not joined.done()
        await Run.objects.filter(pk=run.pk).aupdate(state=State.FAULTED, effect="none", detail="it said no")
        reply = await joined
        assert (reply.run.id, reply.run.state, reply.is_replayed) == (run.pk, State.FAULTED, True)
        assert machine.requests == []

    async def test_for_something_else_is_told_so(self, machine: FaultServer, line: PLC) -> None:
        pending = await under("k", {"batch_size": 2})
        elsewhere_is(line, State.QUEUED)
        with pytest.raises(KeyReused):
            await pending.reply()
        assert machine.requests == []

    async def test_and_that_is_still_open_is_waited_for_as_long_as_wanted(
        self, machine: FaultServer, line: PLC
    ) -> None:
        run = elsewhere_is(line, State.RUNNING)
        reply = await (await under("k")).reply(0.2)
        assert (reply.run.id, reply.run.state, reply.is_replayed) == (run.pk, State.RUNNING, True)
        assert machine.requests == []
