"""What the gateway adds to a command: its time at one caller, less that of the same frames by pymodbus alone."""

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence

from tests.benchmarks import calls
from tests.benchmarks.calls import Wrong, require_done
from tests.benchmarks.figures import Against, Row, at_most
from tests.benchmarks.load import Answers, Job
from tests.benchmarks.options import Options
from tests.benchmarks.peers.installed import PROGRAMS
from tests.benchmarks.plcs import PLCs, running_plcs
from tests.benchmarks.processes import SERVER_CORE, on_core
from tests.benchmarks.product import PRODUCT, running_product
from tests.benchmarks.registry import Plan

PLC_COUNT = 16
ALONE = "pymodbus alone"
GOALS = {0: at_most(3.0), 10: None}
"""By the PLC's answer time in ms; with a slow one the frames that only we send count for more."""


def measure(options: Options) -> Iterator[Row]:
    """By one caller who never waits."""
    with running_plcs(PLC_COUNT) as plcs, running_product(options.fresh("added"), Plan(ports=plcs.ports)) as product:
        job = Job(port=product.server.port, callers=product.side().callers(1, PLC_COUNT), seconds=options.seconds)
        sides = {
            PRODUCT: lambda: calls.commands(job, plcs),
            ALONE: lambda: _alone(options.seconds, plcs),
        }
        for delay_ms, goal in GOALS.items():
            plcs.answer_after(delay_ms)
            found = options.turns().of(sides, Wrong)
            yield Row(
                what=f"the gateway adds, 1 caller, PLC {delay_ms} ms: p50",
                unit="ms",
                product=_p50(found[PRODUCT]),
                beside=ALONE,
                reference=_p50(found[ALONE]),
                against=Against.DIFFERENCE,
                goal=goal,
            )


def _p50(found: Sequence[Answers]) -> list[float]:
    return [each.p50_ms() for each in found]


def _alone(seconds: float, plcs: PLCs) -> Answers:
    plcs.reset()
    command = [sys.executable, str(PROGRAMS / "bare_command.py"), str(seconds), *map(str, plcs.ports)]
    with on_core(SERVER_CORE):
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 60, check=False)
    if done.returncode:
        raise Wrong(done.stderr)
    found = Answers(**json.loads(done.stdout))
    require_done(found, plcs)
    return found
