"""The body of a group, read as strictly as a single command's, and the answer to it."""

import json
from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest, HttpResponse

from devices.api.body import LONGEST_NAME, Pairs, flat, load
from devices.api.calling import REPLAYED, Calling, as_json, header_parameters, of_reply
from devices.api.handlers import answer_to
from devices.control.callers import Caller
from devices.control.errors import InvalidParameters, WrongValues
from devices.control.group import LONGEST_GROUP_KEY, MOST, key_of, run_all
from devices.control.submit import Reply, Request

EXAMPLE = {"commands": [{"plc": "press-1", "command": "start_batch", "parameters": {"batch_size": 15}}]}
FIELDS = {
    "plc": {"type": "string", "maxLength": LONGEST_NAME, "description": "name or number of a PLC"},
    "command": {"type": "string", "maxLength": LONGEST_NAME},
    "parameters": {"type": "object", "description": "as in a single call; may be left out"},
    "idempotency_key": {"type": "string", "description": "of this one; left out: made of the group's"},
}
ITEM = {"type": "object", "properties": FIELDS, "required": ["plc", "command"], "additionalProperties": False}
COMMANDS = {"type": "array", "items": ITEM, "minItems": 1, "maxItems": MOST}
BODY = {"type": "object", "properties": {"commands": COMMANDS}, "required": ["commands"], "additionalProperties": False}
DOCUMENTED: dict[str, Any] = {
    "parameters": header_parameters(LONGEST_GROUP_KEY),
    "requestBody": {"required": True, "content": {"application/json": {"schema": BODY | {"examples": [EXAMPLE]}}}},
}


async def answer(request: HttpRequest, calling: Calling, caller: Caller) -> HttpResponse:
    """Run the commands of the body; 207 with a result for each. Raises what is wrong with the group as a whole."""
    items = parse(request.body)
    asked = [
        item if isinstance(item, Exception) else _request(item, key_of(calling.key, position), caller)
        for position, item in enumerate(items)
    ]
    replies = await run_all(asked, caller, calling.limit_s, group_key=calling.key)
    told = [
        _placed(reply, position) if isinstance(reply, Exception) and reply is not item else reply
        for position, (item, reply) in enumerate(zip(items, replies, strict=True))
    ]
    results = [_result(request, reply) for reply in told]
    return calling.followed(as_json({"results": results}, status=207))


def parse(body: bytes) -> list[Mapping[str, Any] | InvalidParameters]:
    """The commands of a group; one that is wrong stands there as the error that names its fields.

    Raises Malformed, or InvalidParameters for what is wrong around the commands.
    """
    found = load(body)
    if not isinstance(found, Pairs):
        raise InvalidParameters((("body", f"must be an object, such as {json.dumps(EXAMPLE)}"),))
    fields = flat(found, "body", nested=("commands",))
    commands = fields.pop("commands", None)
    faults = [(name, "is not a field of a group") for name in fields]
    if not isinstance(commands, list) or isinstance(commands, Pairs) or not 1 <= len(commands) <= MOST:
        faults.append(("commands", f"must be a list of 1 to {MOST} commands"))
    if faults:
        raise InvalidParameters(tuple(faults))
    return [_item(item, f"commands.{position}") for position, item in enumerate(commands)]


def _item(item: Any, called: str) -> Mapping[str, Any] | InvalidParameters:
    if not isinstance(item, Pairs):
        return InvalidParameters(((called, "must be an object with plc, command and parameters"),))
    try:
        fields = flat(item, called, within=f"{called}.", nested=("parameters",))
        given = fields.setdefault("parameters", Pairs())
        faults = tuple((f"{called}.{name}", fault) for name, fault in _faults(fields))
        if faults:
            raise InvalidParameters(faults)
        return fields | {"parameters": flat(given, f"{called}.parameters", within=f"{called}.parameters.")}
    except InvalidParameters as error:
        return error


def _faults(fields: Mapping[str, Any]) -> list[tuple[str, str]]:
    faults = [(name, "is not a field of a command in a group") for name in fields if name not in FIELDS]
    faults += [
        (name, f"must be text of 1 to {LONGEST_NAME} printable characters")
        for name in ("plc", "command")
        if not _names(fields, name)
    ]
    if not isinstance(fields["parameters"], Pairs):
        faults.append(("parameters", 'must be an object, such as {"batch_size": 15}'))
    if not isinstance(fields.get("idempotency_key", ""), str):
        faults.append(("idempotency_key", "must be text"))
    return faults


def _names(fields: Mapping[str, Any], name: str) -> bool:
    value = fields.get(name)
    return isinstance(value, str) and 0 < len(value) <= LONGEST_NAME and value.isprintable()


def _request(item: Mapping[str, Any], key: str | None, caller: Caller) -> Request:
    return Request(
        plc=item["plc"],
        command=item["command"],
        given=item["parameters"],
        caller=caller,
        key=item.get("idempotency_key", key),
    )


def _result(request: HttpRequest, reply: Reply | Exception) -> dict[str, Any]:
    """What a single call would have been answered, as a part of the whole."""
    response = of_reply(reply) if isinstance(reply, Reply) else answer_to(request, reply)
    is_good = response.status_code < 400
    result = {"status": response.status_code, "run" if is_good else "problem": json.loads(response.content)}
    if "Retry-After" in response:
        result["retry_after_s"] = int(response["Retry-After"])
    if REPLAYED in response:
        result["is_replayed"] = True
    return result


def _placed(error: Exception, position: int) -> Exception:
    """A parameter that is wrong, or too high, is named by its place in the group."""
    if not isinstance(error, WrongValues):
        return error
    return error.renamed(lambda name: f"commands.{position}.parameters.{name}")
