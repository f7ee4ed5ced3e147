"""Reads for people and programs: a PLC that does not answer is told as NotRead, with when to ask again."""

from collections.abc import Iterator
from contextlib import contextmanager

from devices.control.errors import NotRead
from devices.modbus.errors import ModbusError
from devices.plc.errors import PLCOffline

LATER_S = 5.0  # what a caller is told to wait where the PLC gives no better time


@contextmanager
def told_as_not_read(limit_s: float) -> Iterator[None]:
    """Translate what goes wrong with a read that may take `limit_s` seconds."""
    try:
        yield
    except PLCOffline as error:
        raise NotRead(str(error), retry_after_s=error.retry_after_s) from error
    except (ModbusError, TimeoutError) as error:
        limit = f"{limit_s:g} s were over before all was read"
        raise NotRead(str(error) or limit, retry_after_s=LATER_S) from error
