"""Whether what came over a connection answers what went out, byte by byte. Pure; Modbus V1.1b3 section 6.

pymodbus takes another function, another count, another echo, transaction id 0 and bodies that are too long for success.
"""

import struct

HEADER = struct.Struct(">HHHB")  # transaction, protocol, length, unit; Modbus TCP guide section 3.1.3
LENGTHS = range(3, 255)  # of unit, function and at least one byte, to unit and the largest body
IS_EXCEPTION = 0x80  # set in the function code of an answer


def mismatch(request: bytes, received: bytes) -> str | None:
    """Say what is wrong with the answer to a request; None if it is right, or not complete yet.

    `received` is all that came since the request went out. Whole answers to older requests are passed over.
    """
    asked, _, _, unit = HEADER.unpack_from(request)
    while len(received) >= HEADER.size:
        transaction, protocol, length, answering = HEADER.unpack_from(received)
        if protocol or length not in LENGTHS:
            return "what came is not Modbus"
        if transaction in (asked, 0):
            break
        received = received[HEADER.size - 1 + length :]
    else:
        return None
    if transaction != asked:
        return "an answer without a transaction number came"
    if answering != unit:
        return f"unit {answering} answered instead of unit {unit}"
    body = received[HEADER.size : HEADER.size - 1 + length]
    return None if len(body) < length - 1 else _mismatch(request[HEADER.size :], body)


def _mismatch(asked: bytes, body: bytes) -> str | None:
    if body[0] & ~IS_EXCEPTION != asked[0]:
        return f"an answer to function {body[0] & ~IS_EXCEPTION} came"
    if body[0] & IS_EXCEPTION:
        return None if len(body) == 2 else "an exception of the wrong length came"
    if asked[0] in (1, 2, 3, 4):
        return None if _is_full(asked, body) else "another number of values came"
    # FC5 and FC6 answer with the whole request, FC15 and FC16 with its address and count.
    return None if body == asked[:5] else "the PLC confirmed something else"


def _is_full(asked: bytes, body: bytes) -> bool:
    count = int.from_bytes(asked[3:5])
    # Bits come in whole bytes: three asked for are answered with eight.
    size = -(-count // 8) if asked[0] in (1, 2) else 2 * count
    return len(body) == 2 + size and body[1] == size
