"""Where a step may use the number of its run at its PLC in place of a constant or a parameter. Pure."""

from collections.abc import Iterator

from devices.modbus import codec
from devices.modbus.errors import ValueRefused
from devices.modbus.types import TagSpec
from devices.models.checked import Fault

SEQUENCE_NAME = "sequence"
"""No parameter may have this name: in braces it is the run's number."""
SEQUENCE = f"{{{SEQUENCE_NAME}}}"
"""As it stands in a step's value: one more at each run, never 0."""
SENT_IN = ("write", "trigger")
COMPARED_IN = ("check", "wait", "cleanup", "proof")
COMPARED_BY = ("==", "!=")
FIRST_TWO = (1, 2)  # a tag that cannot tell one run from the next is of no use
NOT_SENT = (
    f"A step compares with {SEQUENCE}, and none sends it: the PLC can only echo the number that a write or the "
    "trigger gave it."
)


def is_whole(tag: TagSpec) -> bool:
    """It holds plain whole numbers: what is written is what stands in the register."""
    is_integer = tag.data_type.is_number and not tag.data_type.is_float
    return is_integer and tag.bit is None and tag.scale == 1 and tag.offset == 0


def sequence_faults(phase: str, operator: str, tag: TagSpec) -> Iterator[Fault]:
    """Everything wrong with a step that uses the run's number."""
    if not is_whole(tag):
        yield "value", f"{SEQUENCE} counts 1, 2, 3: it needs a tag of whole numbers, with scale 1 and offset 0."
    elif operator == "set":
        yield from _sending_faults(phase, tag)
    elif operator not in COMPARED_BY or phase not in COMPARED_IN:
        yield "value", f"{SEQUENCE} is compared by == or != in check, wait, cleanup and proof, and nowhere else."


def _sending_faults(phase: str, tag: TagSpec) -> Iterator[Fault]:
    if phase not in SENT_IN:
        yield "value", f"{SEQUENCE} is sent by a write or by the trigger: afterwards it tells the machine nothing."
        return
    try:
        for number in FIRST_TWO:
            codec.encode(tag, number)
    except ValueRefused as error:
        yield "value", f"{SEQUENCE} counts from 1, and two runs need two numbers. {error}."
