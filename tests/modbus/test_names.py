"""From a host to the addresses that are connected to: each checked, at each connection."""

import socket
from collections.abc import Callable

import pytest

from devices.modbus.errors import AddressForbidden, LinkUnavailable
from devices.modbus.link import Link
from devices.modbus.names import allowed_addresses
from devices.modbus.networks import Networks, Service, parse
from devices.modbus.types import Endpoint
from tests.modbus.links import HOLDING, endpoint

Answer = Callable[..., None]


@pytest.fixture
def name_server(monkeypatch: pytest.MonkeyPatch) -> Answer:
    """Says in turn, at each look-up of a name, which addresses it has; the last ones from then on."""

    def will_say(*answers: list[str]) -> None:
        left = list(answers)

        def getaddrinfo(host: str, *_: object, **__: object) -> list[tuple]:
            found = left.pop(0) if len(left) > 1 else left[0]
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 0)) for address in found]

        monkeypatch.setattr("devices.modbus.names.socket.getaddrinfo", getaddrinfo)

    return will_say


class TestAName:
    async def test_leads_to_the_addresses_that_were_checked(self, name_server):
        name_server(["127.0.0.1", "127.0.0.2", "127.0.0.1"])
        assert await allowed_addresses("press-1", 502, Networks()) == ("127.0.0.1", "127.0.0.2")

    async def test_of_which_one_address_is_forbidden_is_refused_whole_and_names_it(self, name_server):
        name_server(["127.0.0.1", "10.9.9.9"])
        with pytest.raises(AddressForbidden, match=r"^press-1: 10\.9\.9\.9 is not within .* PLC_NETWORKS"):
            await allowed_addresses("press-1", 502, Networks())

    async def test_that_has_moved_since_it_was_saved_is_not_connected_to(self, plc, name_server):
        """DNS rebinding: allowed when it was looked at, this computer when it is called."""
        name_server(["10.20.0.1"], [plc.host])
        networks = Networks(allowed=parse(["10.20.0.0/16"]))
        assert await allowed_addresses("press-1", plc.port, networks) == ("10.20.0.1",)
        with pytest.raises(AddressForbidden, match=r"press-1: 127\.0\.0\.1 is not within"):
            await Link(Endpoint(host="press-1", port=plc.port, networks=networks)).open()
        assert plc.connects == 0

    async def test_is_looked_up_once_a_connection(self, plc, name_server):
        """A second look-up, by whoever connects, could be told another address."""
        name_server([plc.host], ["10.9.9.9"])
        async with Link(Endpoint(host="press-1", port=plc.port)) as link:
            assert await link.read(HOLDING, 0, 1) == (0,)


class TestALink:
    @pytest.mark.parametrize("host", ["10.0.0.7", "169.254.169.254", "::ffff:10.0.0.7", "0.0.0.0", "fe80::1%lo"])
    async def test_to_where_no_plc_may_be_is_refused_at_once(self, host):
        link = Link(Endpoint(host=host))
        with pytest.raises(AddressForbidden, match="PLC_NETWORKS"):
            await link.open()
        assert not link.is_usable

    async def test_is_refused_once_the_setting_does_not_hold_its_plc_any_more(self, plc):
        with pytest.raises(AddressForbidden, match="PLC_NETWORKS"):
            await Link(endpoint(plc, networks=Networks(allowed=parse(["10.0.0.0/8"])))).open()
        assert plc.connects == 0

    async def test_reaches_nobody_through_a_number_that_the_system_takes_for_an_address(self, plc):
        """0 is 0.0.0.0, 2130706433 is 127.0.0.1: they are looked up, and judged like any name."""
        networks = Networks(allowed=parse(["10.0.0.0/8"]))
        for host in ("0", "2130706433", "127.1", "0x7f000001"):
            with pytest.raises(LinkUnavailable):
                await Link(Endpoint(host=host, port=plc.port, networks=networks)).open()
        assert plc.connects == 0


class TestTheGatewaysOwnServices:
    """No PLC is there, though the networks hold the address."""

    @pytest.mark.parametrize("listens_at", ["127.0.0.1", "0.0.0.0", "::", "localhost", "127.0.0.7", ""])
    @pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::ffff:127.0.0.1", "127.9.9.9"])
    async def test_are_not_talked_to(self, plc, listens_at, host):
        networks = Networks(services=(Service(name="the database", host=listens_at, port=plc.port),))
        with pytest.raises(AddressForbidden, match=f"the database listens at .*, port {plc.port}"):
            await Link(Endpoint(host=host, port=plc.port, networks=networks)).open()
        assert plc.connects == 0

    async def test_stand_in_nobodys_way_at_another_port_or_on_another_computer(self, plc):
        services = (
            Service(name="the database", host="127.0.0.1", port=plc.port + 1),
            Service(name="Redis", host="10.0.0.5", port=plc.port),
            Service(name="a name that nobody knows", host="x" * 64, port=plc.port),
        )
        async with Link(endpoint(plc, networks=Networks(services=services))) as link:
            assert await link.read(HOLDING, 0, 1) == (0,)
