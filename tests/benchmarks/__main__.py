"""The benchmarks: `python -m tests.benchmarks` (README.md beside it)."""

import argparse
import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.benchmarks.figures import Row
from tests.benchmarks.options import Options
from tests.benchmarks.plcs import language
from tests.benchmarks.rows import added, commands, group, memory, mute, polling, push
from tests.benchmarks.table import computer, heading, report, table

MEASURES: dict[str, Callable[[Options], Iterable[Row]]] = {
    "commands": commands.measure,
    "group": group.measure,
    "added": added.measure,
    "mute": mute.measure,
    "polling": polling.measure,
    "push": push.measure,
    "memory": memory.measure,
}


def main() -> int:
    """Measure, print the table; 1 where something did not work. That a goal is missed is no failure."""
    chosen = _parser().parse_args()
    signal.signal(signal.SIGTERM, _end)
    if chosen.json:
        chosen.json.touch()  # now, rather than after an hour, where it cannot be written
    on = computer(language())
    with TemporaryDirectory(prefix="benchmarks-") as directory:
        options = _options(chosen, Path(directory))
        rows = list(_rows(chosen.only or MEASURES, options))
    print(heading(on, is_brief=chosen.brief), "", table(rows), sep="\n")
    for fault in options.faults:
        print(f"DID NOT WORK: {fault}")
    if chosen.json:
        chosen.json.write_text(report(rows, options.faults, on))
    return 1 if options.faults else 0


def _rows(names: Iterable[str], options: Options) -> Iterator[Row]:
    """What could be measured; one that fails, or the user's Ctrl-C, keeps nothing of the others from being shown."""
    for name in names:
        print(f"{datetime.now(UTC):%H:%M:%S} measuring: {name}", file=sys.stderr)
        try:
            yield from MEASURES[name](options)
        except KeyboardInterrupt:
            options.faults.append(f"{name}: interrupted")
            return
        except Exception as error:
            options.faults.append(f"{name}: {type(error).__name__}: {error}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--brief", action="store_true", help="only see that all works; the figures say nothing")
    parser.add_argument("--only", action="append", choices=list(MEASURES), help="measure this; may be given again")
    parser.add_argument("--rounds", type=int, help="how often each side is measured")
    parser.add_argument("--seconds", type=float, help="how long each side is measured in a round")
    parser.add_argument("--json", type=Path, help="write all figures there")
    parser.add_argument("--cache", type=Path, default=_cache(), help="where the peers are installed")
    return parser


def _options(chosen: argparse.Namespace, directory: Path) -> Options:
    usual = {"rounds": 1, "seconds": 1.0} if chosen.brief else {"rounds": 5, "seconds": 4.0}
    given = {name: getattr(chosen, name) for name in usual if getattr(chosen, name) is not None}
    return Options(directory=directory, cache=chosen.cache, is_brief=chosen.brief, **(usual | given))


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "plc-gateway-bench"


def _end(*_: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
