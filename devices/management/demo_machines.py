"""The machines of the demo: where they listen and how they behave."""

import socket
from collections.abc import Sequence
from dataclasses import dataclass

from devices.management.errors import CannotStart
from devices.simulator.batch_machine import BatchMachine
from devices.simulator.errors import CannotListen
from devices.simulator.simulated_plc import SimulatedPLC

HOST = "127.0.0.1"


@dataclass(frozen=True, kw_only=True, slots=True)
class DemoMachine:
    """One machine of the demo: what its PLC's row says and how its simulator behaves."""

    name: str
    title: str
    area: str
    port: int
    is_switched_on: bool = True
    answer_delay_s: float = 0.0
    connections_served: int | None = None
    """None: as many as come. The gateway uses one, since all starts share the bits of one handshake."""


MACHINES = (
    DemoMachine(name="press-1", title="Press 1", area="Hall A", port=15021),
    DemoMachine(name="press-2", title="Press 2", area="Hall A", port=15022),
    DemoMachine(name="oven-1", title="Oven 1 (answers slowly)", area="Hall B", port=15023, answer_delay_s=0.2),
    DemoMachine(
        name="packer-1",
        title="Packer 1 (serves five connections)",
        area="Hall B",
        port=15024,
        connections_served=5,
    ),
    DemoMachine(name="mixer-1", title="Mixer 1 (switched off)", area="Hall B", port=15025, is_switched_on=False),
)


def require_free_ports(machines: Sequence[DemoMachine]) -> None:
    """Look before anything is changed, and say which machine's port is taken."""
    for machine in machines:
        try:
            socket.create_server((HOST, machine.port)).close()
        except OSError as error:
            raise CannotStart(
                f"The simulated {machine.name} {CannotListen(HOST, machine.port, error)}. "
                f"End the demo that still runs, or the program that `ss -ltnp 'sport = :{machine.port}'` shows."
            ) from error


def simulate(machine: DemoMachine) -> SimulatedPLC:
    """The simulator of one machine; its port is its seed, so that no two machines fail alike."""
    return SimulatedPLC(
        host=HOST,
        port=machine.port,
        machine=BatchMachine(seed=machine.port),
        answer_delay_s=machine.answer_delay_s,
        max_connections=machine.connections_served,
    )
