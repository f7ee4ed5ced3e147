"""What happened in a command, step by step, with times; and how far it came."""

import asyncio
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from devices.modbus.errors import LinkUnavailable, ModbusError
from devices.modbus.types import Value
from devices.plc.frames import Frames
from devices.plc.specs import StepSpec

CUT_SHORT = (ModbusError, asyncio.CancelledError)
"""What ends a step before it is done; limits cancel it."""


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
    on_entry: Callable[[], None] | None = None
    """Called after each line that is added; it must not raise, since a command is under way."""
    entries: list[dict[str, Any]] = field(default_factory=list)
    frames: Frames = field(default_factory=Frames)
    stage: Stage = Stage.BEFORE
    is_clean: bool = True
    """The cleanup, where one was due, was done."""
    started: float = 0.0

    def __post_init__(self) -> None:
        self.started = self.clock()

    def note(self, step: StepSpec, **facts: Value | tuple[Value, ...] | None) -> None:
        """Add a step with what was `sent`, or `read` and `wanted`, and `error` where it failed."""
        self._add(
            phase=step.phase.value,
            tag=step.tag.name,
            operator=step.operator.value,
            **{name: value if value is None else storable(value) for name, value in facts.items()},
        )

    def remark(self, text: str) -> None:
        """Add a line that belongs to no step."""
        self._add(note=text)

    def note_frame(self, is_sent: bool, raw: bytes) -> None:
        """Keep what went over the wire; it belongs to the line that is noted next, when its step is done."""
        self.frames.add(raw, at_ms=self._now_ms(), step=len(self.entries), is_sent=is_sent)

    @contextmanager
    def noting_failure(self, *steps: StepSpec) -> Iterator[None]:
        """Note the steps where they fail within the block: what talked has its line, also when nothing came of it."""
        try:
            yield
        except CUT_SHORT as error:
            for step in steps:
                self.note(step, error=reason(error))
            raise

    def _add(self, **line: Any) -> None:
        self.entries.append({"at_ms": self._now_ms(), **line})
        if self.on_entry is not None:
            self.on_entry()

    def _now_ms(self) -> float:
        return round((self.clock() - self.started) * 1000, 1)


class NotedWrites:
    """Steps that are written together, some in one request: each is noted as sent, not confirmed, or not sent."""

    def __init__(self, trace: Trace, writes: Sequence[tuple[StepSpec, Value]]) -> None:
        self._trace = trace
        self._left = list(writes)

    @contextmanager
    def sending(self, count: int) -> Iterator[None]:
        """Around the request that carries the next ones."""
        try:
            yield
        except LinkUnavailable:
            raise
        except CUT_SHORT as error:
            self._note(count, error=f"not confirmed: {reason(error)}")
            raise
        self._note(count)

    def end(self, error: BaseException) -> None:
        """It failed: what is left did not go out."""
        for step, _ in self._left:
            self._trace.note(step, error=f"not sent: {reason(error)}")

    def _note(self, count: int, **facts: Value) -> None:
        for step, value in self._left[:count]:
            self._trace.note(step, sent=value, **facts)
        del self._left[:count]


def reason(error: BaseException) -> str:
    """Why a step was not done."""
    return str(error) or "cut off while it was under way"


def storable(value: Value | tuple[Value, ...]) -> Any:
    """A value as JSON can carry it: NaN and infinity, which a PLC may well hold, in words."""
    if isinstance(value, tuple):
        return [storable(one) for one in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
