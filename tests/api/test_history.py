"""What tags held over time: to be drawn, or as a table that is safe to open."""

import csv
import io
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import DatabaseError
from django.http import HttpResponse
from django.test import AsyncClient

from devices.api import history_csv
from devices.api.schemas import TrendOut
from devices.control import exports
from devices.models import PLC, Sample, Series, Tag
from tests.api.callers import faults_of, problem_of, rename

pytestmark = pytest.mark.django_db(transaction=True)

START = datetime(2026, 7, 1, 12, tzinfo=UTC)
HISTORY = "/api/plcs/press-1/history"
SPAN = {"from": "2026-07-01T12:00:00Z", "to": "2026-07-01T13:00:00Z"}


@pytest.fixture
async def temp(press: PLC) -> str:
    """A tag of `press-1` that is kept in history, by its name."""
    await record(press, "temp", unit="°C")
    return "temp"


@sync_to_async
def record(press: PLC, name: str, **more: Any) -> None:
    usual = {"table": "holding_register", "address": 900 + Tag.objects.count(), "data_type": "float32"}
    tag = Tag(profile=press.profile, name=name, is_recorded=True, **usual | more)
    tag.full_clean()
    tag.save()


async def keep(press: PLC, tag: str, *values: float | str | None, start: datetime = START, every_s: float = 1) -> None:
    """One sample after the other; None: from then on it was not read."""
    series, _ = await Series.objects.aget_or_create(plc=press, tag=tag)
    start_ms = round(start.timestamp() * 1000)
    await Sample.objects.abulk_create(
        Sample(
            series=series,
            at_ms=start_ms + round(1000 * every_s * place),
            number=None if isinstance(value, str) else value,
            text=value if isinstance(value, str) else None,
        )
        for place, value in enumerate(values)
    )


async def table(answer: HttpResponse) -> list[list[str]]:
    """The rows of a CSV answer, its head checked and left out."""
    assert answer.status_code == 200, answer.content
    text = b"".join([part async for part in answer.streaming_content]).decode()
    rows = list(csv.reader(io.StringIO(text, newline="")))
    assert rows[0] == ["time", "tag", "value", "unit"]
    return rows[1:]


class TestATrend:
    async def test_is_told_in_points(self, mes: AsyncClient, press: PLC, temp: str):
        await keep(press, temp, 20.5, None, -3.0)
        told = (await mes.get(HISTORY, {"tag": temp, **SPAN})).json()
        assert told == {
            "plc": "press-1",
            "tag": "temp",
            "unit": "°C",
            "from": "2026-07-01T12:00:00.000+00:00",
            "to": "2026-07-01T13:00:00.000+00:00",
            "is_downsampled": False,
            "points": [
                {"at": "2026-07-01T12:00:00.000+00:00", "value": 20.5, "minimum": 20.5, "maximum": 20.5},
                {"at": "2026-07-01T12:00:01.000+00:00", "value": None, "minimum": None, "maximum": None},
                {"at": "2026-07-01T12:00:02.000+00:00", "value": -3.0, "minimum": -3.0, "maximum": -3.0},
                {"at": "2026-07-01T12:01:05.000+00:00", "value": None, "minimum": None, "maximum": None},
            ],
        }
        TrendOut.model_validate(told)

    async def test_shows_a_peak_among_many_samples(self, mes: AsyncClient, press: PLC, temp: str):
        await keep(press, temp, *(999.0 if place == 1234 else 1.0 for place in range(3000)))
        told = (await mes.get(HISTORY, {"tag": temp, "points": 10, **SPAN})).json()
        assert told["is_downsampled"]
        assert len([point for point in told["points"] if point["value"] is not None]) <= 10
        assert max(point["maximum"] or 0 for point in told["points"]) == 999.0

    async def test_of_a_text_has_texts(self, mes: AsyncClient, press: PLC):
        await record(press, "recipe", data_type="string", length=4)
        await keep(press, "recipe", "A", "A", "B")
        told = (await mes.get(HISTORY, {"tag": "recipe", **SPAN})).json()
        assert [point["value"] for point in told["points"]] == ["A", "B", None]

    async def test_is_of_the_last_hour_where_no_time_is_given(self, mes: AsyncClient, press: PLC, temp: str):
        now = datetime.now(UTC)
        await keep(press, temp, 1.0, 2.0, start=now - timedelta(minutes=90), every_s=3600)
        told = (await mes.get(HISTORY, {"tag": temp})).json()
        assert next(iter(told["points"]))["value"] == 2.0
        start, end = (datetime.fromisoformat(told[name]) for name in ("from", "to"))
        assert end - start == timedelta(hours=1)
        assert abs(end - now) < timedelta(minutes=1)

    async def test_begins_an_hour_before_an_end_that_is_given(self, mes: AsyncClient, temp: str):
        told = (await mes.get(HISTORY, {"tag": temp, "to": SPAN["to"]})).json()
        assert told["from"] == "2026-07-01T12:00:00.000+00:00"

    async def test_understands_every_time_zone(self, mes: AsyncClient, temp: str):
        given = {"from": "2026-07-01T14:00:00+02:00", "to": "2026-07-01T08:30:00.5-04:30"}
        told = (await mes.get(HISTORY, {"tag": temp, **given})).json()
        assert (told["from"], told["to"]) == ("2026-07-01T12:00:00.000+00:00", "2026-07-01T13:00:00.500+00:00")

    async def test_of_a_tag_without_samples_is_empty(self, mes: AsyncClient, temp: str):
        assert (await mes.get(HISTORY, {"tag": temp})).json()["points"] == []


