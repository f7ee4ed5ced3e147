"""From an empty site to a running batch: an engineer describes the machine in the admin, then the MES starts it."""

import re
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from channels.db import database_sync_to_async
from django.contrib.auth.models import User

from devices.models import Profile
from tests.api.conftest import FAULT_BIT, START
from tests.doubles.fault_server import FaultServer
from tests.doubles.leaks import settle
from tests.journeys.calls import PROBLEM
from tests.journeys.engineer import Engineer
from tests.serving.process import RunningServer
from tests.serving.records import stored_runs

pytestmark = pytest.mark.django_db(transaction=True)

PASSWORD = "correct horse battery staple"
KEY = re.compile(r"pgw_\w+")
ADMIN = "/admin/devices"
PRESS = "/api/start/press-7"

COIL = {"table": "coil", "data_type": "bool"}
DISCRETE = {"table": "discrete_input", "data_type": "bool"}
HOLDING = {"table": "holding_register", "data_type": "uint16"}
TAGS: dict[str, dict[str, Any]] = {
    "start": COIL | {"address": 0},
    "fault": DISCRETE | {"address": 2},
    "start_ack": DISCRETE | {"address": 3},
    "batch_size": HOLDING | {"address": 0, "minimum": 1, "maximum": 10000},
    "nok_num": HOLDING | {"address": 1, "maximum": 1000},
    "batch_number": {"table": "input_register", "data_type": "uint32", "address": 9},
}
UNTOUCHED = {"byte_order": "ABCD", "length": 0, "scale": "1", "offset": "0"}  # what an empty row of tags shows
PARAMETERS: list[dict[str, Any]] = [
    {"name": "batch_size", "data_type": "integer", "minimum": 1, "maximum": 10000, "default": 15},
    {"name": "nok_num", "data_type": "integer", "minimum": 0, "maximum": 1000, "default": 3},
]
FAULT_MESSAGE = "the machine has a fault, reset it"
HANDSHAKE: list[dict[str, Any]] = [
    {"phase": "trigger", "tag": "start", "operator": "set", "value": "true"},
    {"phase": "check", "tag": "fault", "operator": "==", "value": "0", "message": FAULT_MESSAGE},
    {"phase": "write", "tag": "batch_size", "operator": "set", "value": "{batch_size}"},
    {"phase": "write", "tag": "nok_num", "operator": "set", "value": "{nok_num}"},
    {"phase": "wait", "tag": "start_ack", "operator": "==", "value": "1", "timeout_s": "5"},
    {"phase": "read", "tag": "batch_number", "operator": "get"},
    {"phase": "cleanup", "tag": "start", "operator": "set", "value": "false"},
    {"phase": "cleanup", "tag": "start_ack", "operator": "==", "value": "0", "timeout_s": "5"},
]
AS_CARRIED_OUT = [
    ("check", "fault", False),
    ("write", "batch_size", 20),
    ("write", "nok_num", 5),
    ("trigger", "start", True),
    ("wait", "start_ack", True),
    ("read", "batch_number", 1),
    ("cleanup", "start", False),
    ("cleanup", "start_ack", False),
]


@pytest.fixture
def registry(transactional_db: None) -> None:
    """Nothing is registered; an engineer may log in."""
    User.objects.create_superuser("engineer", password=PASSWORD)


@pytest.fixture
async def engineer(server: RunningServer) -> AsyncIterator[Engineer]:
    """Logged in at the running site."""
    async with httpx.AsyncClient(base_url=server.url, timeout=60) as browser:
        engineer = Engineer(browser)
        await engineer.log_in("engineer", PASSWORD)
        yield engineer


@pytest.fixture
async def key(engineer: Engineer, machine: FaultServer) -> str:
    """All is entered, and the MES has the key that the page showed."""
    await enter_profile(engineer)
    await enter_command(engineer)
    await enter_plc(engineer, machine)
    return await make_key(engineer)


async def enter_profile(engineer: Engineer) -> None:
    form = await engineer.open(f"{ADMIN}/profile/add/")
    form.fields["name"] = "press"
    for name, tag in TAGS.items():
        form.add_row("tags", name=name, **UNTOUCHED | tag)
    await engineer.save(form)


async def enter_command(engineer: Engineer) -> None:
    """The trigger goes into the row that the page offers; the order of phases is the gateway's business."""
    form = await engineer.open(f"{ADMIN}/command/add/")  # leads on to the only machine type that there is
    form.fields["name"] = "start_batch"
    for parameter in PARAMETERS:
        form.add_row("parameters", **parameter)
    offered, *more = ({**step, "tag": form.choice("steps-0-tag", step["tag"] + " ·")} for step in HANDSHAKE)
    form.change_row("steps", 0, **offered)
    for step in more:
        form.add_row("steps", **step)
    await engineer.save(form)


