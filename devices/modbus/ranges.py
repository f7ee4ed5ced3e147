"""What one request may ask for by the protocol; pymodbus lets all else out on the wire too. Pure."""

from devices.modbus.types import ADDRESS_SPACE, Table

READ_REGISTERS, READ_BITS = 125, 2000  # a request; Modbus V1.1b3 sections 6.1 to 6.4
WRITE_REGISTERS, WRITE_BITS = 123, 1968  # sections 6.11 and 6.12


def require_readable(table: Table, address: int, count: int) -> None:
    """ValueError for so many addresses, from this one on, that no read can ask for."""
    _require_range(address, count, READ_BITS if table.is_bits else READ_REGISTERS)


def require_writable(table: Table, address: int, count: int) -> None:
    """ValueError for so many addresses, from this one on, that no write can carry."""
    _require_range(address, count, WRITE_BITS if table.is_bits else WRITE_REGISTERS)


def _require_range(address: int, count: int, limit: int) -> None:
    if not 1 <= count <= limit:
        raise ValueError(f"{count} addresses in one request; 1 to {limit} are possible")
    if not 0 <= address <= ADDRESS_SPACE - count:
        raise ValueError(f"addresses {address} to {address + count - 1}; 0 to {ADDRESS_SPACE - 1} exist")
