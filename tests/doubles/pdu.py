"""What a well-behaved PLC does with a request: its memory and its answers. Pure; Modbus V1.1b3 section 6."""

import struct
from collections.abc import Callable
from dataclasses import dataclass

from devices.modbus.types import Table

Where = str | int | tuple[Table, int]
"""A name that the double was given, an address in any table, or a table and an address."""

OnWrite = Callable[[int], object]

TABLES = {
    1: Table.COIL,
    2: Table.DISCRETE_INPUT,
    3: Table.HOLDING_REGISTER,
    4: Table.INPUT_REGISTER,
    5: Table.COIL,
    6: Table.HOLDING_REGISTER,
    15: Table.COIL,
    16: Table.HOLDING_REGISTER,
}
WRITES = (5, 6, 15, 16)
READ_LIMITS = {1: 2000, 2: 2000, 3: 125, 4: 125}
WRITE_LIMITS = {15: 1968, 16: 123}
WIRE_BITS = {0x0000: 0, 0xFF00: 1}  # what FC5 may carry


class Refusal(Exception):
    """The request is answered with a Modbus exception and not carried out."""

    def __init__(self, code: int) -> None:
        self.code = code
        super().__init__(f"exception {code}")


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it came over the wire."""

    function: int
    address: int
    count: int
    values: tuple[int, ...]
    """What a write carries; empty for a read."""
    unit: int

    @property
    def is_write(self) -> bool:
        return self.function in WRITES

    def covers(self, table: Table | None, address: int) -> bool:
        return table in (None, TABLES.get(self.function)) and self.address <= address < self.address + self.count


class Memory:
    """Four tables of `size` addresses each; beyond them the PLC answers exception 2."""

    def __init__(self, size: int) -> None:
        self.tables: dict[Table, list[int]] = {table: [0] * size for table in Table}

    def carry_out(self, request: Request) -> bytes:
        """Apply a request and return the PDU of its answer; Refusal where the PLC says no."""
        table = self._table_of(request)
        part = slice(request.address, request.address + request.count)
        if request.is_write:
            table[part] = request.values
            return struct.pack(">BHH", request.function, request.address, _confirmed(request))
        words = table[part]
        packed = _pack_bits(words) if request.function < 3 else struct.pack(f">{len(words)}H", *words)
        return struct.pack(">BB", request.function, len(packed)) + packed

    def _table_of(self, request: Request) -> list[int]:
        if request.function not in TABLES:
            raise Refusal(1)
        limit = READ_LIMITS.get(request.function) or WRITE_LIMITS.get(request.function, 1)
        if not 1 <= request.count <= limit or (request.is_write and len(request.values) != request.count):
            raise Refusal(3)
        table = self.tables[TABLES[request.function]]
        if request.address + request.count > len(table):
            raise Refusal(2)
        return table


def parse(pdu: bytes, unit: int) -> Request:
    """Read a request; one whose body does not fit its own counts carries no values and is refused later."""
    function = pdu[0]
    if function not in TABLES or len(pdu) < 5:
        return Request(function, 0, 0, (), unit)
    address, number = struct.unpack_from(">HH", pdu, 1)
    if function == 5:
        return Request(function, address, 1, (WIRE_BITS[number],) if number in WIRE_BITS else (), unit)
    if function == 6:
        return Request(function, address, 1, (number,), unit)
    if function in WRITE_LIMITS:
        return Request(function, address, number, _values(function, number, pdu[5:]), unit)
    return Request(function, address, number, (), unit)


def _values(function: int, count: int, body: bytes) -> tuple[int, ...]:
    size = -(-count // 8) if function == 15 else 2 * count
    if len(body) != 1 + size or body[0] != size:
        return ()
    if function == 16:
        return struct.unpack(f">{count}H", body[1:])
    return tuple(body[1 + i // 8] >> i % 8 & 1 for i in range(count))


def _confirmed(request: Request) -> int:
    """FC5 and FC6 are confirmed with the value, FC15 and FC16 with the count."""
    if request.function == 5:
        return 0xFF00 if request.values[0] else 0
    return request.values[0] if request.function == 6 else request.count


def _pack_bits(bits: list[int]) -> bytes:
    packed = bytearray(-(-len(bits) // 8))
    for i, bit in enumerate(bits):
        packed[i // 8] |= bool(bit) << i % 8
    return bytes(packed)
