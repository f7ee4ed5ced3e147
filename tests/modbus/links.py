"""Short names for links to the double, for the tests of the link."""

from devices.modbus.link import Link
from devices.modbus.types import Endpoint, Table
from tests.doubles.fault_server import FaultServer

ANSWER_S = 0.3  # the response limit of these tests
COIL, INPUT, HOLDING, READING = Table


def endpoint(plc: FaultServer, **changes: object) -> Endpoint:
    limits: dict = {"connect_timeout_s": 0.4, "response_timeout_s": ANSWER_S} | changes
    return Endpoint(host=plc.host, port=plc.port, **limits)


async def is_served(plc: FaultServer) -> bool:
    """A new link works: what happened to the last one stays with it."""
    async with Link(endpoint(plc)) as link:
        return len(await link.read(HOLDING, 0, 2)) == 2
