"""What a polled PLC occupies in memory, over the process that polls none."""

import time
from collections.abc import Iterator

from tests.benchmarks.figures import Against, Row, at_most
from tests.benchmarks.options import Options
from tests.benchmarks.plcs import running_plcs
from tests.benchmarks.processes import resident_kib
from tests.benchmarks.product import running_product
from tests.benchmarks.registry import Plan
from tests.benchmarks.rows.polling import TAGS

MANY = 1000
SETTLE_S = 15.0  # every PLC has been read many times by then
KB_A_KIB = 1.024


def measure(options: Options) -> Iterator[Row]:
    """Two processes, one of which has no PLC."""
    many = 50 if options.is_brief else MANY
    kb = []
    with running_plcs(many) as plcs:
        for _ in range(options.turns(at_most=3).count):
            bare, full = (_resident_kib(options, ports) for ports in ([], plcs.ports))
            kb.append((full - bare) * KB_A_KIB / many)
    yield Row(
        what=f"memory a PLC of {TAGS} tags, {many} of them polled",
        unit="KB",
        product=kb,
        against=Against.ITSELF,
        goal=at_most(60),
    )


def _resident_kib(options: Options, ports: list[int]) -> int:
    plan = Plan(ports=ports, tags=TAGS)
    with running_product(options.fresh("memory"), plan, polls=True) as product:
        time.sleep(options.settled(SETTLE_S))
        return resident_kib(product.server.process.pid)
