"""Records are looked at, never changed."""

import html
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from devices.control.definitions import define
from devices.control.write import command_to_write
from devices.modbus.types import ByteOrder, DataType, Endpoint, Table, TagSpec
from devices.models import Definition, Run, Step
from devices.plc.specs import (
    CommandSpec,
    Operator,
    ParameterSpec,
    ParameterType,
    Phase,
    PLCSpec,
    PollSpec,
    StepSpec,
)
from tests.models import rows

TRACE = [
    {"at_ms": 1.5, "phase": "check", "tag": "fault", "operator": "==", "read": False, "wanted": False},
    {"at_ms": 2.5, "phase": "trigger", "tag": "start", "operator": "set", "sent": True},
    {
        "at_ms": 9,
        "phase": "wait",
        "tag": "ack",
        "operator": "in",
        "read": 0,
        "wanted": [1, 2],
        "error": "not met in time",
    },
    {"at_ms": 11, "note": "cleanup not done: <script>alert(1)</script>"},
]
FRAMES = [
    {"at_ms": 2.1, "step": 1, "direction": "sent", "length": 12, "hex": "00 02 00 00 00 06 01 05 00 00 ff 00"},
    {"note": "70 frames left out"},
    {"at_ms": 8.5, "step": 2, "direction": "received", "length": 800_000, "hex": " ".join(["aa"] * 300)},
]
HISTORY = [
    {"state": "unknown", "effect": "unknown", "retry": "after_reconcile", "detail": "nobody knows <b>", "result": {},
     "at": "2026-07-01T12:00:00.123456+00:00", "by": "user anna"},
]  # fmt: skip


def rows_of(page: str, heading: str) -> list[list[str]]:
    """The cells of the last table below a heading of the page."""
    section = re.split(r"<h2", page.partition(heading)[2])[0]
    lines = re.findall(r"<tr>(.*?)</tr>", section.rpartition("<tbody>")[2], re.DOTALL)
    return [
        [html.unescape(re.sub(r"<[^>]*>", "", cell)).strip() for cell in re.findall(r"<td.*?</td>", line, re.DOTALL)]
        for line in lines
    ]


def a_definition() -> Definition:
    """As the gateway stores it."""
    size = TagSpec(name="batch_size", table=Table.HOLDING_REGISTER, address=4, data_type=DataType.UINT32,
                   byte_order=ByteOrder.CDAB, scale=Decimal("0.1"), offset=Decimal(5), minimum=Decimal(1))  # fmt: skip
    start = TagSpec(name="start", table=Table.COIL, address=9, data_type=DataType.BOOL, maximum=Decimal(1))
    given = ParameterSpec(name="batch_size", data_type=ParameterType.INTEGER, maximum=900, default=15)
    done = TagSpec(name="done", table=Table.HOLDING_REGISTER, address=5, bit=3, data_type=DataType.BOOL)
    steps = (
        StepSpec(phase=Phase.CHECK, tag=size, operator=Operator.IN, choices=(1, 2), message="not <now>"),
        StepSpec(phase=Phase.WRITE, tag=size, operator=Operator.SET, parameter="batch_size", tolerance=0.5),
        StepSpec(phase=Phase.TRIGGER, tag=start, operator=Operator.SET, value=True),
        StepSpec(phase=Phase.WAIT, tag=done, operator=Operator.EQUAL, value=False, timeout_s=5.0, position=4),
        StepSpec(phase=Phase.FAIL_IF, tag=done, operator=Operator.EQUAL, value=True, message="jam", is_applied=True),
    )
    plc = PLCSpec(id=1, name="press-1", profile="batch-machine", endpoint=Endpoint(host="10.0.0.7", unit=3))
    spec = define(
        plc, CommandSpec(name="start_batch", parameters=(given,), steps=steps, expires_after_s=90, connect_tries=3)
    )
    return Definition.objects.create(digest=spec.digest, content=spec.content)


@pytest.fixture
def page(engineer, run) -> str:
    """The run's page."""
    return engineer.get(f"/admin/devices/run/{run.pk}/change/").content.decode()


@pytest.fixture
def run(profile):
    now = timezone.now()
    return Run.objects.create(
        plc=rows.stored(rows.plc(profile)),
        plc_name="press-1",
        command="start_batch",
        parameters={"batch_size": 15},
        caller="key mes-line-1",
        state="timed_out",
        effect="unknown",
        detail="ack is false, wanted == true",
        result={"batch_number": 7},
        trace=TRACE,
        frames=FRAMES,
        history=HISTORY,
        definition=a_definition(),
        sequence=4711,
        idempotency_key="order-17",
        accepted_at=now - timedelta(seconds=1.25),
        finished_at=now,
    )