async def enter_plc(engineer: Engineer, machine: FaultServer) -> None:
    form = await engineer.open(f"{ADMIN}/plc/add/")
    form.fields |= {"name": "press-7", "title": "Press 7", "profile": form.choice("profile", "press")}
    form.fields |= {"host": machine.host, "port": machine.port}
    await engineer.save(form)


async def make_key(engineer: Engineer) -> str:
    form = await engineer.open(f"{ADMIN}/apikey/add/")
    form.fields |= {"name": "mes-line-7", "owner": form.choice("owner", "engineer")}
    answer = await engineer.send(form)
    (key,) = KEY.findall(answer.text)
    await allow(engineer, "mes-line-7")
    return key


async def allow(engineer: Engineer, name: str) -> None:
    """The key may run every command; made a moment ago, it may do nothing."""
    form = await engineer.open(f"{ADMIN}/grant/add/")
    form.fields |= {"key": form.choice("key", name), "right": "execute"}
    await engineer.save(form)


def problem_of(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The problem that the answer is."""
    assert (answer.status_code, answer.headers["content-type"]) == (status, PROBLEM), answer.text
    told: dict[str, Any] = answer.json()
    assert told["type"].rpartition(":")[2] == code
    assert told["detail"]
    return told


class TestABatch:
    async def test_is_started_as_the_engineer_described_it(self, mes, machine):
        answer = await mes.put(PRESS, json={"batsize": 20, "noksize": 5})
        assert answer.status_code == 200, answer.text
        told = answer.json()
        assert (told["state"], told["effect"], told["caller"]) == ("succeeded", "applied", "key mes-line-7")
        assert told["result"] == {"batch_number": 1}
        assert machine.holding_registers[:2] == [20, 5]
        assert machine.writes_to(START) == [1, 0]
        assert await settle(lambda: machine.open_connections == 0)
        (run,) = await stored_runs()
        assert (run.pk, run.state, run.plc_name) == (told["id"], "succeeded", "press-7")

    async def test_is_recorded_with_all_that_was_said_to_the_machine(self, mes, machine):
        started = (await mes.put(PRESS, json={"batsize": 20, "noksize": 5})).json()
        run = (await mes.get(f"/api/runs/{started['id']}")).json()
        trace, frames, definition, _ = (run.pop(name) for name in ("trace", "frames", "definition", "history"))
        assert run == started
        assert [bytes.fromhex(frame["hex"]) for frame in frames] == [raw for _, raw in machine.wire]
        assert (definition["plc"]["name"], definition["command"]["name"]) == ("press-7", "start_batch")
        assert [(line["phase"], line["tag"], line.get("sent", line.get("read"))) for line in trace] == AS_CARRIED_OUT

    async def test_with_wrong_values_is_refused_with_each_field_named(self, mes, machine):
        told = problem_of(await mes.put(PRESS, json={"batsize": 0, "noksize": "3"}), 422, "invalid-parameters")
        assert [fault["field"] for fault in told["errors"]] == ["batsize", "noksize"]
        assert all(fault["message"] for fault in told["errors"])
        assert machine.requests == []
        assert await stored_runs() == []

    async def test_is_rejected_in_the_words_that_the_engineer_gave_the_interlock(self, mes, machine):
        machine.discrete_inputs[FAULT_BIT] = 1
        assert FAULT_MESSAGE in problem_of(await mes.put(PRESS), 409, "run-rejected")["detail"]
        assert machine.writes == []

    async def test_at_a_plc_that_nobody_entered_is_not_found(self, mes):
        assert "press-8" in problem_of(await mes.put("/api/start/press-8"), 404, "unknown-plc")["detail"]

    async def test_is_refused_from_the_next_call_on_once_the_engineer_disabled_the_plc(self, engineer, mes, machine):
        assert (await mes.put(PRESS)).status_code == 200
        plc = (await mes.get("/api/plcs")).json()["plcs"][0]["id"]
        form = await engineer.open(f"{ADMIN}/plc/{plc}/change/")
        assert form.fields.pop("is_enabled") == "on"  # a box that is not ticked sends nothing
        await engineer.save(form)
        refused = await mes.put(PRESS)
        assert "press-7 is disabled" in problem_of(refused, 503, "plc-disabled")["detail"]
        assert int(refused.headers["retry-after"]) >= 1
        assert machine.writes_to(START) == [1, 0]
        form.fields["is_enabled"] = "on"
        await engineer.save(form)
        assert (await mes.put(PRESS)).json()["result"] == {"batch_number": 2}


class TestAFormOfTheAdmin:
    async def test_without_its_token_changes_nothing(self, engineer):
        form = await engineer.open(f"{ADMIN}/profile/add/")
        form.fields["name"] = "press"
        del form.fields["csrfmiddlewaretoken"]
        assert (await engineer.send(form)).status_code == 403
        assert not await database_sync_to_async(Profile.objects.exists)()
