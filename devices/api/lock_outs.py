"""Lock a PLC out for maintenance: from then on every command for it is answered 423."""

from typing import Annotated, Any

from django.http import HttpRequest
from ninja import Body, Field, Router, Schema
from pydantic import BaseModel, ConfigDict, WithJsonSchema

from devices.api.auth import caller_of
from devices.api.commands import PLCRef
from devices.api.schemas import LOCKING, LockOutOut, answers
from devices.control.errors import InvalidParameters
from devices.control.gateway import current
from devices.control.locking import LONGEST, LONGEST_LOCK, SHORTEST, lock, unlock

router = Router(tags=["PLCs"])

UNTIL_SAYS = (
    f"when it ends by itself, with its zone, at most {LONGEST_LOCK.days} days ahead; left out or null: it lasts until "
    "somebody unlocks it"
)
REASON = {"type": "string", "minLength": SHORTEST, "maxLength": LONGEST}
UNTIL = {"anyOf": [{"type": "string", "format": "date-time"}, {"type": "null"}]}


class LockOutIn(BaseModel):
    """Why nobody may run a command, and until when."""

    model_config = ConfigDict(
        extra="allow",  # a wrong field is told together with the others
        json_schema_extra={"additionalProperties": False, "required": ["reason"]},
    )

    reason: Annotated[Any, WithJsonSchema(REASON)] = Field(
        None, description="what everybody reads whose command is refused"
    )
    until: Annotated[Any, WithJsonSchema(UNTIL)] = Field(None, description=UNTIL_SAYS)


class LockOutOfPLCOut(Schema):
    """Whether a PLC is locked out."""

    lock_out: LockOutOut | None = Field(description="null: commands are taken")


@router.get(
    "/{plc}/lock-out", response=answers(LockOutOfPLCOut), operation_id="get_lock_out", summary="Look at a lock-out"
)
async def get_lock_out(request: HttpRequest, plc: PLCRef) -> dict[str, Any]:
    """Who has locked the PLC out, why and until when; null where commands are taken."""
    gateway = current()
    spec = await gateway.registry.find_for(plc, caller_of(request).rights)
    await gateway.lock_outs.refresh()
    return {"lock_out": gateway.lock_outs.as_json(spec.id)}


@router.put(
    "/{plc}/lock-out", response=answers(LockOutOfPLCOut, LOCKING), operation_id="lock_out", summary="Lock a PLC out"
)
async def put_lock_out(
    request: HttpRequest, plc: PLCRef, body: Annotated[LockOutIn, Body(default_factory=LockOutIn)]
) -> dict[str, Any]:
    """Somebody works at the machine: from this answer on no command begins there, and what waits for its turn fails.

    A command whose trigger was sent is not cut; reading and polling go on. Asked again by the same caller, it changes
    reason and end. A PLC that somebody else has locked stays as it is (423).
    """
    unknown = tuple((name, "is not a field of a lock-out") for name in body.model_extra or ())
    if unknown:
        raise InvalidParameters(unknown)
    stored = await lock(plc, caller_of(request), reason=body.reason, until=body.until)
    return {"lock_out": stored.as_json()}


@router.delete(
    "/{plc}/lock-out",
    response=answers(LockOutOfPLCOut, LOCKING),
    operation_id="unlock",
    summary="Unlock a PLC",
)
async def delete_lock_out(request: HttpRequest, plc: PLCRef) -> dict[str, Any]:
    """Commands are taken again. Whoever may administer the PLC can do this; where it is not locked, nothing changes."""
    await unlock(plc, caller_of(request))
    return {"lock_out": None}
