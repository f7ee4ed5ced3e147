"""Who carries out the command: the product or a peer, as its callers see it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.benchmarks.load import Target


@dataclass(frozen=True)
class Side:
    """A server that runs."""

    name: str
    port: int
    target: Callable[[int], Target]
    """The command on the PLC of that number."""

    def callers(self, count: int, plcs: int) -> Sequence[Sequence[Target]]:
        """So many callers, among whom so many PLCs are shared out; no two call the same one."""
        return [[self.target(plc) for plc in range(caller, plcs, count)] for caller in range(count)]
