"""What a PLC's tags held over time: to be drawn, or as a table."""

from collections.abc import AsyncIterator
from typing import Any

from channels.db import database_sync_to_async
from django.db import Error as DatabaseUnavailable
from django.http import HttpRequest, StreamingHttpResponse
from django.utils import timezone
from ninja import Field, Query, Router

from devices.api.commands import PLCRef, plc_for
from devices.api.history_csv import Table
from devices.api.problems import logger
from devices.api.schemas import TrendOut, answers
from devices.api.spans import SpanIn
from devices.control import exports, recorded
from devices.control.recorded import RecordedTag, Span, moment
from devices.control.trends import Point, trend
from devices.plc.specs import PLCSpec

MOST_TAGS = 50  # of one table

router = Router(tags=["History"])

CSV_ANSWER = {
    "responses": {
        200: {
            "description": "The columns time, tag, value, unit; where the value is empty, it was not read from then on",
            "content": {"text/csv": {"schema": {"type": "string"}}},
        }
    }
}


class TrendIn(SpanIn):
    """Which history."""

    tag: str = Field(max_length=50, description="a tag that is kept in history")
    points: int = Field(500, ge=10, le=2000, description="how many values at most")


class TableIn(SpanIn):
    """Which histories."""

    tag: list[str] = Field(min_length=1, max_length=MOST_TAGS, description="one tag or several: `tag=a&tag=b`")


@router.get(
    "/{plc}/history",
    response=answers(TrendOut),
    by_alias=True,
    operation_id="get_history",
    summary="A tag over time",
)
async def get_history(request: HttpRequest, plc: PLCRef, wanted: Query[TrendIn]) -> dict[str, Any]:
    """What a tag held, in points that hold until the next one; nothing is sent to the PLC.

    Where there are more samples than `points`, each point stands for a stretch of time, with its lowest and highest
    value: no peak is lost. A point whose `value` is null begins a gap: the tag was not read, or nobody recorded it.
    """
    span = wanted.span(timezone.now())
    spec = await plc_for(request, plc)
    told: dict[str, Any] = await database_sync_to_async(_trend)(spec, wanted.tag, span, wanted.points)
    return told


def _trend(plc: PLCSpec, name: str, span: Span, points: int) -> dict[str, Any]:
    (tag,) = recorded.find(plc, [name])
    told = trend(tag, span, points)
    return {
        "plc": plc.name,
        "tag": tag.name,
        "unit": tag.unit,
        "from": _iso(span.start_ms),
        "to": _iso(span.end_ms),
        "is_downsampled": told.is_downsampled,
        "points": [_point(point) for point in told.points],
    }


def _point(point: Point) -> dict[str, Any]:
    return {
        "at": _iso(point.at_ms),
        "value": point.value,
        "minimum": point.minimum,
        "maximum": point.maximum,
    }


def _iso(at_ms: int) -> str:
    return moment(at_ms).isoformat(timespec="milliseconds")


@router.get(
    "/{plc}/history.csv",
    response=answers(None),
    operation_id="export_history",
    summary="Tags over time, as CSV",
    openapi_extra=CSV_ANSWER,
)
async def export_history(request: HttpRequest, plc: PLCRef, wanted: Query[TableIn]) -> StreamingHttpResponse:
    """All samples of one tag or of several, one tag after the other, each in the order of time.

    It is sent while it is read, and ends after a million samples; if it is cut, its last line says so.
    """
    span = wanted.span(timezone.now())
    spec = await plc_for(request, plc)
    tags = await database_sync_to_async(recorded.find)(spec, list(dict.fromkeys(wanted.tag)))
    headers = {"Content-Disposition": f'attachment; filename="{spec.name}-history.csv"'}
    return StreamingHttpResponse(_lines(tags, span), content_type="text/csv; charset=utf-8", headers=headers)


async def _lines(tags: list[RecordedTag], span: Span) -> AsyncIterator[bytes]:
    table = Table()
    texts = table.texts(exports.pages(tags, span))
    try:
        while (text := await database_sync_to_async(next)(texts, None)) is not None:
            yield text.encode()
    except DatabaseUnavailable as error:
        # The good status is long sent: only the table itself can say that it is not whole.
        logger.error("a table of history was cut: %s", error)
        yield table.cut("the database does not answer").encode()