@pytest.mark.parametrize("address", [HISTORY, f"{HISTORY}.csv"])
class TestBoth:
    async def test_know_the_plc_by_name_and_number(self, mes: AsyncClient, press: PLC, temp: str, address: str):
        numbered = address.replace("press-1", str(press.pk))
        assert (await mes.get(numbered, {"tag": temp})).status_code == 200
        problem_of(await mes.get(address.replace("press-1", "press-9"), {"tag": temp}), 404, "unknown-plc")

    @pytest.mark.parametrize("name", ["nothing", "batch_size", "'; DROP\0", ""])
    async def test_name_the_recorded_tags_to_who_asks_for_another(
        self, mes: AsyncClient, temp: str, address: str, name: str
    ):
        told = problem_of(await mes.get(address, {"tag": name}), 404, "unknown-tag")
        assert told["detail"].endswith("kept are: good_count, nok_count, temp, temperature")

    @pytest.mark.parametrize(
        ("given", "field", "says"),
        [
            ({"from": "2026-07-01T12:00:00"}, "from", "no time zone"),
            ({"to": "2026-07-01"}, "to", "no time zone"),
            ({"from": "yesterday"}, "from", "ISO 8601"),
            ({"from": ""}, "from", "ISO 8601"),
            ({"to": "2026-07-01T12:00:00 02:00"}, "to", "%2B"),
            ({"from": "0001-01-01T00:00:00+14:00"}, "from", "ISO 8601"),
            ({"to": "9999-12-31T23:59:59-14:00"}, "to", "ISO 8601"),
            ({"from": "1969-12-31T23:00:00Z", "to": "1970-01-01T00:00:00Z"}, "from", "before 1970"),
            ({"from": SPAN["to"], "to": SPAN["from"]}, "to", "after `from`"),
            ({"from": SPAN["to"], "to": SPAN["to"]}, "to", "after `from`"),
            ({"from": "2999-01-01T00:00:00Z"}, "to", "after `from`"),
            ({"from": "2020-01-01T00:00:00Z"}, "to", "at most 366 days"),
        ],
    )
    async def test_name_a_time_that_is_wrong(self, mes: AsyncClient, temp: str, address: str, given, field, says):
        told = faults_of(await mes.get(address, {"tag": temp, **given}))
        assert told.keys() == {field}
        assert says in told[field]

    async def test_name_all_that_is_wrong(self, mes: AsyncClient, temp: str, address: str):
        assert faults_of(await mes.get(address, {"tag": temp, "from": "x", "to": "y"})).keys() == {"from", "to"}
        assert faults_of(await mes.get(address)).keys() == {"tag"}
        assert faults_of(await mes.get(address, {"tag": temp, "form": "x"})).keys() == {"form"}
        assert faults_of(await mes.get(address, {"tag": temp, "to": ["x", "y"]})).keys() == {"to"}

    async def test_ask_who_is_there(self, async_client: AsyncClient, temp: str, mes, address: str):
        problem_of(await async_client.get(address, {"tag": temp}), 401, "unauthorized")

    async def test_say_so_where_the_database_does_not_answer(self, mes: AsyncClient, temp: str, address: str):
        await mes.get(address, {"tag": temp})
        await rename("devices_series", "gone")
        try:
            problem_of(await mes.get(address, {"tag": temp}), 503, "record-unavailable")
        finally:
            await rename("gone", "devices_series")


class TestThePoints:
    @pytest.mark.parametrize("points", ["9", "2001", "x", "1e9"])
    async def test_are_not_too_few_and_not_too_many(self, mes: AsyncClient, temp: str, points: str):
        assert faults_of(await mes.get(HISTORY, {"tag": temp, "points": points})).keys() == {"points"}

    async def test_are_of_one_tag(self, mes: AsyncClient, temp: str):
        assert faults_of(await mes.get(HISTORY, {"tag": [temp, temp]})) == {"tag": "is given twice"}


