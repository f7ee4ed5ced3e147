"""Whether what came answers what went out, byte by byte; and what it says. Pure; Modbus V1.1b3 section 6.

pymodbus takes another function, another count, another echo, transaction id 0 and bodies that are too long for success.
"""

import struct

from devices.modbus.errors import WrongAnswer
from devices.modbus.types import Words

HEADER = struct.Struct(">HHHB")  # transaction, protocol, length, unit; Modbus TCP guide section 3.1.3
LENGTHS = range(3, 255)  # of unit, function and at least one byte, to unit and the largest body
IS_EXCEPTION = 0x80  # set in the function code of an answer
READS_OF_BITS = (1, 2)
READS = (1, 2, 3, 4)


def take(request: bytes, received: bytearray) -> bytes | None:
    """The body of the answer to a request, from its function code on; None while it is not complete.

    `received` is what came since the request went out. Whole answers to older requests are dropped from it.
    Raises WrongAnswer, as soon as what is wrong can be told.
    """
    asked, _, _, unit = HEADER.unpack_from(request)
    while len(received) >= HEADER.size:
        transaction, protocol, length, answering = HEADER.unpack_from(received)
        if protocol or length not in LENGTHS:
            raise WrongAnswer("what came is not Modbus")
        end = HEADER.size - 1 + length
        if not transaction:
            raise WrongAnswer("an answer without a transaction number came")
        if transaction == asked and answering != unit:
            raise WrongAnswer(f"unit {answering} answered instead of unit {unit}")
        if len(received) < end:
            return None
        if transaction == asked:
            return _checked(request[HEADER.size :], bytes(received[HEADER.size : end]))
        del received[:end]
    return None


def exception_code(body: bytes) -> int | None:
    """Why the PLC refused; None where it did not."""
    return body[1] if body[0] & IS_EXCEPTION else None


def words(body: bytes, count: int) -> Words:
    """The first `count` bits (0 or 1) or registers of the answer to a read."""
    if body[0] in READS_OF_BITS:
        return tuple([octet >> place & 1 for octet in body[2:] for place in range(8)][:count])
    return struct.unpack_from(f">{count}H", body, 2)


def _checked(asked: bytes, body: bytes) -> bytes:
    if wrong := _mismatch(asked, body):
        raise WrongAnswer(wrong)
    return body


def _mismatch(asked: bytes, body: bytes) -> str | None:
    if body[0] & ~IS_EXCEPTION != asked[0]:
        return f"an answer to function {body[0] & ~IS_EXCEPTION} came"
    if body[0] & IS_EXCEPTION:
        return None if len(body) == 2 else "an exception of the wrong length came"
    if asked[0] in READS:
        return None if _is_full(asked, body) else "another number of values came"
    # FC5 and FC6 answer with the whole request, FC15 and FC16 with its address and count.
    return None if body == asked[:5] else "the PLC confirmed something else"


def _is_full(asked: bytes, body: bytes) -> bool:
    count = int.from_bytes(asked[3:5])
    # Bits come in whole bytes: three asked for are answered with eight.
    size = -(-count // 8) if asked[0] in READS_OF_BITS else 2 * count
    return len(body) == 2 + size and body[1] == size
