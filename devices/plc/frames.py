"""What went over the wire in one command, byte by byte: bounded, whatever a PLC sends."""

from collections import deque
from typing import Any, NamedTuple

FIRST, LAST = 100, 100  # frames that are kept of each end; a handshake takes about 20, the looks of a wait the rest
LONGEST = 300  # bytes that are kept of a frame; no answer of Modbus TCP is longer than 260


class Frame(NamedTuple):
    """A request as it was sent, or bytes as they came: an answer may come in several pieces."""

    at_ms: float
    step: int
    """Index of the trace's line that it led to."""
    is_sent: bool
    start: bytes
    """The first LONGEST bytes."""
    length: int

    def as_json(self) -> dict[str, Any]:
        """Ready to be stored; `length` tells where the hex is cut."""
        direction = "sent" if self.is_sent else "received"
        told = {"at_ms": self.at_ms, "step": self.step, "direction": direction, "length": self.length}
        return told | {"hex": self.start.hex(" ")}


class Frames:
    """The first and the last frames of a command, in their order."""

    def __init__(self) -> None:
        self._first: list[Frame] = []
        self._last: deque[Frame] = deque(maxlen=LAST)
        self._count = 0

    def add(self, raw: bytes, *, at_ms: float, step: int, is_sent: bool) -> None:
        """Keep a frame; one in the middle goes when there are too many."""
        frame = Frame(at_ms, step, is_sent, bytes(raw[:LONGEST]), len(raw))
        self._count += 1
        if len(self._first) < FIRST:
            self._first.append(frame)
        else:
            self._last.append(frame)

    def as_json(self) -> list[dict[str, Any]]:
        """Ready to be stored, with a line that tells how many are left out where some are."""
        left_out = self._count - len(self._first) - len(self._last)
        gap = [{"note": f"{left_out} frames left out"}] if left_out else []
        return [*(frame.as_json() for frame in self._first), *gap, *(frame.as_json() for frame in self._last)]
