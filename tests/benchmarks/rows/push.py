"""Push to many open pages: the processor time that it takes, and how long a change takes from the machine to a page."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median
from typing import Any, TypeVar

from tests.benchmarks.calls import Wrong
from tests.benchmarks.figures import Against, Row, at_most
from tests.benchmarks.options import Options
from tests.benchmarks.peers.echo import running_echo
from tests.benchmarks.plcs import running_plcs
from tests.benchmarks.processes import LOAD_CORE, ROOT, cpu_s, end, on_core
from tests.benchmarks.product import PRODUCT, running_product
from tests.benchmarks.registry import Plan
from tests.benchmarks.viewers import Tally

Told = TypeVar("Told")

PAGES = 200
PLC_COUNTS = (100, 1)
TAGS = 20  # of which five change once a second
SETTLE_S = 5.0
ECHO = "Channels consumer that only sends on"
FULL_CORE = 0.9
VIEWERS = [sys.executable, "-m", "tests.benchmarks.viewers"]


@dataclass(frozen=True)
class Pushed:
    """What many open pages cost and got."""

    cores: float
    """For the pages alone."""
    all_cores: float
    """With what the process does beside."""
    tally: Tally
    seconds: float
    pages: int

    @property
    def messages(self) -> float:
        """A second and page."""
        return self.tally.frames / self.seconds / self.pages


def measure(options: Options) -> Iterator[Row]:
    """Pages of many PLCs, few a PLC; then all of one PLC."""
    pages = 20 if options.is_brief else PAGES
    for plc_count in PLC_COUNTS:
        plcs = min(plc_count, pages)
        found = _found(options, pages, plcs)
        what = f"push to {pages} pages of {plcs} PLC{'s' * (plcs > 1)}"
        yield _beside(what, found[PRODUCT], found[ECHO])
        yield from _alone(what, found[PRODUCT])


def _found(options: Options, pages: int, plcs: int) -> dict[str, list[Pushed]]:
    """What the product's pages got last is what the other side sends."""
    last: list[Pushed] = []

    def product() -> Pushed:
        last[:] = [_product(options, pages, plcs)]
        return last[0]

    def echo() -> Pushed:
        if not last:
            raise Wrong("there is nothing to send on")
        return _echo(options, pages, plcs, last[0])

    sides: dict[str, Callable[[], Pushed]] = {PRODUCT: product, ECHO: echo}
    return options.turns(at_most=3).of(sides, Wrong)


def _beside(what: str, product: Sequence[Pushed], echo: Sequence[Pushed]) -> Row:
    rates = [f"{each[0].messages:.2f}" for each in (product, echo) if each]
    return Row(
        what=f"{what}: CPU for them",
        unit="% core",
        product=[100 * each.cores for each in product],
        beside=ECHO,
        reference=[100 * each.cores for each in echo],
        goal=at_most(2.0),
        note=f"messages a second and page: {' and '.join(rates)}",
    )


def _alone(what: str, product: Sequence[Pushed]) -> Iterator[Row]:
    yield Row(
        what=f"{what}: all CPU, polling too",
        unit="% core",
        product=[100 * each.all_cores for each in product],
        against=Against.ITSELF,
        goal=at_most(100 * FULL_CORE),
    )
    yield Row(
        what=f"{what}: change at the machine to page",
        unit="ms",
        product=[median(each.tally.delays_ms) for each in product],
        against=Against.ITSELF,
        note="up to 1000 ms of it is the poll interval",
    )


def _product(options: Options, pages: int, plcs: int) -> Pushed:
    env = {"LIVE_PUBLIC": "1", "PAGES_PER_CALLER": str(pages + 20)}
    with running_plcs(plcs) as machines:
        plan = Plan(ports=machines.ports, tags=TAGS)
        with running_product(options.fresh("push"), plan, polls=True, env=env) as product:
            server = product.server
            time.sleep(options.settled(SETTLE_S))
            idle, _ = _metered(server.process.pid, lambda: time.sleep(options.watch_s))
            urls = [f"{server.socket_url}/ws/plcs/plc-{number % plcs}/" for number in range(pages)]
            pushed = _watched(options, urls, server.url, server.process.pid, idle)
    if not pushed.tally.delays_ms:
        raise Wrong("no value changed on any page")
    return pushed


def _echo(options: Options, pages: int, topics: int, product: Pushed) -> Pushed:
    frames, directory = product.tally.recorded, options.fresh("echo")
    with running_echo(directory, frames, product.seconds, topics) as (port, process):
        urls = [f"ws://127.0.0.1:{port}/ws/topic-{number % topics}/" for number in range(pages)]
        return _watched(options, urls, f"http://127.0.0.1:{port}", process.pid, 0.0)


def _watched(options: Options, urls: Sequence[str], origin: str, pid: int, idle_cores: float) -> Pushed:
    with _viewers(urls, origin, options.watch_s) as viewers:
        _line(viewers)
        time.sleep(options.settled(SETTLE_S))
        cores, told = _metered(pid, lambda: _counted(viewers))
    if told.pop("lost"):
        raise Wrong("pages were closed")
    return Pushed(cores - idle_cores, cores, Tally(**told), options.watch_s, len(urls))


def _counted(viewers: "subprocess.Popen[str]") -> dict[str, Any]:
    assert viewers.stdin is not None
    viewers.stdin.write("count\n")
    viewers.stdin.flush()
    return json.loads(_line(viewers))


def _line(viewers: "subprocess.Popen[str]") -> str:
    assert viewers.stdout is not None
    line = viewers.stdout.readline()
    if not line:
        raise Wrong("the pages could not be opened")
    return line


def _metered(pid: int, meanwhile: Callable[[], Told]) -> tuple[float, Told]:
    """The cores that a process uses meanwhile."""
    before, begun = cpu_s(pid), time.monotonic()
    told = meanwhile()
    return (cpu_s(pid) - before) / (time.monotonic() - begun), told


@contextmanager
def _viewers(urls: Sequence[str], origin: str, seconds: float) -> "Iterator[subprocess.Popen[str]]":
    with on_core(LOAD_CORE):
        process = subprocess.Popen(VIEWERS, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdin is not None
        process.stdin.write(json.dumps({"urls": urls, "origin": origin, "seconds": seconds}) + "\n")
        process.stdin.flush()
        yield process
    finally:
        end(process)
