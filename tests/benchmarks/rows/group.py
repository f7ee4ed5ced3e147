"""Fifty commands on fifty PLCs: one call of ours beside fifty calls to the bare peer."""

from collections.abc import Callable, Iterator

from tests.benchmarks import calls
from tests.benchmarks.calls import Wrong
from tests.benchmarks.figures import Row, at_least
from tests.benchmarks.load import Answers, Job
from tests.benchmarks.options import Options
from tests.benchmarks.peers.fastapi import BARE, running_fastapi
from tests.benchmarks.peers.installed import or_without
from tests.benchmarks.plcs import PLCs, running_plcs
from tests.benchmarks.product import PRODUCT, Product, running_product
from tests.benchmarks.registry import Plan
from tests.benchmarks.side import Side

PLC_COUNT = 50
CALLERS = 16
DELAYS_MS = (0, 10)
LEAST_S = 2.0  # a group is a long answer: some of them must end within the time
GOAL = at_least(2.0)


def measure(options: Options) -> Iterator[Row]:
    """Commands a second, by one caller of groups and by sixteen of single commands."""
    with (
        running_plcs(PLC_COUNT) as plcs,
        running_product(options.fresh("group"), Plan(ports=plcs.ports)) as product,
        or_without(running_fastapi(options.fresh("fastapi"), options.cache, plcs.ports)) as (peers, why),
    ):
        sides = {PRODUCT: _groups(options, plcs, product)}
        sides |= {peer.name: _single(options, plcs, peer) for peer in peers if peer.name == BARE}
        for delay_ms in DELAYS_MS:
            plcs.answer_after(delay_ms)
            found = options.turns().of(sides, Wrong)
            yield Row(
                what=f"group call of {PLC_COUNT}, PLC {delay_ms} ms: commands",
                unit="/s",
                product=[PLC_COUNT * each.rate() for each in found[PRODUCT]],
                beside=f"{BARE}, {CALLERS} callers",
                reference=[each.rate() for each in found.get(BARE, ())],
                goal=GOAL,
                note=why,
            )


def _groups(options: Options, plcs: PLCs, product: Product) -> Callable[[], Answers]:
    job = Job(
        port=product.server.port,
        callers=[[product.start_batches(PLC_COUNT)]],
        seconds=max(options.seconds, LEAST_S),
        status=207,
        holds='"status": 200,',
        times=PLC_COUNT,
    )
    return lambda: calls.commands(job, plcs)


def _single(options: Options, plcs: PLCs, peer: Side) -> Callable[[], Answers]:
    job = Job(port=peer.port, callers=peer.callers(CALLERS, PLC_COUNT), seconds=options.seconds)
    return lambda: calls.commands(job, plcs)
