"""One tag of a PLC as operations of its own: read, and written where that can be."""

from devices.api import value_schemas
from devices.api.openapi_parts import JSON, PARAMETERS, SCHEMAS, Part, problem_refs, run_responses
from devices.api.schemas import READING_FRESH
from devices.api.tag_schemas import FRESH_SAYS
from devices.control.write import command_to_write
from devices.plc.specs import PLCSpec, PollSpec

FRESH: Part = {
    "in": "query",
    "name": "fresh",
    "required": False,
    "description": FRESH_SAYS,
    "schema": {"type": "boolean", "default": False},
}


def operations(plc: PLCSpec, poll: PollSpec) -> Part:
    """By method. Their names have a point, which no command's has."""
    return {"get": _read(poll)} | ({"put": _write(plc, poll)} if poll.is_writable else {})


def _read(poll: PollSpec) -> Part:
    value = {"anyOf": [value_schemas.of_reading(poll.tag), {"type": "null"}]}
    told = {"allOf": [{"$ref": f"{SCHEMAS}TagOfPLCOut"}, {"properties": {"value": value}}]}
    return _common("read", poll) | {
        "parameters": [FRESH],
        "responses": {
            "200": {"description": "The last value, its age and its quality", "content": {JSON: {"schema": told}}},
            **problem_refs(READING_FRESH),
        },
    }


def _write(plc: PLCSpec, poll: PollSpec) -> Part:
    body = value_schemas.of_parameters(command_to_write(plc, poll.tag.name))
    return _common("write", poll) | {
        "parameters": PARAMETERS,
        "requestBody": {"required": True, "content": {JSON: {"schema": body}}},
        "responses": run_responses("RunOut"),
    }


def _common(verb: str, poll: PollSpec) -> Part:
    name = poll.tag.name
    told = {"operationId": f"{name}.{verb}", "tags": ["Tags"], "summary": f"{verb.capitalize()} {name}"}
    return told | ({"description": poll.description} if poll.description else {})
