"""The demo's machines: their ports are looked at first, and each behaves as it is described."""

import socket

import pytest

from devices.management.demo_machines import MACHINES, DemoMachine, require_free_ports, simulate
from devices.management.errors import CannotStart

PRESS = DemoMachine(name="press-9", title="Press 9", area="Hall Z", port=21031)
SLOW = DemoMachine(name="slow-9", title="Slow", area="Hall Z", port=21032, answer_delay_s=0.2, connections_served=5)


class TestPorts:
    def test_that_are_free_are_not_held(self):
        require_free_ports([PRESS, SLOW])
        require_free_ports([PRESS, SLOW])

    def test_that_are_taken_are_named_with_the_machine_and_what_to_do(self):
        with (
            socket.create_server(("127.0.0.1", PRESS.port)),
            pytest.raises(CannotStart, match=r"press-9 can't listen on .* port 21031: it is in use .* End the demo"),
        ):
            require_free_ports([SLOW, PRESS])

    def test_of_no_two_machines_are_the_same(self):
        assert len({machine.port for machine in MACHINES}) == len(MACHINES) == 5


class TestSimulators:
    async def test_are_as_slow_and_as_narrow_as_described(self):
        async with simulate(SLOW) as plc:
            assert (plc.server.port, plc.server.answer_delay_s, plc.server.max_connections) == (21032, 0.2, 5)

    def test_are_two_normal_one_slow_one_narrow_and_one_off(self):
        kinds = [(m.is_switched_on, m.answer_delay_s, m.connections_served) for m in MACHINES]
        assert kinds == [(True, 0, None), (True, 0, None), (True, 0.2, None), (True, 0, 5), (False, 0, None)]
