"""The number types of registers as bytes, most significant first: their ranges, rounding, neighbours. Pure."""

import struct
import sys
from collections.abc import Iterator, Mapping
from fractions import Fraction

from devices.modbus.types import DataType

FORMATS = {
    DataType.INT16: ">h",
    DataType.UINT16: ">H",
    DataType.INT32: ">i",
    DataType.UINT32: ">I",
    DataType.INT64: ">q",
    DataType.UINT64: ">Q",
    DataType.FLOAT32: ">f",
    DataType.FLOAT64: ">d",
}
FLOAT32_MAX = (2 - 2**-23) * 2.0**127  # IEEE 754 binary32
RANGES: Mapping[DataType, tuple[float, float]] = {
    DataType.INT16: (-(2**15), 2**15 - 1),
    DataType.UINT16: (0, 2**16 - 1),
    DataType.INT32: (-(2**31), 2**31 - 1),
    DataType.UINT32: (0, 2**32 - 1),
    DataType.INT64: (-(2**63), 2**63 - 1),
    DataType.UINT64: (0, 2**64 - 1),
    DataType.FLOAT32: (-FLOAT32_MAX, FLOAT32_MAX),
    DataType.FLOAT64: (-sys.float_info.max, sys.float_info.max),
}


def pack(data_type: DataType, wanted: float | Fraction) -> tuple[bytes, bool]:
    """Return the nearest number of the type, and whether the wanted one lies within the type's range."""
    try:
        return struct.pack(FORMATS[data_type], float(wanted) if data_type.is_float else round(wanted)), True
    except (struct.error, OverflowError):
        return struct.pack(FORMATS[data_type], RANGES[data_type][wanted > 0]), False


def neighbours(raw: bytes) -> Iterator[bytes]:
    """Itself, then one step to either side: IEEE 754 numbers of a sign are ordered as their bits are."""
    bits, patterns = int.from_bytes(raw), 1 << (len(raw) * 8)
    return (((bits + step) % patterns).to_bytes(len(raw)) for step in (0, -1, 1))


def unpack(data_type: DataType, raw: bytes) -> float:
    number: float = struct.unpack(FORMATS[data_type], raw)[0]
    return number
