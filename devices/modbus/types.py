"""What a Modbus value is and where it sits: tables, data types, byte orders, tags, endpoints. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from enum import StrEnum
from functools import cache

from devices.modbus.networks import Networks
from devices.modbus.tls import Identity

ADDRESS_SPACE = 65536  # addresses a table, 0 to 65535; Modbus V1.1b3 section 4.4


class Table(StrEnum):
    """The four address spaces of a PLC."""

    COIL = "coil"
    DISCRETE_INPUT = "discrete_input"
    HOLDING_REGISTER = "holding_register"
    INPUT_REGISTER = "input_register"

    @property
    def is_bits(self) -> bool:
        """One bit an address, instead of one 16-bit register."""
        return self in BIT_TABLES

    @property
    def is_writable(self) -> bool:
        """The protocol has a write function for coils and holding registers only."""
        return self in (Table.COIL, Table.HOLDING_REGISTER)


BIT_TABLES = frozenset({Table.COIL, Table.DISCRETE_INPUT})


class DataType(StrEnum):
    """How the bits or registers of a tag are to be read."""

    BOOL = "bool"
    INT16 = "int16"
    UINT16 = "uint16"
    INT32 = "int32"
    UINT32 = "uint32"
    INT64 = "int64"
    UINT64 = "uint64"
    FLOAT32 = "float32"
    FLOAT64 = "float64"
    STRING = "string"

    @property
    def registers(self) -> int:
        """Registers that one value takes; 0 for a string, whose tag says its own length."""
        return REGISTERS[self]

    @property
    def is_float(self) -> bool:
        """An IEEE 754 number."""
        return self in (DataType.FLOAT32, DataType.FLOAT64)

    @property
    def is_number(self) -> bool:
        """An integer or a float: what scale, offset and limits apply to."""
        return self not in (DataType.BOOL, DataType.STRING)


REGISTERS = {
    DataType.BOOL: 1,
    DataType.INT16: 1,
    DataType.UINT16: 1,
    DataType.INT32: 2,
    DataType.UINT32: 2,
    DataType.INT64: 4,
    DataType.UINT64: 4,
    DataType.FLOAT32: 2,
    DataType.FLOAT64: 4,
    DataType.STRING: 0,
}


class ByteOrder(StrEnum):
    """The order of bytes on the wire; A is the most significant byte of a 32-bit value.

    Wider values and strings follow the same rule: swapped letters inside a pair swap the bytes of
    each register, the pairs the other way round swap the order of registers.
    """

    ABCD = "ABCD"
    BADC = "BADC"
    CDAB = "CDAB"
    DCBA = "DCBA"

    @property
    def swaps_bytes(self) -> bool:
        """The two bytes of each register come low byte first."""
        return self in (ByteOrder.BADC, ByteOrder.DCBA)

    @property
    def swaps_registers(self) -> bool:
        """The registers of a value come least significant first."""
        return self in (ByteOrder.CDAB, ByteOrder.DCBA)


class WriteFunctions(StrEnum):
    """Which write functions a PLC knows: some know only FC5/FC6, others only FC15/FC16."""

    BOTH = "both"
    SINGLE = "single"
    MULTIPLE = "multiple"


Value = bool | int | float | str
"""A tag's value as people and APIs see it: scaled, in the tag's unit."""

Words = tuple[int, ...]
"""What goes over the wire: registers (0 to 65535), or bits (0 or 1) for coils and inputs."""


@cache
def _are_whole(data_type: DataType, scale: Decimal, offset: Decimal) -> bool:
    # The operators of Decimal round at 28 digits, to_integral_value doesn't.
    is_integer = data_type.is_number and not data_type.is_float
    return is_integer and all(part == part.to_integral_value() for part in (scale, offset))


@dataclass(frozen=True, kw_only=True, slots=True)
class TagSpec:
    """A named, typed value and where it sits in the PLC."""

    name: str
    table: Table
    address: int
    """Zero-based, as on the wire; a manual's 40001 is holding register 0."""
    data_type: DataType
    byte_order: ByteOrder = ByteOrder.ABCD
    bit: int | None = None
    """Of a bool in a register: 0 (least significant) to 15."""
    length: int = 0
    """Of a string: registers, each two characters."""
    scale: Decimal = Decimal(1)
    """value = raw * scale + offset."""
    offset: Decimal = Decimal(0)
    unit: str = ""
    minimum: Decimal | None = None
    """Smallest value that may be written, in the tag's unit (after scaling)."""
    maximum: Decimal | None = None
    labels: Mapping[int, str] = field(default_factory=dict)
    """Words for raw numbers: {0: "idle", 3: "jam at infeed"}."""

    @property
    def has_whole_values(self) -> bool:
        """Its values are whole numbers: an integer type, and neither scale nor offset brings in a fraction."""
        return _are_whole(self.data_type, self.scale, self.offset)

    @property
    def count(self) -> int:
        """Addresses that the tag covers in its table."""
        if self.table.is_bits:
            return 1
        return REGISTERS[self.data_type] or self.length

    def overlaps(self, other: "TagSpec") -> bool:
        """Whether both show something of the same place in the PLC."""
        if self.table is not other.table:
            return False
        if self.bit is not None and other.bit is not None:
            return (self.address, self.bit) == (other.address, other.bit)
        return self.address < other.address + other.count and other.address < self.address + self.count


def without_limits(tag: TagSpec) -> TagSpec:
    """The tag as it may be compared: its limits are for writing, a PLC may well hold a value beyond them."""
    return replace(tag, minimum=None, maximum=None)


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """The largest requests that a PLC accepts, and the write functions that it knows.

    The defaults are the protocol's own (Modbus V1.1b3 sections 6.1 to 6.12); Delta DVP10MC and WAGO 750
    accept less.
    """

    read_registers: int = 125
    read_bits: int = 2000
    write_registers: int = 123
    write_bits: int = 1968
    write_functions: WriteFunctions = WriteFunctions.BOTH


@dataclass(frozen=True, kw_only=True, slots=True)
class Endpoint:
    """Where a PLC listens and how patiently it is talked to. All durations in seconds."""

    host: str
    port: int = 502
    unit: int = 1
    """Modbus device id, 0 to 255; most PLCs ignore it, gateways to serial lines don't."""
    connect_timeout_s: float = 3.0
    response_timeout_s: float = 1.0
    """Total for one answer, not for each byte of it."""
    pause_after_connect_s: float = 0.0
    pause_between_s: float = 0.0
    """Between two requests, for PLCs that lose the second one otherwise."""
    networks: Networks = field(default=Networks(), repr=False, compare=False)
    """Where it may be; no other address is connected to. Not part of what it is: another process may know others."""
    tls: Identity | None = None
    """None: plain Modbus TCP."""
