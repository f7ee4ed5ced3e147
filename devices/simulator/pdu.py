"""Carry out one request on a memory: functions 1 to 6, 15 and 16. Pure; Modbus V1.1b3 section 6."""

import struct
from collections.abc import Callable, Sequence
from functools import partial

from devices.modbus.types import Table
from devices.simulator.errors import ILLEGAL_FUNCTION, ILLEGAL_VALUE, RequestRefused
from devices.simulator.memory import Memory

EXCEPTION_FLAG = 0x80
ON, OFF = 0xFF00, 0x0000
READ_BITS, READ_REGISTERS, WRITE_BITS, WRITE_REGISTERS = 2000, 125, 1968, 123  # the most in one request

Body = bytes
Function = Callable[[Memory, Body], bytes]


def answer(memory: Memory, pdu: bytes) -> bytes:
    """The PDU to send back, an exception's included."""
    code, body = pdu[0], pdu[1:]
    try:
        if code not in FUNCTIONS:
            raise RequestRefused(ILLEGAL_FUNCTION)
        return bytes([code]) + FUNCTIONS[code](memory, body)
    except RequestRefused as refused:
        return bytes([code | EXCEPTION_FLAG, refused.code])


def _read(memory: Memory, body: Body, *, table: Table, limit: int) -> bytes:
    address, count = _two_words(body)
    _require(1 <= count <= limit)
    words = memory.read(table, address, count)
    packed = _pack_bits(words) if table.is_bits else struct.pack(f">{count}H", *words)
    return bytes([len(packed)]) + packed


def _write_coil(memory: Memory, body: Body) -> bytes:
    address, value = _two_words(body)
    _require(value in (ON, OFF))
    memory.write(Table.COIL, address, [int(value == ON)])
    return body


def _write_register(memory: Memory, body: Body) -> bytes:
    address, value = _two_words(body)
    memory.write(Table.HOLDING_REGISTER, address, [value])
    return body


def _write_coils(memory: Memory, body: Body) -> bytes:
    address, count, packed = _block(body)
    _require(1 <= count <= WRITE_BITS and len(packed) == (count + 7) // 8)
    memory.write(Table.COIL, address, [packed[i // 8] >> (i % 8) & 1 for i in range(count)])
    return body[:4]


def _write_registers(memory: Memory, body: Body) -> bytes:
    address, count, packed = _block(body)
    _require(1 <= count <= WRITE_REGISTERS and len(packed) == 2 * count)
    memory.write(Table.HOLDING_REGISTER, address, struct.unpack(f">{count}H", packed))
    return body[:4]


FUNCTIONS: dict[int, Function] = {
    1: partial(_read, table=Table.COIL, limit=READ_BITS),
    2: partial(_read, table=Table.DISCRETE_INPUT, limit=READ_BITS),
    3: partial(_read, table=Table.HOLDING_REGISTER, limit=READ_REGISTERS),
    4: partial(_read, table=Table.INPUT_REGISTER, limit=READ_REGISTERS),
    5: _write_coil,
    6: _write_register,
    15: _write_coils,
    16: _write_registers,
}


def _two_words(body: Body) -> tuple[int, int]:
    _require(len(body) == 4)
    first, second = struct.unpack(">HH", body)
    return first, second


def _block(body: Body) -> tuple[int, int, bytes]:
    """Address, count and the bytes to write, whose own count must be true."""
    _require(len(body) > 5 and body[4] == len(body) - 5)
    address, count = struct.unpack_from(">HH", body)
    return address, count, body[5:]


def _pack_bits(bits: Sequence[int]) -> bytes:
    """Eight a byte, the first in the least significant bit."""
    octets = (bits[start : start + 8] for start in range(0, len(bits), 8))
    return bytes(sum(bit << place for place, bit in enumerate(octet)) for octet in octets)


def _require(condition: bool) -> None:
    if not condition:
        raise RequestRefused(ILLEGAL_VALUE)
