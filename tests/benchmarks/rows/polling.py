"""Polling many PLCs of 100 tags once a second, in one process: its processor time, and its growth with the PLCs."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median
from typing import Any

from tests.benchmarks.calls import Wrong
from tests.benchmarks.figures import Against, Row, at_least, at_most
from tests.benchmarks.options import Options
from tests.benchmarks.peers.installed import PROGRAMS
from tests.benchmarks.plcs import PLCs, running_plcs
from tests.benchmarks.processes import ROOT, SERVER_CORE, cpu_s, end, on_core
from tests.benchmarks.product import running_product
from tests.benchmarks.registry import Plan

TAGS = 100
BLOCKS = 2  # requests of a round: the registers and the coils of a Plan
REGISTERS, COILS = 2 * (TAGS // 2), TAGS // 2
MANY = 500
SIZES = (50, 200, 500, 1000)
SETTLE_S = 6.0
MOST_ROUNDS = 3
KEEP_OPEN_S = 5.0  # longer than the interval: the connection is never given back
LEAST_DONE = 0.98


@dataclass(frozen=True)
class Polled:
    """What polling cost for a while."""

    cpu_ms: float
    """Of each round of a PLC."""
    cores: float
    done: float
    """Rounds made, of those that were due."""


Poller = Callable[[], Polled]


def measure(options: Options) -> Iterator[Row]:
    """Each side for itself, started anew each time, since polling never pauses."""
    sizes, many = ((5, 20), 20) if options.is_brief else (SIZES, MANY)
    with running_plcs(max(sizes)) as plcs:
        sides: dict[str, Poller] = {
            f"product {size}": _product(options, plcs, f"polling-{size}", size) for size in sizes
        }
        sides["product kept"] = _product(options, plcs, "polling-kept", many, keep_open_s=KEEP_OPEN_S)
        sides |= {f"bare {way}": _bare(options, plcs, many, way) for way in ("fresh", "kept")}
        found = options.turns(at_most=MOST_ROUNDS).of(sides, Wrong)
    what = f"polling {many} PLCs of {TAGS} tags"
    yield _beside(f"{what}, connecting each time: CPU a round", found[f"product {many}"], found["bare fresh"])
    yield _beside(f"{what}, kept connections: CPU a round", found["product kept"], found["bare kept"])
    yield from _growth(found, sizes)


def _beside(what: str, product: Sequence[Polled], bare: Sequence[Polled]) -> Row:
    done = [f"{100 * median(each.done for each in side):.0f} %" for side in (product, bare) if side]
    return Row(
        what=what,
        unit="ms",
        product=[each.cpu_ms for each in product],
        beside="pymodbus in a bare loop",
        reference=[each.cpu_ms for each in bare],
        goal=at_most(1.5),
        note=f"rounds made of those due: {' and '.join(done)}",
    )


def _growth(found: Mapping[str, Sequence[Polled]], sizes: Sequence[int]) -> Iterator[Row]:
    least = found[f"product {sizes[0]}"]
    for size in sizes:
        polled = found[f"product {size}"]
        yield Row(
            what=f"polling {size} PLCs: CPU a round",
            unit="ms",
            product=[each.cpu_ms for each in polled],
            beside=f"at {sizes[0]} PLCs",
            reference=[each.cpu_ms for each in least],
            goal=at_most(1.2) if size == sizes[-1] else None,
            note=f"{100 * polled[0].cores:.0f} % of a core" if polled else "",
        )
        yield Row(
            what=f"polling {size} PLCs: rounds made of those due",
            unit="",
            product=[each.done for each in polled],
            against=Against.ITSELF,
            goal=at_least(LEAST_DONE),
        )


def _product(options: Options, plcs: PLCs, name: str, count: int, **settings: Any) -> Poller:
    def polled() -> Polled:
        directory = options.fresh(name)
        plan = Plan(ports=plcs.ports[:count], tags=TAGS, settings=settings)
        with running_product(directory, plan, polls=True) as product:
            return watched(options, plcs, product.server.process.pid, count)

    return polled


def _bare(options: Options, plcs: PLCs, count: int, way: str) -> Poller:
    def polled() -> Polled:
        with _bare_loop(plcs.ports[:count], way) as process:
            return watched(options, plcs, process.pid, count)

    return polled


@contextmanager
def _bare_loop(ports: Sequence[int], way: str) -> "Iterator[subprocess.Popen[str]]":
    with on_core(SERVER_CORE):
        command = [sys.executable, str(PROGRAMS / "bare_polling.py"), way]
        process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, text=True)
    try:
        assert process.stdin is not None
        process.stdin.write(json.dumps({"ports": ports, "registers": REGISTERS, "coils": COILS}))
        process.stdin.close()
        yield process
    finally:
        end(process)


def watched(options: Options, plcs: PLCs, pid: int, count: int) -> Polled:
    """Let it settle, then see what it uses for the rounds that the PLCs count."""
    time.sleep(options.settled(SETTLE_S))
    plcs.reset()
    before, begun = cpu_s(pid), time.monotonic()
    time.sleep(options.watch_s)
    used, took_s, rounds = cpu_s(pid) - before, time.monotonic() - begun, plcs.look().requests / BLOCKS
    if not rounds:
        raise Wrong("nothing was polled")
    return Polled(cpu_ms=1000 * used / rounds, cores=used / took_s, done=rounds / (count * took_s))
