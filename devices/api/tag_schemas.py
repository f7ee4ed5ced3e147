"""The shapes of tags, as the API docs show them."""

from typing import Annotated, Any

from ninja import Field, Schema
from pydantic import BaseModel, ConfigDict, WithJsonSchema

from devices.api.schemas import Moment, one_of
from devices.control.status import PLCState
from devices.control.values import Quality
from devices.control.write import VALUE
from devices.modbus.types import DataType, Table

FRESH_SAYS = "read the PLC now, in its turn, in place of telling the last value"


class TagOut(Schema):
    """A tag of a PLC: what it is, and what it held when it was read last."""

    name: str
    description: str
    value: bool | int | float | str | None = Field(
        description="in the unit, as read last; null: never read, or bad. NaN and infinity as text"
    )
    label: str = Field(description="the word for the value, empty where there is none")
    quality: Annotated[str, one_of(*Quality)] = Field(
        description="`good`; `old`: not read for longer than `old_after_s`, or the PLC is offline or disabled; "
        "`bad`: the PLC refuses it, see `reason`; `unread`: not since the gateway started"
    )
    reason: str = Field(description="why it is bad")
    read_at: Moment | None
    age_s: float | None = Field(description="since it was read")
    changed_at: Moment | None = Field(description="since when it holds this value, as far as polling sees")
    unit: str
    minimum: float | None = Field(description="smallest value that may be written")
    maximum: float | None = Field(description="largest value that may be written")
    labels: dict[str, str] = Field(description="words for numbers as the PLC holds them, before scaling")
    type: Annotated[str, one_of(*DataType)]
    table: Annotated[str, one_of(*Table)]
    address: int = Field(description="zero-based, as on the wire")
    is_writable: bool
    interval_s: float = Field(description="between two readings; 0: never polled")
    old_after_s: float = Field(description="from this age on the value is old")
    is_recorded: bool = Field(description="kept in history")


class TagOfPLCOut(TagOut):
    """One tag, and whose it is."""

    plc: str = Field(description="name of the PLC")
    state: Annotated[str, one_of(*PLCState)] = Field(description="of the PLC")


class TagListOut(Schema):
    """What is known of a PLC's tags; nothing was sent to it for this."""

    plc: str = Field(description="name of the PLC")
    state: Annotated[str, one_of(*PLCState)]
    reason: str = Field(description="why it is offline or degraded")
    since: Moment | None = Field(description="since when it is in this state")
    next_try_at: Moment | None = Field(description="while offline: when it is looked for again")
    mark: str = Field(
        description="the last answer that did not belong to what was asked; empty if none since the start"
    )
    tags: list[TagOut]


class TagIn(BaseModel):
    """The value to write."""

    model_config = ConfigDict(
        # An unknown field is told together with the wrong value.
        extra="allow",
        json_schema_extra={"additionalProperties": False, "required": [VALUE], "examples": [{VALUE: 21.5}]},
    )

    value: Annotated[
        Any, WithJsonSchema({"type": ["boolean", "integer", "number", "string"], "description": "in the tag's unit"})
    ] = None
