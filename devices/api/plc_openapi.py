"""The API of one PLC: each command and each tag of its profile with operations of their own, with types and limits."""

import json
from collections.abc import Callable, Iterable
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from ninja import Router

from devices.api import tag_openapi, value_schemas
from devices.api.auth import for_callers
from devices.api.commands import PLCRef, plc_for
from devices.api.openapi_parts import (
    JSON,
    PARAMETERS,
    SCHEMAS,
    Part,
    common_schemas,
    content,
    problem_responses,
    run_responses,
)
from devices.api.schemas import answers
from devices.models import State
from devices.plc.specs import CommandSpec, PLCSpec

router = Router(tags=["PLCs"])

AddressOf = Callable[[str], str]
"""Where a command is run, or a tag read and written, by its name."""

VERSION = "1.0.0"

DESCRIPTION = """The commands and tags of this PLC, as the registry describes them now; a change in the admin shows
here at once.

Callers show an API key in `X-API-Key`, or a logged-in session with its CSRF token. Errors are problem details
(RFC 9457). **504 always and only means: it may have happened, look before you repeat.**
"""
SECURITY_SCHEMES: Part = {
    "ApiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    "Session": {"type": "apiKey", "in": "cookie", "name": settings.SESSION_COOKIE_NAME},
}
NOTHING_READ: Part = {
    "type": "object",
    "description": "of a run that was reconciled: its result was never read",
    "maxProperties": 0,
}


@router.get(
    "/{plc}/openapi.json",
    response=answers(dict[str, Any]),
    operation_id="get_plc_openapi",
    url_name="plc-openapi",
    summary="Describe a PLC's commands and tags in OpenAPI",
)
async def get_document(request: HttpRequest, plc: PLCRef) -> Part:
    """Each command and tag with the types, limits, defaults and units of this PLC, to generate clients from."""
    spec = await plc_for(request, plc)
    return document(
        spec,
        command_at=lambda command: _address(request, "post_command", plc=spec.name, command=command),
        tag_at=lambda tag: _address(request, "tag", plc=spec.name, tag=tag),
    )


@router.get("/{plc}/docs", url_name="plc-docs", include_in_schema=False, auth=None)
@for_callers
async def get_page(request: HttpRequest, plc: PLCRef) -> HttpResponse:
    """The same for people, with all that it needs served from here."""
    spec = await plc_for(request, plc)
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


def document(plc: PLCSpec, *, command_at: AddressOf, tag_at: AddressOf) -> Part:
    """The OpenAPI 3.1 document of one PLC."""
    commands = [command for _, command in sorted(plc.commands.items())]
    return {
        "openapi": "3.1.0",
        "info": {"title": _title(plc), "version": VERSION, "description": DESCRIPTION},
        "paths": {
            **{command_at(command.name): {"post": _operation(command)} for command in commands},
            **{tag_at(name): tag_openapi.operations(plc, poll) for name, poll in sorted(plc.polls.items())},
        },
        "components": {
            "schemas": {**common_schemas(), **_schemas_of(commands)},
            "responses": problem_responses(),
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
        "requestBody": {"required": must_be_told, "content": content(JSON, _parameters_name(command))},
        "responses": run_responses(_run_name(command)),
    }


def _description(command: CommandSpec) -> str:
    limit = f"Limit: {command.time_limit_s:g} s before, and again after the machine is told."
    return "\n\n".join(filter(None, (command.description, limit)))


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
    common = common_schemas()["RunOut"]
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
