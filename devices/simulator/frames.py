"""Cut a TCP stream into Modbus requests and wrap the answers. Pure; Modbus TCP guide V1.0b section 3.1.3."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from devices.simulator.errors import FramingLost

HEADER = struct.Struct(">HHHB")  # transaction, protocol (always 0), length, unit
LONGEST = 254  # unit and 253 bytes of PDU


@dataclass(frozen=True, slots=True)
class Frame:
    """One request or answer."""

    transaction: int
    unit: int
    pdu: bytes

    def pack(self) -> bytes:
        """The bytes for the wire."""
        return HEADER.pack(self.transaction, 0, len(self.pdu) + 1, self.unit) + self.pdu


def take_frames(buffer: bytearray) -> Iterator[Frame]:
    """Every whole frame at the start of the buffer, removed from it; half a frame stays for the next segment."""
    while len(buffer) >= HEADER.size:
        transaction, protocol, length, unit = HEADER.unpack_from(buffer)
        if protocol != 0 or not 2 <= length <= LONGEST:
            raise FramingLost
        end = HEADER.size - 1 + length
        if len(buffer) < end:
            return
        pdu = bytes(buffer[HEADER.size : end])
        del buffer[:end]
        yield Frame(transaction, unit, pdu)
