"""The rows as one table for people, and as JSON for programs."""

import json
import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.benchmarks.figures import Against, Row

HEADS = ("what", "product", "beside", "", "compared", "goal", "met")
RIGHT = (1, 3, 4)  # columns of figures
NOTHING = "-"
QUIET_LOAD = 0.5


def table(rows: Sequence[Row]) -> str:
    """One line a row, in columns; below it what is to be said of some of them."""
    lines = [HEADS, *map(_cells, rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADS))]
    text = ["  ".join(_padded(line, widths)).rstrip() for line in lines]
    text.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join([*text, *(f"  {row.what}: {row.note}" for row in rows if row.note)])


def heading(computer: dict[str, Any], *, is_brief: bool) -> str:
    """On what it was measured, and whether the figures are worth anything."""
    on = f"{computer['cores']} × {computer['processor']}, Python {computer['python']}, PLCs in {computer['plcs']}"
    lines = [f"{computer['at']}: {on}"]
    if computer["load_before"] > QUIET_LOAD:
        lines.append(f"TAKEN UNDER LOAD: {computer['load_before']:.1f} processes were at work before it began")
    if is_brief:
        lines.append("BRIEF: shows that all works; the figures say nothing")
    return "\n".join(lines)


def report(rows: Sequence[Row], faults: Sequence[str], computer: dict[str, Any]) -> str:
    """The same with each round's figures."""
    content = {"computer": computer, "rows": [row.as_json() for row in rows], "faults": list(faults)}
    return json.dumps(content, indent=1, ensure_ascii=False)


def computer(plcs: str) -> dict[str, Any]:
    """On what, beside which PLCs, and under which load, it is measured; to be asked before anything is started."""
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "plcs": plcs,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()}",
        "load_before": os.getloadavg()[0],
    }


def _processor() -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def _cells(row: Row) -> tuple[str, ...]:
    met = {True: "yes", False: "NO", None: NOTHING}[row.is_met]
    return (
        row.what,
        _figure(row.figure, row.unit),
        row.beside or NOTHING,
        _figure(row.reference_figure, row.unit),
        _compared(row),
        NOTHING if row.goal is None else _goal(row),
        met,
    )


def _goal(row: Row) -> str:
    return f"{row.goal} ×" if row.against is Against.RATIO else f"{row.goal} {row.unit}"


def _compared(row: Row) -> str:
    if row.compared is None:
        return NOTHING
    return f"{row.compared:.2f} ×" if row.against is Against.RATIO else _figure(row.compared, row.unit)


def _figure(figure: float | None, unit: str) -> str:
    if figure is None:
        return NOTHING
    digits = 0 if abs(figure) >= 100 else 1 if abs(figure) >= 10 else 2
    return f"{figure:.{digits}f} {unit}"


def _padded(line: Sequence[str], widths: Sequence[int]) -> list[str]:
    return [
        text.rjust(width) if column in RIGHT else text.ljust(width)
        for column, (text, width) in enumerate(zip(line, widths, strict=True))
    ]
