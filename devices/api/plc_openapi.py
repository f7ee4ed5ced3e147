"""The API of one PLC: each command of its profile as an operation of its own, with types and limits."""

import json
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from http import HTTPStatus
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from ninja import Router
from pydantic.json_schema import models_json_schema

from devices.api import problems, value_schemas
from devices.api.answer_headers import ANSWER_HEADERS, pick
from devices.api.calling import APPLIED, HEADER_PARAMETERS, REPLAYED, WAIT_SAYS
from devices.api.commands import PLCRef
from devices.api.problems import MEDIA_TYPE, Problem
from devices.api.schemas import COMMANDING, ProblemOut, RunOut, answers
from devices.control.errors import NotRead, RunNotQueued, UnknownRun
from devices.control.gateway import current
from devices.control.waiting import LONGEST_S
from devices.models import State
from devices.plc.specs import CommandSpec, PLCSpec

router = Router(tags=["PLCs"])

Part = dict[str, Any]
"""A part of the document."""

AddressOf = Callable[[str], str]
"""Where a command, by its name, is run."""

VERSION = "1.0.0"
JSON = "application/json"
SCHEMAS = "#/components/schemas/"
RESPONSES = "#/components/responses/"

DESCRIPTION = """The commands of this PLC, as the registry describes them now; a change in the admin shows here at once.

Callers show an API key in `X-API-Key`, or a logged-in session with its CSRF token. Errors are problem details
(RFC 9457). **504 always and only means: it may have happened, look before you repeat.**
"""
SECURITY_SCHEMES: Part = {
    "ApiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    "Session": {"type": "apiKey", "in": "cookie", "name": settings.SESSION_COOKIE_NAME},
}
ELSEWHERE = (
    *(problems.REFUSALS[refusal] for refusal in (UnknownRun, NotRead, RunNotQueued)),
    problems.STATUSES[404],
    problems.NOT_READY,
)
"""Problems that no command of a PLC meets."""
NOTHING_READ: Part = {
    "type": "object",
    "description": "of a run that was reconciled: its result was never read",
    "maxProperties": 0,
}
ENDS = frozenset(problems.OUTCOMES.values())
"""Problems that tell of a run."""


@router.get(
    "/{plc}/openapi.json",
    response=answers(dict[str, Any]),
    operation_id="get_plc_openapi",
    url_name="plc-openapi",
    summary="Describe a PLC's commands in OpenAPI",
)
async def get_document(request: HttpRequest, plc: PLCRef) -> Part:
    """Each command with the types, limits, defaults and units of this PLC, to generate clients from."""
    spec = await current().registry.find(plc)
    return document(spec, lambda command: _address(request, "post_command", plc=spec.name, command=command))


@router.get("/{plc}/docs", url_name="plc-docs", include_in_schema=False)
async def get_page(request: HttpRequest, plc: PLCRef) -> HttpResponse:
    """The same for people, with all that it needs served from here."""
    spec = await current().registry.find(plc)
    swagger = {
        "layout": "BaseLayout",
        "deepLinking": True,
        "validatorUrl": None,  # the page sends nothing to the internet
        "url": _address(request, "plc-openapi", plc=spec.name),
    }
    page = {"swagger_settings": json.dumps(swagger), "api": {"title": _title(spec)}, "add_csrf": True}
    return render(request, "ninja/swagger.html", page)


def _address(request: HttpRequest, view: str, **path: str) -> str:
    """Beside the view that answers now, wherever the API is mounted."""
    match = request.resolver_match
    return reverse(f"{match.namespace if match else ''}:{view}", kwargs=path)


def _title(plc: PLCSpec) -> str:
    return f"{plc.name}: {plc.title}" if plc.title else plc.name


def document(plc: PLCSpec, address_of: AddressOf) -> Part:
    """The OpenAPI 3.1 document of one PLC."""
    commands = [command for _, command in sorted(plc.commands.items())]
    return {
        "openapi": "3.1.0",
        "info": {"title": _title(plc), "version": VERSION, "description": DESCRIPTION},
        "paths": {address_of(command.name): {"post": _operation(command)} for command in commands},
        "components": {
            "schemas": {**_common_schemas(), **_schemas_of(commands)},
            "responses": _problem_responses(),
            "securitySchemes": SECURITY_SCHEMES,
        },
        "security": [{scheme: []} for scheme in SECURITY_SCHEMES],
    }


