"""How a heartbeat goes on: a bool is toggled, a whole number counts up by one within its type and limits. Pure."""

import math

from devices.modbus import raw_numbers
from devices.modbus.types import DataType, TagSpec, Value


def span(tag: TagSpec) -> tuple[int, int]:
    """The smallest and the largest whole number that may be written to a tag of scale 1 and offset 0."""
    low, high = raw_numbers.RANGES[tag.data_type]
    smallest = low if tag.minimum is None else max(low, math.ceil(tag.minimum))
    largest = high if tag.maximum is None else min(high, math.floor(tag.maximum))
    return int(smallest), int(largest)


def following(tag: TagSpec, value: Value) -> Value:
    """What comes after a value: always another one, so that the machine sees a change."""
    if tag.data_type is DataType.BOOL:
        return not value
    smallest, largest = span(tag)
    after = int(value) + 1
    return after if smallest <= after <= largest else smallest
