"""Tags and values for tests of the codec."""

from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from devices.modbus import raw_numbers
from devices.modbus.types import DataType, Table, TagSpec

NUMBERS = [data_type for data_type in DataType if data_type.is_number]
INTEGERS = [data_type for data_type in NUMBERS if not data_type.is_float]
WORDS = st.integers(0, 0xFFFF)

unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # on a busy computer


def tag(data_type: DataType = DataType.UINT16, **changes: Any) -> TagSpec:
    """A tag called speed in holding register 0, with whatever else the test is about."""
    table = changes.pop("table", Table.HOLDING_REGISTER)
    return TagSpec(name="speed", table=table, address=0, data_type=data_type, **changes)


def values_of(data_type: DataType) -> st.SearchStrategy[float]:
    """All finite values of a number type."""
    if data_type.is_float:
        return st.floats(width=32 if data_type is DataType.FLOAT32 else 64, allow_nan=False, allow_infinity=False)
    lowest, highest = raw_numbers.RANGES[data_type]
    return st.integers(int(lowest), int(highest))
