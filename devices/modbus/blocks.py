"""Put writes to neighbouring addresses into as few requests as the PLC takes. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from devices.modbus.errors import ValueRefused
from devices.modbus.types import Limits, Table, Words, WriteFunctions


@dataclass(frozen=True, slots=True)
class Write:
    """The words of one value, or of one request, and where they go."""

    table: Table
    address: int
    words: Words

    @property
    def end(self) -> int:
        """The first address behind it."""
        return self.address + len(self.words)

    def __str__(self) -> str:
        return f"{self.table.replace('_', ' ')} {self.address}"


def merge_writes(writes: Sequence[Write], limits: Limits) -> tuple[Write, ...]:
    """Join each write with the one before it where it continues it directly and the PLC takes both in one request.

    The order stays: a machine may act on a later write. A value is never split, since the PLC could act on one
    half; raises ValueRefused, before anything is sent, for a value that takes more than one request holds.
    """
    requests: list[Write] = []
    for write in writes:
        _require_one_request(write, limits)
        if requests and _continues(requests[-1], write, limits):
            request = requests.pop()
            requests.append(Write(request.table, request.address, request.words + write.words))
        else:
            requests.append(write)
    return tuple(requests)


def _continues(request: Write, write: Write, limits: Limits) -> bool:
    if (request.table, request.end) != (write.table, write.address):
        return False
    return len(request.words) + len(write.words) <= _room(write.table, limits)


def _room(table: Table, limits: Limits) -> int:
    """Addresses that one write request may cover."""
    if limits.write_functions is WriteFunctions.SINGLE:
        return 1
    return limits.write_bits if table.is_bits else limits.write_registers


def _require_one_request(write: Write, limits: Limits) -> None:
    size, room = len(write.words), _room(write.table, limits)
    if not size:
        raise ValueRefused(f"{write}: there is nothing to write; allowed: 1 to {room} addresses")
    if size <= room:
        return
    if limits.write_functions is WriteFunctions.SINGLE:
        raise ValueRefused(
            f"{write}: a value of {size} registers cannot be written atomically, the PLC takes them one by one "
            f"(FC6 only) and could act on half of it; allowed: values of 1 register"
        )
    raise ValueRefused(f"{write}: a value of {size} addresses is too long for one request; allowed: 1 to {room}")
