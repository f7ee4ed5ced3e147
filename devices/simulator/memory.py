"""The four tables of a simulated PLC. Pure."""

from collections.abc import Sequence

from devices.modbus.types import Table, Words
from devices.simulator.errors import ILLEGAL_ADDRESS, RequestRefused

SIZE = 100  # addresses a table: small, so that a wrong address is refused as a real PLC would


class Memory:
    """What the machine and its clients share. Writes here may go to any table; clients reach two of them."""

    def __init__(self, size: int = SIZE) -> None:
        self._tables = {table: [0] * size for table in Table}

    def read(self, table: Table, address: int, count: int) -> Words:
        """Bits or registers from a zero-based address on; refused with code 2 outside the table."""
        self._require(table, address, count)
        return tuple(self._tables[table][address : address + count])

    def write(self, table: Table, address: int, words: Sequence[int]) -> None:
        """All of the words or, outside the table, none."""
        self._require(table, address, len(words))
        self._tables[table][address : address + len(words)] = words

    def _require(self, table: Table, address: int, count: int) -> None:
        if address + count > len(self._tables[table]):
            raise RequestRefused(ILLEGAL_ADDRESS)