def _operation(command: CommandSpec) -> Part:
    must_be_told = any(parameter.default is None for parameter in command.parameters)
    return {
        "operationId": command.name,
        "tags": ["Commands"],
        "summary": command.title or command.name,
        "description": _description(command),
        "parameters": PARAMETERS,
        "requestBody": {"required": must_be_told, "content": _content(JSON, _parameters_name(command))},
        "responses": {
            "200": {
                "description": "The PLC confirmed",
                "headers": pick(REPLAYED, APPLIED),
                "content": _content(JSON, _run_name(command)),
            },
            "202": STILL_OPEN,
            **{str(status): {"$ref": f"{RESPONSES}{_response_name(status)}"} for status in COMMANDING},
        },
    }


def _description(command: CommandSpec) -> str:
    limit = f"Limit: {command.time_limit_s:g} s before, and again after the machine is told."
    return "\n\n".join(filter(None, (command.description, limit)))


def _content(media_type: str, schema: str) -> Part:
    return {media_type: {"schema": {"$ref": SCHEMAS + schema}}}


def _schemas_of(commands: Iterable[CommandSpec]) -> Part:
    """Three of each command. A suffix keeps them apart from the common ones, whose names have no _."""
    schemas: Part = {}
    for command in commands:
        schemas[_parameters_name(command)] = value_schemas.of_parameters(command)
        schemas[_result_name(command)] = value_schemas.of_result(command)
        schemas[_run_name(command)] = _run(command)
    return schemas


def _run(command: CommandSpec) -> Part:
    """A run that succeeded, with the command's own result."""
    common = _common_schemas()["RunOut"]
    typed = {
        "command": {"type": "string", "const": command.name},
        "state": {"type": "string", "const": State.SUCCEEDED.value},
        "result": {"anyOf": [{"$ref": SCHEMAS + _result_name(command)}, NOTHING_READ]},
    }
    return {**common, "title": _run_name(command), "properties": {**common["properties"], **typed}}


def _parameters_name(command: CommandSpec) -> str:
    return f"{command.name}_parameters"


def _result_name(command: CommandSpec) -> str:
    return f"{command.name}_result"


def _run_name(command: CommandSpec) -> str:
    return f"{command.name}_run"


@cache
def _common_schemas() -> Mapping[str, Part]:
    """Runs and problems of any command."""
    _, schemas = models_json_schema(
        [(RunOut, "validation"), (ProblemOut, "validation")], ref_template=SCHEMAS + "{model}"
    )
    found: Mapping[str, Part] = schemas["$defs"]
    return found


@cache
def _problem_responses() -> Mapping[str, Part]:
    """One of each status; its description lists the codes that stand behind it."""
    kinds = [kind for kind in problems.ALL if kind not in ELSEWHERE]
    return {
        _response_name(status): _problem_response(status, [kind for kind in kinds if kind.status == status])
        for status in COMMANDING
    }


def _problem_response(status: int, kinds: Iterable[Problem]) -> Part:
    codes = [f"`{kind.code}`: {kind.title}" for kind in dict.fromkeys(kinds)]
    response: Part = {
        "description": "; ".join(codes) or HTTPStatus(status).phrase,
        "content": _content(MEDIA_TYPE, "ProblemOut"),
    }
    headers = pick(REPLAYED, APPLIED) if any(kind in ENDS for kind in kinds) else {}
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers |= pick("Retry-After")
    return response | ({"headers": headers} if headers else {})


def _response_name(status: int) -> str:
    return f"Problem{status}"


PARAMETERS: list[Part] = [
    *HEADER_PARAMETERS,
    {
        "in": "query",
        "name": "wait",
        "required": False,
        "description": WAIT_SAYS,
        "schema": {"type": "number", "minimum": 0, "maximum": LONGEST_S},
    },
]
STILL_OPEN: Part = {
    "description": "Stored and still open: the caller wanted to wait no longer",
    "headers": ANSWER_HEADERS,
    "content": _content(JSON, "RunOut"),
}
