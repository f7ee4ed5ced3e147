"""Looks at conditions: those that belong together in as few requests as possible, so that they tell of one moment."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from devices.modbus.errors import DeviceException
from devices.modbus.types import Value
from devices.plc import conditions
from devices.plc.conditions import Wanted
from devices.plc.session import Session
from devices.plc.specs import StepSpec


@dataclass(frozen=True, kw_only=True, slots=True)
class Look:
    """What a look at one condition found."""

    step: StepSpec
    wanted: Wanted
    read: Value | None
    """None: the PLC did not tell, and `refusal` says why."""
    refusal: DeviceException | None = None

    @property
    def is_met(self) -> bool:
        """It was read, and it holds."""
        return self.read is not None and conditions.holds(self.step, self.read, self.wanted)

    @property
    def value(self) -> Value:
        """What was read; the PLC's exception where it was not."""
        if self.refusal is not None:
            raise self.refusal
        assert self.read is not None  # noqa: S101 - one of the two is there
        return self.read

    def describe(self) -> str:
        """What was found and what was wanted, the engineer's own message first."""
        return conditions.describe(self.step, self.read, self.wanted)


async def look(session: Session, steps: Sequence[StepSpec], values: Mapping[str, Value]) -> tuple[Look, ...]:
    """Look at each step's condition once, now; what is given last is read last."""
    if not steps:
        return ()
    readings = await session.read_all([step.tag for step in steps])
    return tuple(
        Look(step=step, wanted=conditions.operand(step, values), read=None, refusal=reading)
        if isinstance(reading, DeviceException)
        else Look(step=step, wanted=conditions.operand(step, values), read=reading)
        for step, reading in zip(steps, readings, strict=True)
    )
