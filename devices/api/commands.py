"""Run a command of a PLC and tell its outcome."""

from collections.abc import Mapping
from typing import Annotated, Any

from django.http import HttpRequest, HttpResponse
from ninja import Body, Path, Router

from devices.api import problems
from devices.api.auth import caller_of
from devices.api.calling import HEADERS, Calling, Wait
from devices.api.schemas import CHECKING, CheckOut, CommandListOut, answers, run_answers
from devices.control.check import check
from devices.control.gateway import current
from devices.control.submit import Request, begin
from devices.plc.specs import CommandSpec, ParameterSpec, PLCSpec

router = Router(tags=["Commands"])

PLCRef = Annotated[str, Path(max_length=50, description="name or number of a PLC")]
CommandName = Annotated[str, Path(max_length=50)]
Given = Annotated[dict[str, Any], Body(default_factory=dict, examples=[{"batch_size": 15}])]


async def plc_for(request: HttpRequest, ref: str) -> PLCSpec:
    """The PLC of a name or number, if there is one for who calls; UnknownPLC."""
    return await current().registry.find_for(ref, caller_of(request).rights)


async def run_command(
    request: HttpRequest, plc: str, command: str, given: Mapping[str, Any], wait: float | None
) -> HttpResponse:
    """Run it, and wait as long as the caller wants to; what did not succeed is a problem with the run in it."""
    calling = Calling.of(request, wait)
    asked = Request(plc=plc, command=command, given=given, caller=caller_of(request), key=calling.key)
    pending = await begin(asked)
    return calling.answer(await pending.reply(calling.limit_s))


@router.post(
    "/{plc}/commands/{command}",
    response=run_answers(),
    operation_id="run_command",
    summary="Run a command",
    openapi_extra=HEADERS,
)
async def post_command(
    request: HttpRequest,
    plc: PLCRef,
    command: CommandName,
    body: Given,
    wait: Wait = None,
) -> HttpResponse:
    """Run any command of the PLC's profile and answer what the PLC proved.

    The body is a flat object of the command's parameters; those that have a default may be left out. A whole number
    is written as one: 15.0 is refused.
    """
    return await run_command(request, plc, command, body, wait)


@router.post(
    "/{plc}/commands/{command}/check",
    response=answers(CheckOut, CHECKING),
    operation_id="check_command",
    summary="Dry run of a command",
)
async def check_command(
    request: HttpRequest,
    plc: PLCRef,
    command: CommandName,
    body: Given,
) -> dict[str, Any]:
    """Read the command's interlocks now and say which hold. Nothing is written, and no run is made."""
    clauses = await check(plc, command, body, caller_of(request))
    return {"is_free": all(clause.is_met for clause in clauses), "clauses": problems.clauses_of(clauses)}


@router.get("/{plc}/commands", response=answers(CommandListOut), operation_id="list_commands", summary="List commands")
async def list_commands(request: HttpRequest, plc: PLCRef) -> dict[str, Any]:
    """What this PLC can be told to do, with which parameters, and which of it you may run."""
    spec, rights = await plc_for(request, plc), caller_of(request).rights
    return {
        "commands": [
            _command(command) | {"may_run": rights.may_run(spec, name)}
            for name, command in sorted(spec.commands.items())
        ]
    }


def _command(command: CommandSpec) -> dict[str, Any]:
    return {
        "name": command.name,
        "title": command.title,
        "description": command.description,
        "time_limit_s": command.time_limit_s,
        "parameters": [_parameter(parameter) for parameter in command.parameters],
    }


def _parameter(parameter: ParameterSpec) -> dict[str, Any]:
    return {
        "name": parameter.name,
        "label": parameter.label,
        "type": parameter.data_type.value,
        "unit": parameter.unit,
        "minimum": parameter.minimum,
        "maximum": parameter.maximum,
        "default": parameter.default,
        "is_required": parameter.default is None,
    }
