"""Put reads and writes of neighbouring addresses into as few requests as the PLC takes. Pure."""

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


@dataclass(frozen=True, slots=True)
class Read:
    """The addresses of one value."""

    table: Table
    address: int
    count: int


@dataclass(frozen=True, slots=True)
class Block:
    """One request that reads several values."""

    table: Table
    address: int
    count: int
    members: tuple[int, ...]
    """Which of the reads it serves, by their places in what was asked for."""

    @property
    def end(self) -> int:
        """The first address behind it."""
        return self.address + self.count


def merge_reads(reads: Sequence[Read], limits: Limits, gap: int = 0) -> tuple[Block, ...]:
    """Join what touches or overlaps in one table, as long as the PLC answers it in one request.

    With a `gap`, what lies at most so many addresses apart is joined too; those between are read for nothing.
    A value is never split. What was asked for last is read last; what it was joined with comes as late, so that of two
    others the one that was asked for first may come second.
    """
    blocks: list[Block] = []
    for place, read in sorted(enumerate(reads), key=lambda item: (item[1].table, item[1].address, item[1].count)):
        joined = _joined(blocks[-1], read, place, gap) if blocks else None
        if joined and joined.count <= (limits.read_bits if read.table.is_bits else limits.read_registers):
            blocks[-1] = joined
        else:
            blocks.append(Block(read.table, read.address, read.count, (place,)))
    return tuple(sorted(blocks, key=lambda block: max(block.members)))


def _joined(block: Block, read: Read, place: int, gap: int) -> Block | None:
    """The block with the read in it, None where too wide a gap lies between."""
    if block.table is not read.table or read.address > block.end + gap:
        return None
    end = max(block.end, read.address + read.count)
    return Block(block.table, block.address, end - block.address, (*block.members, place))


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
