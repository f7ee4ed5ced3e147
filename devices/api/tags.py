"""What a PLC's tags hold, and writing one of them."""

from typing import Annotated, Any

from django.http import HttpRequest, HttpResponse
from ninja import Body, Path, Query, Router

from devices.api.auth import caller_of
from devices.api.calling import HEADERS, Calling, Wait
from devices.api.commands import PLCRef, plc_for
from devices.api.schemas import READING_FRESH, answers, run_answers
from devices.api.tag_schemas import FRESH_SAYS, TagIn, TagListOut, TagOfPLCOut
from devices.control.pictures import picture_of
from devices.control.read import poll_of, read_tag
from devices.control.tag_news import tag_row
from devices.control.write import WriteRequest, name_of, write

router = Router(tags=["Tags"])

TagName = Annotated[str, Path(max_length=50, description="name of a tag")]
Fresh = Annotated[bool, Query(description=FRESH_SAYS)]


@router.get("/{plc}/tags", response=answers(TagListOut), operation_id="list_tags", summary="List tags and values")
async def list_tags(request: HttpRequest, plc: PLCRef) -> dict[str, Any]:
    """Every tag of the PLC with its last value, its age and its quality; nothing is sent to the PLC."""
    picture = await picture_of(await plc_for(request, plc))
    return {
        "plc": picture.plc.name,
        **picture.status.as_news(),
        "tags": [tag_row(known) for known in picture.tags],
    }


@router.get(
    "/{plc}/tags/{tag}",
    response=answers(TagOfPLCOut, READING_FRESH),
    operation_id="get_tag",
    url_name="tag",
    summary="Look at a tag",
)
async def get_tag(request: HttpRequest, plc: PLCRef, tag: TagName, fresh: Fresh = False) -> dict[str, Any]:
    """One tag with its last value, its age and its quality.

    `fresh=true` reads it from the PLC now, in the PLC's turn: the answer is what the PLC holds, or why that cannot be
    told (502: the PLC's own exception; 503: it did not answer in time).
    """
    spec = await plc_for(request, plc)
    poll_of(spec, tag)
    fresh_value = await read_tag(spec, tag) if fresh else None
    picture = await picture_of(spec)
    return {"plc": spec.name, "state": picture.status.state.value, **tag_row(fresh_value or picture.tag(tag))}


@router.put(
    "/{plc}/tags/{tag}", response=run_answers(), operation_id="write_tag", summary="Write a tag", openapi_extra=HEADERS
)
async def put_tag(
    request: HttpRequest,
    plc: PLCRef,
    tag: TagName,
    body: Annotated[TagIn, Body(default_factory=TagIn)],
    wait: Wait = None,
) -> HttpResponse:
    """Write one value, read it back, and answer what the PLC proved: a run like that of any command.

    It waits its turn, is stored before the PLC is told, and is never sent twice. `succeeded`: the PLC took the value,
    and it reads back as written. A value that reads back as another one (the machine's program changed or limited it)
    is `faulted` with effect `applied`. A whole number is written as one: 15.0 is refused.
    """
    calling = Calling.of(request, wait)
    asked = WriteRequest(
        plc=plc,
        command=name_of(tag),
        tag=tag,
        given=body.model_dump(exclude_unset=True),
        caller=caller_of(request),
        key=calling.key,
    )
    return calling.answer(await write(asked, calling.limit_s))
