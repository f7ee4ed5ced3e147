"""A hundred healthy PLCs while thirty others accept and never answer, beside the same without the thirty."""

from collections.abc import Callable, Iterator, Mapping, Sequence

from tests.benchmarks import calls
from tests.benchmarks.calls import Wrong, answers_of, calling
from tests.benchmarks.figures import Goal, Row, at_least, at_most
from tests.benchmarks.load import Answers, Job
from tests.benchmarks.options import Options
from tests.benchmarks.plcs import PLCs, running_plcs
from tests.benchmarks.product import Product, running_product
from tests.benchmarks.registry import Plan

HEALTHY, MUTE = 100, 30
DELAY_MS = 10
CALLS_AGAIN_S = 1.0
"""A caller whose PLC is mute pauses so long after each answer: one without a pause would measure how fast we refuse."""
WITH, WITHOUT = "with the mute", "without them"


def measure(options: Options) -> Iterator[Row]:
    """Two servers, so that the one without has never heard of the mute."""
    healthy, mute = (10, 3) if options.is_brief else (HEALTHY, MUTE)
    with running_plcs(healthy, mute=mute) as plcs:
        every = Plan(ports=[*plcs.ports, *plcs.mute_ports])
        with (
            running_product(options.fresh("with-mute"), every) as product,
            running_product(options.fresh("without-mute"), Plan(ports=plcs.ports)) as undisturbed,
        ):
            plcs.answer_after(DELAY_MS)
            sides = {
                WITH: lambda: _disturbed(options, plcs, product),
                WITHOUT: lambda: calls.commands(_job(options, undisturbed, plcs), plcs),
            }
            found = options.turns().of(sides, Wrong)
    what = f"{healthy} healthy PLCs, {mute} mute"
    yield _row(found, f"{what}: throughput", "/s", Answers.rate, at_least(0.9))
    yield _row(found, f"{what}: p99", "ms", Answers.p99_ms, at_most(1.3))


def _job(options: Options, product: Product, plcs: PLCs) -> Job:
    """One caller for each healthy PLC."""
    count = len(plcs.ports)
    return Job(port=product.server.port, callers=product.side().callers(count, count), seconds=options.seconds)


def _disturbed(options: Options, plcs: PLCs, product: Product) -> Answers:
    first = len(plcs.ports)
    patient = [[product.start_batch(first + number)] for number in range(len(plcs.mute_ports))]
    job = Job(
        port=product.server.port,
        callers=patient,
        seconds=options.seconds + 1,
        pause_s=CALLS_AGAIN_S,
        warm_up_s=0,
        status=0,
    )
    with calling(job) as disturbing:
        found = calls.commands(_job(options, product, plcs), plcs)
        refused = answers_of(disturbing)
    if not refused.count or refused.faults:
        raise Wrong(f"the callers of the mute PLCs got no answers: {refused.faults}")
    return found


def _row(
    found: Mapping[str, Sequence[Answers]], what: str, unit: str, figure: Callable[[Answers], float], goal: Goal
) -> Row:
    return Row(
        what=what,
        unit=unit,
        product=[figure(each) for each in found[WITH]],
        beside=WITHOUT,
        reference=[figure(each) for each in found[WITHOUT]],
        goal=goal,
    )
