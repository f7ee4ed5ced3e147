"""What a tag must be like to serve as a heartbeat: ours, that a PLC's watchdog sees, or the PLC's own. Pure."""

from collections.abc import Iterable, Iterator
from typing import Protocol

from devices.modbus import counting
from devices.modbus.types import DataType, Limits, TagSpec
from devices.models.sequence_rules import is_whole
from devices.models.tag_rules import write_faults

SHORTEST_BEAT_MS = 50
READINGS = 3  # within the time that a heartbeat may stand still: fewer could miss that it moves
SAME_PLACE = "Lies where our own heartbeat is written: it would show our writing, not that the PLC's program runs."


def written_faults(tag: TagSpec, limits: Limits) -> Iterator[str]:
    """Why this tag can't be written as the heartbeat of a PLC of these limits."""
    refusals = list(write_faults(tag, limits))
    yield from (f"{refusal}." for refusal in refusals)
    is_toggled = tag.data_type is DataType.BOOL and tag.bit is None
    if refusals or is_toggled:
        return
    if not is_whole(tag):
        yield (
            "A heartbeat is a coil, a bool that has a register to itself, or a whole number with scale 1 and offset 0."
        )
        return
    smallest, largest = counting.span(tag)
    if smallest >= largest:
        yield f"{tag.name} takes no two values, and a heartbeat has to change."


def watched_faults(name: str, poll_interval_ms: int, limit_s: float) -> Iterator[str]:
    """Why nobody would see in time that a tag, polled so often, stands still."""
    if not poll_interval_ms:
        yield f"{name} is never polled: a heartbeat that nobody reads cannot be seen to stand still."
    elif READINGS * poll_interval_ms > 1000 * limit_s:
        yield (
            f"{name} is polled every {poll_interval_ms} ms and may stand still for {limit_s:g} s: it has to be read at "
            f"least {READINGS} times in that time."
        )


class Described(Protocol):
    """A tag's row."""

    name: str

    def spec(self) -> TagSpec:
        """As the machine's floors know it."""


def overlapping(place: TagSpec, rows: Iterable[Described]) -> str | None:
    """The name of the first of these tags that shows something of this tag's place too."""
    return next((row.name for row in rows if (spec := usable(row)) and spec.overlaps(place)), None)


def usable(row: Described) -> TagSpec | None:
    """A row as a tag, None for one of nonsense: that is told where it stands."""
    try:
        return row.spec()
    except (ArithmeticError, TypeError, ValueError):
        return None