class TestRecord:
    def test_is_readable(self, page):
        for text in ("timed out", "batch_size", "batch_number", "1.25 s", "4711", "order-17"):
            assert text in page

    def test_names_each_step_with_its_time_what_was_sent_and_what_was_read(self, page):
        assert rows_of(page, "Step by step") == [
            ["1", "1.5", "check", "fault", "", "false", "== false", ""],
            ["2", "2.5", "trigger", "start", "true", "", "", ""],
            ["3", "9", "wait", "ack", "", "0", "in 1 or 2", "not met in time"],
            ["4", "11", "cleanup not done: <script>alert(1)</script>"],
        ]

    def test_of_a_tag_that_was_written_names_it_and_what_was_read_back(self, engineer, run):
        size = TagSpec(name="batch_size", table=Table.HOLDING_REGISTER, address=4, data_type=DataType.UINT16)
        polls = {size.name: PollSpec(tag=size, is_writable=True)}
        plc = PLCSpec(id=1, name="press-1", endpoint=Endpoint(host="10.0.0.7"), polls=polls)
        spec = define(plc, command_to_write(plc, size.name))
        run.definition = Definition.objects.create(digest=spec.digest, content=spec.content)
        run.command, run.parameters, run.result = spec.content["command"]["name"], {"value": 15}, {size.name: 15}
        run.save()
        assert "write batch_size" in engineer.get("/admin/devices/run/").content.decode()
        page = engineer.get(f"/admin/devices/run/{run.pk}/change/").content.decode()
        assert "write batch_size" in page
        assert rows_of(page, "The command as it stood") == [
            ["trigger", "0", "batch_size", "holding register 4", "uint16", "set", "parameter value", "± 0", ""],
            ["read", "0", "batch_size", "holding register 4", "uint16", "get", "", "", ""],
        ]

    def test_shows_the_command_as_it_stood_whatever_it_is_now(self, engineer, run, command):
        Step.objects.all().delete()
        page = engineer.get(f"/admin/devices/run/{run.pk}/change/").content.decode()
        assert "Sent to press-1 at 10.0.0.7:502, unit 3, as a batch-machine." in page
        for limit in ("Time limit: 30 s", "Expires after: 90 s", "Looks every: 0.05 s", "Tries to connect: 3"):
            assert limit in page
        size = "uint32 CDAB, scale 0.1, offset 5, minimum 1"
        assert rows_of(page, "The command as it stood") == [
            ["check", "0", "batch_size", "holding register 4", size, "in", "1 | 2", "", "not <now>"],
            ["write", "0", "batch_size", "holding register 4", size, "set", "parameter batch_size", "± 0.5", ""],
            ["trigger", "0", "start", "coil 9", "bool, maximum 1", "set", "true", "", ""],
            ["wait", "4", "done", "holding register 5.3", "bool", "==", "false", "5 s", ""],
            ["fail_if", "0", "done", "holding register 5.3", "bool", "==", "true", "", "jam (acted all the same)"],
        ]
        assert '<td class="number">900</td>' in page

    def test_shows_what_went_over_the_wire_with_the_step_that_it_is_for(self, page):
        sent, gap, received = rows_of(page, "On the wire")
        assert sent == ["2", "2.1", "trigger start", "sent", "12", "00 02 00 00 00 06 01 05 00 00 ff 00"]
        assert gap == ["70 frames left out"]
        assert received[:5] == ["3", "8.5", "wait ack", "received", "800000"]
        assert received[5].endswith("aa aa …")

    LOCAL = timezone.localtime(datetime(2026, 7, 1, 12, 0, 0, 123_456, tzinfo=UTC)).isoformat(" ", "milliseconds")

    def test_shows_its_earlier_outcomes(self, page):
        (earlier,) = rows_of(page, "Earlier outcomes")
        assert earlier == [self.LOCAL, "user anna", "unknown", "unknown", "after_reconcile",
                           "nobody knows <b>", ""]  # fmt: skip

    def test_shows_text_of_machines_as_text(self, page):
        assert "<script>alert" not in page
        assert "&lt;script&gt;alert" in page

    @pytest.mark.parametrize("trace", [[], [{}], [{"at_ms": None, "other": [1]}]])
    def test_of_any_age_is_shown(self, engineer, run, trace):
        past = {"frames": [{"step": 99}, *trace], "history": [{}], "definition": None, "idempotency_key": None}
        Run.objects.update(trace=trace, result={}, parameters={}, finished_at=None, **past)
        assert engineer.get(f"/admin/devices/run/{run.pk}/change/").status_code == 200
        Definition.objects.update(content={})
        Run.objects.update(definition=Definition.objects.get())
        assert engineer.get(f"/admin/devices/run/{run.pk}/change/").status_code == 200

    def test_cannot_be_added_changed_or_deleted(self, engineer, run):
        before = list(Run.objects.values())
        for page in ("add/", f"{run.pk}/delete/", f"{run.pk}/change/"):
            answer = engineer.post(f"/admin/devices/run/{page}", {"state": "succeeded", "post": "yes"})
            assert answer.status_code == 403
        assert list(Run.objects.values()) == before
        assert 'name="_save"' not in engineer.get(f"/admin/devices/run/{run.pk}/change/").content.decode()


class TestList:
    def test_does_not_load_what_it_does_not_show(self, engineer, run):
        with CaptureQueriesContext(connection) as queries:
            assert engineer.get("/admin/devices/run/").status_code == 200
        asked = [query["sql"] for query in queries if '"devices_run"."accepted_at"' in query["sql"]]
        assert len(asked) >= 1
        assert [sql for sql in asked if '"frames"' in sql or '"trace"' in sql or '"history"' in sql] == []

    def test_is_searched_and_filtered(self, engineer, run):
        link = f"/admin/devices/run/{run.pk}/change/"
        for found in ("", "?state__exact=timed_out", f"?plc__id__exact={run.plc_id}", "?q=mes-line-1", "?q=wanted"):
            assert link in engineer.get(f"/admin/devices/run/{found}").content.decode()
        for other in ("?state__exact=succeeded", "?q=oven"):
            assert link not in engineer.get(f"/admin/devices/run/{other}").content.decode()
