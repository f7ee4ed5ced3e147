"""What can go wrong between us and one PLC. The class alone tells what is now true at the machine."""

EXCEPTIONS = {
    1: "the PLC does not offer this function",
    2: "the address or length is not mapped in the PLC",
    3: "the PLC refused the value or count",
    4: "the device failed while executing the request",
    5: "the PLC accepted the request but takes long to carry it out",
    6: "the PLC is busy, try again",
    8: "memory parity error in the PLC",
    10: "the gateway in front of the PLC has no path to it",
    11: "the device behind the gateway does not answer",
}
"""Modbus exception codes in words; Modbus V1.1b3 section 7."""

IN_PROGRESS = 5  # accepted, takes long: the acknowledge will tell
REFUSALS = frozenset({1, 2, 3, 7})  # it said no
BUSY = frozenset({6, 10})  # refused for now, not executed


class ModbusError(Exception):
    """Base of everything that the protocol floor raises."""


class ValueRefused(ModbusError):
    """The value does not fit the tag (type, limits, overflow, NaN): nothing was sent."""


class LinkUnavailable(ModbusError):
    """No working link to the PLC: nothing was sent."""


class NoResources(LinkUnavailable):
    """The gateway itself has no descriptor or port left to connect with: nothing was sent, the PLC may be well."""


class AddressForbidden(LinkUnavailable):
    """The PLC's host is, or has become, an address that no PLC may have: nothing was connected to, nothing was sent."""


class TLSRefused(LinkUnavailable):
    """No TLS connection came about: the PLC's certificate, ours, or their settings are wrong. Nothing was sent."""


class DeviceException(ModbusError):
    """The PLC answered with a Modbus exception: it received the request and said no."""

    def __init__(self, code: int, request: str) -> None:
        self.code = code
        self.said = f"exception {code}, {EXCEPTIONS.get(code, 'a code that the standard does not name')}"
        """Without the request."""
        super().__init__(f"{request}: {self.said}")


class Unconfirmed(ModbusError):
    """The request went out and no answer came: it may have happened."""


class WrongAnswer(ModbusError):
    """An answer came that does not belong to the request: it may have happened, the link is closed."""
