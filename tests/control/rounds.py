"""Rounds of polling made by hand, for what is told of them."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from devices.control.values import Round, Stamp, Values
from devices.modbus.types import DataType, Endpoint, Table, TagSpec, Value
from devices.plc.specs import PLCSpec, PollSpec

START = datetime(2026, 7, 1, 12, tzinfo=UTC)
START_MS = round(START.timestamp() * 1000)
BAD = object()
"""In place of a value: the PLC refuses the tag."""


def poll(name: str, data_type: str = "float32", **more: Any) -> PollSpec:
    """A recorded tag that is read each second."""
    tag = TagSpec(name=name, table=Table.HOLDING_REGISTER, address=0, data_type=DataType(data_type), unit="°C")
    return PollSpec(tag=tag, **{"is_recorded": True} | more)


def a_plc(*polls: PollSpec, plc_id: int = 1, name: str = "press-1") -> PLCSpec:
    return PLCSpec(
        id=plc_id, name=name, endpoint=Endpoint(host="127.0.0.1"), polls={poll.tag.name: poll for poll in polls}
    )


class Polling:
    """What a poller finds at one PLC, told as a poller tells it; `at_s` counts from START."""

    def __init__(self, values: Values, plc: PLCSpec) -> None:
        self._values = values
        self.plc = plc

    def round(self, at_s: float, interval_s: float = 1.0, **found: Any) -> Round:
        """All tags of an interval were read."""
        stamp = Stamp(at=START + timedelta(seconds=at_s), clock_s=1000.0 + at_s)
        changed = tuple(name for name, value in found.items() if self._note(name, value, stamp))
        return Round(plc=self.plc, interval_s=interval_s, stamp=stamp, changed=changed)

    def change(self, *polls: PollSpec) -> None:
        """An engineer saves other tags."""
        self.plc = replace(self.plc, polls={poll.tag.name: poll for poll in polls})

    def _note(self, name: str, value: Value | object, stamp: Stamp) -> bool:
        values = self._values.of(self.plc)
        if value is BAD:
            return values.refuse(name, "exception 2", stamp)
        return values.take(name, value, stamp)  # type: ignore[arg-type]
