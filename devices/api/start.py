"""Start a batch: the short way for the MES, with the names that it uses."""

from typing import Annotated

from django.http import HttpRequest, HttpResponse
from ninja import Body, Path, Router

from devices.api.calling import HEADERS, Wait
from devices.api.commands import run_command
from devices.api.schemas import StartIn, run_answers
from devices.control.errors import WrongValues

router = Router(tags=["Commands"])

COMMAND = "start_batch"
NAMES = {"batsize": "batch_size", "noksize": "nok_num"}
CALLERS_NAMES = {ours: theirs for theirs, ours in NAMES.items()}
UNKNOWN = "?"  # no parameter is called so: a field of another name is refused, also one named as the machine's own


@router.put("/{id}", response=run_answers(), operation_id="start_batch", summary="Start a batch", openapi_extra=HEADERS)
async def start_batch(
    request: HttpRequest,
    id: Annotated[str, Path(max_length=50, description="name or number of a PLC")],  # noqa: A002 - the address says so
    body: Annotated[StartIn, Body(default_factory=StartIn)],
    wait: Wait = None,
) -> HttpResponse:
    """Start a batch on a PLC and answer what the PLC proved.

    Both fields may be left out, and so may the body. A whole number is written as one: 15.0 is refused.
    """
    given = {NAMES.get(name, UNKNOWN + name): value for name, value in body.model_dump().items()}
    try:
        return await run_command(request, id, COMMAND, given, wait)
    except WrongValues as error:
        raise error.renamed(_callers_name) from error


def _callers_name(name: str) -> str:
    return CALLERS_NAMES.get(name, name.removeprefix(UNKNOWN))