class TestATable:
    async def ask(self, mes: AsyncClient, *tags: str, **more: str) -> HttpResponse:
        return await mes.get(f"{HISTORY}.csv", {"tag": tags, **SPAN, **more})

    async def test_has_a_row_for_each_sample(self, mes: AsyncClient, press: PLC, temp: str):
        await record(press, "speed")
        await keep(press, temp, 20.5, None, 7.0, 1e300)
        await keep(press, "speed", -1.0)
        answer = await self.ask(mes, temp, "speed", temp)
        assert answer["Content-Type"] == "text/csv; charset=utf-8"
        assert answer["Content-Disposition"] == 'attachment; filename="press-1-history.csv"'
        assert answer["Cache-Control"] == "no-store"
        assert await table(answer) == [
            ["2026-07-01T12:00:00.000+00:00", "temp", "20.5", "°C"],
            ["2026-07-01T12:00:01.000+00:00", "temp", "", "°C"],
            ["2026-07-01T12:00:02.000+00:00", "temp", "7", "°C"],
            ["2026-07-01T12:00:03.000+00:00", "temp", "1e+300", "°C"],
            ["2026-07-01T12:00:00.000+00:00", "speed", "-1", ""],
        ]

    async def test_is_whole_however_many_pages_it_has(
        self, mes: AsyncClient, press: PLC, temp: str, monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.setattr(exports, "PAGE", 4)
        # Several samples of one moment lie on both sides of the end of a page.
        await keep(press, temp, *(float(place) for place in range(11)), every_s=0)
        await keep(press, temp, *(float(place) for place in range(11, 24)), start=START + timedelta(seconds=1))
        assert [row[2] for row in await table(await self.ask(mes, temp))] == [str(place) for place in range(24)]

    @pytest.mark.parametrize("formula", ["=1+1", "+1", "-1", "@SUM(A1)", " =1", "\t5", "\r5", "='x'!A1,\"b\"\n"])
    async def test_holds_no_formula(self, mes: AsyncClient, press: PLC, formula: str):
        await record(press, "recipe", data_type="string", length=8, unit="=2")
        await keep(press, "recipe", formula, "a=1")
        rows = await table(await self.ask(mes, "recipe"))
        assert [row[2] for row in rows] == [f"'{formula}", "a=1"]
        assert {row[3] for row in rows} == {"'=2"}

    async def test_that_would_be_too_long_says_where_it_was_cut(
        self, mes: AsyncClient, press: PLC, temp: str, monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.setattr(exports, "PAGE", 2)
        monkeypatch.setitem(history_csv.Table.__init__.__kwdefaults__, "limit", 4)
        await keep(press, temp, 1.0, 2.0, 3.0, 4.0)
        assert len(await table(await self.ask(mes, temp))) == 4
        await keep(press, temp, 5.0, start=START + timedelta(seconds=10))
        *rows, last = await table(await self.ask(mes, temp))
        assert [row[2] for row in rows] == ["1", "2", "3", "4"]
        assert last == ["# cut: after 4 rows, ask for a shorter time", "", "", ""]

    async def test_that_the_database_left_unfinished_says_so(
        self, mes: AsyncClient, press: PLC, temp: str, monkeypatch: pytest.MonkeyPatch
    ):
        def failing(*_: Any) -> Any:
            yield next(pages(*_))
            raise DatabaseError("gone")

        pages = exports.pages
        monkeypatch.setattr(exports, "pages", failing)
        await keep(press, temp, 1.0)
        *rows, last = await table(await self.ask(mes, temp))
        assert [row[2] for row in rows] == ["1"]
        assert last[0] == "# cut: the database does not answer"

    async def test_of_too_many_tags_is_refused(self, mes: AsyncClient, temp: str):
        assert faults_of(await self.ask(mes, *[temp] * 51)).keys() == {"tag"}


@pytest.mark.django_db(transaction=True)
class TestTheDocument:
    async def test_shows_a_table_as_what_it_is(self, mes: AsyncClient):
        document = json.loads((await mes.get("/api/openapi.json")).content)
        told = document["paths"]["/api/plcs/{plc}/history.csv"]["get"]
        assert told["responses"]["200"]["content"].keys() == {"text/csv"}
        given = {parameter["name"]: parameter for parameter in told["parameters"]}
        assert given.keys() == {"plc", "tag", "from", "to"}
        assert given["tag"]["schema"]["type"] == "array"

    async def test_names_times_as_they_are_asked_for_and_told(self, mes: AsyncClient):
        document = json.loads((await mes.get("/api/openapi.json")).content)
        told = document["paths"]["/api/plcs/{plc}/history"]["get"]
        assert {parameter["name"] for parameter in told["parameters"]} == {"plc", "tag", "from", "to", "points"}
        assert document["components"]["schemas"]["TrendOut"]["properties"].keys() >= {"from", "to", "points"}
