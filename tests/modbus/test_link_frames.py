"""What a link tells of its bytes: each that went out and each that came, believed or not, and in their order."""

from itertools import groupby

import pytest

from devices.modbus.errors import DeviceException, LinkUnavailable, ModbusError
from devices.modbus.link import Link
from tests.doubles import faults
from tests.doubles.fault_server import FaultServer
from tests.doubles.leaks import settle
from tests.modbus.links import COIL, HOLDING, endpoint

SENT, CAME = "came", "went"  # as the double calls them


@pytest.fixture
def heard(link: Link) -> list[tuple[str, bytes]]:
    """What the link told."""
    told: list[tuple[str, bytes]] = []
    link.on_frame = lambda is_sent, raw: told.append((SENT if is_sent else CAME, raw))
    return told


def joined(pieces: list[tuple[str, bytes]]) -> list[tuple[str, bytes]]:
    """TCP cuts where it likes: all that went one way until something went the other."""
    return [(way, b"".join(raw for _, raw in group)) for way, group in groupby(pieces, key=lambda piece: piece[0])]


class TestFrames:
    async def test_are_those_that_the_plc_received_and_sent(self, plc: FaultServer, link: Link, heard):
        await link.read(HOLDING, 10, 3)
        await link.write(COIL, 0, (1,))
        with pytest.raises(DeviceException):
            await link.read(HOLDING, 1000, 1)
        assert heard == plc.wire
        assert [way for way, _ in heard] == [SENT, CAME] * 3
        assert heard[0][1] == bytes.fromhex("0001 0000 0006 01 03 000a 0003")
        assert heard[3][1] == bytes.fromhex("0002 0000 0006 01 05 0000 ff00")
        assert heard[5][1] == bytes.fromhex("0003 0000 0003 01 83 02")

    @pytest.mark.parametrize(
        "fault",
        [
            faults.transaction(99),
            faults.unit(9),
            faults.neighbouring_function,
            faults.values(2),
            faults.echo(address=1),
            faults.garbage(b"?" * 20),
            faults.half_an_answer,
            faults.mute,
            faults.hang_up_amid,
        ],
        ids=lambda fault: fault.__qualname__.partition(".")[0],
    )
    async def test_hold_also_what_is_not_believed(self, plc: FaultServer, link: Link, heard, fault):
        plc.next(fault)
        with pytest.raises(ModbusError):
            await link.write(COIL, 0, (1,))
        assert joined(heard) == joined(plc.wire)
        assert heard[0][0] == SENT

    async def test_hold_each_byte_once_where_an_answer_comes_byte_by_byte(self, plc: FaultServer, link: Link, heard):
        plc.next(faults.trickle(0.002))
        await link.read(HOLDING, 0, 2)
        assert len(heard) > 4
        assert joined(heard) == joined(plc.wire)

    async def test_hold_what_a_plc_says_that_nobody_asked(self, plc: FaultServer, link: Link, heard):
        await link.read(HOLDING, 0, 1)
        (connection,) = plc._served
        await connection.send(b"hello")
        assert await settle(lambda: heard[-1] == (CAME, b"hello"))
        assert heard == plc.wire

    async def test_leave_out_what_was_never_sent(self, plc: FaultServer, link: Link, heard):
        plc.hang_up()
        await settle(lambda: not link.is_usable)
        with pytest.raises(LinkUnavailable):
            await link.write(COIL, 0, (1,))
        assert heard == plc.wire == []

    async def test_are_told_to_nobody_where_nobody_asks(self, plc: FaultServer):
        async with Link(endpoint(plc)) as link:
            assert await link.read(HOLDING, 0, 1) == (0,)
