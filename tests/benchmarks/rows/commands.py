"""One command through HTTP: write two registers, set a coil; at one and at sixteen callers."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager

from tests.benchmarks import calls
from tests.benchmarks.calls import Wrong
from tests.benchmarks.figures import Goal, Row, at_least, at_most
from tests.benchmarks.load import Answers, Job
from tests.benchmarks.options import Options
from tests.benchmarks.peers import naive, node_red
from tests.benchmarks.peers.fastapi import BARE, RECORDED, running_fastapi
from tests.benchmarks.peers.installed import NotInstalled
from tests.benchmarks.plcs import PLCs, running_plcs
from tests.benchmarks.postgresql import NotConfigured, own_database
from tests.benchmarks.product import PRODUCT, running_product
from tests.benchmarks.registry import Plan
from tests.benchmarks.side import Side

CALLERS = (1, 16)
PLC_COUNT = 16
DELAYS_MS = (0, 10)
ON_POSTGRESQL = "product on PostgreSQL, Redis"
KEPT = "product, connections kept"
KEEP_OPEN_S = 5.0  # of each PLC of that one: it proves a connection once, not at each command
LEAST_RATE = {BARE: at_least(0.6), RECORDED: at_least(1.0)}
MOST_P50 = {(BARE, 10): at_most(1.25)}
"""By peer and the PLC's answer time: with a PLC that takes no time, p50 says what throughput says."""


def measure(options: Options) -> Iterator[Row]:
    """All sides are up at once, and called one at a time."""
    with running_plcs(PLC_COUNT) as plcs, _sides(options, plcs) as (sides, missing):
        for delay_ms in DELAYS_MS:
            plcs.answer_after(delay_ms)
            for callers in CALLERS[-1:] if options.is_brief else CALLERS:
                what = f"command, {callers} caller{'s' * (callers > 1)}, PLC {delay_ms} ms"
                yield from _rows(_found(options, plcs, sides, callers), what, delay_ms)
    for name, why in missing.items():
        yield Row(what="command", unit="/s", beside=name, note=f"{name}: left out: {why}")


@contextmanager
def _sides(options: Options, plcs: PLCs) -> Iterator[tuple[list[Side], dict[str, str]]]:
    """Those that run; why the others do not."""
    sides, missing = [], {}
    with ExitStack() as stack:
        for name, opened in _openings(options, plcs).items():
            try:
                sides += stack.enter_context(opened)
            except (NotInstalled, NotConfigured) as why:
                missing[name] = str(why)
        yield sides, missing


def _openings(options: Options, plcs: PLCs) -> dict[str, AbstractContextManager[list[Side]]]:
    directory, cache, ports = options.fresh("peers"), options.cache, plcs.ports
    return {
        PRODUCT: _product(options, plcs),
        KEPT: _product_that_keeps(options, plcs),
        f"{BARE}, {RECORDED}": running_fastapi(directory, cache, ports),
        naive.NAME: naive.running_naive(directory, ports),
        node_red.NAME: node_red.running_node_red(directory, cache, ports, may_install=not options.is_brief),
        ON_POSTGRESQL: _product_on_postgresql(options, plcs),
    }


@contextmanager
def _product(options: Options, plcs: PLCs) -> Iterator[list[Side]]:
    with running_product(options.fresh("product"), Plan(ports=plcs.ports)) as product:
        yield [product.side()]


@contextmanager
def _product_that_keeps(options: Options, plcs: PLCs) -> Iterator[list[Side]]:
    plan = Plan(ports=plcs.ports, settings={"keep_open_s": KEEP_OPEN_S})
    with running_product(options.fresh("kept"), plan) as product:
        yield [product.side(KEPT)]


@contextmanager
def _product_on_postgresql(options: Options, plcs: PLCs) -> Iterator[list[Side]]:
    directory, plan = options.fresh("postgresql"), Plan(ports=plcs.ports)
    with own_database() as env, running_product(directory, plan, env=env) as product:
        yield [product.side(ON_POSTGRESQL)]


def _found(options: Options, plcs: PLCs, sides: Sequence[Side], callers: int) -> dict[str, list[Answers]]:
    def asked(side: Side) -> Callable[[], Answers]:
        job = Job(port=side.port, callers=side.callers(callers, PLC_COUNT), seconds=options.seconds)
        return lambda: calls.commands(job, plcs)

    return options.turns().of({side.name: asked(side) for side in sides}, Wrong)


def _rows(found: Mapping[str, Sequence[Answers]], what: str, delay_ms: int) -> Iterator[Row]:
    pairs = [(PRODUCT, name) for name in found if name != PRODUCT]
    pairs += [(KEPT, name) for name in (BARE, RECORDED) if name in found]
    for ours, beside in pairs:
        rate = LEAST_RATE.get(beside)
        yield _row(found, ours, beside, what=f"{what}: throughput", unit="/s", figure=Answers.rate, goal=rate)
    for ours, beside in pairs:
        p50 = MOST_P50.get((beside, delay_ms))
        yield _row(found, ours, beside, what=f"{what}: p50", unit="ms", figure=Answers.p50_ms, goal=p50)


def _row(
    found: Mapping[str, Sequence[Answers]],
    ours: str,
    beside: str,
    *,
    what: str,
    unit: str,
    figure: Callable[[Answers], float],
    goal: Goal | None,
) -> Row:
    return Row(
        what=what if ours == PRODUCT else f"{what}, kept",
        unit=unit,
        product=[figure(each) for each in found[ours]],
        beside=beside,
        reference=[figure(each) for each in found[beside]],
        goal=goal,
    )
