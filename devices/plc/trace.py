"""What happened in a command, step by step, with times; and how far it came."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from devices.modbus.types import Value
from devices.plc.specs import StepSpec


class Stage(IntEnum):
    """How far a command came; together with an error it tells what is now true at the machine."""

    BEFORE = 0
    """The machine was not told."""
    TRIGGER = 1
    """The trigger is recorded and may have been sent."""
    TOLD = 2
    """The PLC received the trigger; its acknowledge is awaited."""
    CONFIRMED = 3
    """The PLC acknowledged, or the command awaits none: the machine acts."""


@dataclass
class Trace:
    """The timeline of one command, ready to be stored as JSON."""

    clock: Callable[[], float] = time.monotonic
    entries: list[dict[str, Any]] = field(default_factory=list)
    stage: Stage = Stage.BEFORE
    is_clean: bool = True
    """The cleanup, where one was due, was done."""
    started: float = 0.0

    def __post_init__(self) -> None:
        self.started = self.clock()

    def note(self, step: StepSpec, **facts: Value | None) -> None:
        """Add a step with what was `sent` or `read`, and `error` where it failed."""
        self.entries.append(
            {
                "at_ms": round((self.clock() - self.started) * 1000, 1),
                "phase": step.phase.value,
                "tag": step.tag.name,
                "operator": step.operator.value,
                **{name: value if value is None else storable(value) for name, value in facts.items()},
            }
        )

    def remark(self, text: str) -> None:
        """Add a line that belongs to no step."""
        self.entries.append({"at_ms": round((self.clock() - self.started) * 1000, 1), "note": text})


def storable(value: Value) -> Value:
    """A value as JSON can carry it: NaN and infinity, which a PLC may well hold, in words."""
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
