"""What a run's record holds, as lines of tables; whatever it holds, since records of older versions are shown too."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.safestring import SafeString

Line = Mapping[str, Any]
ONE_REGISTER = ("bool", "int16", "uint16")
"""Types in which there is no order of bytes to get wrong."""


def pairs(values: Line) -> SafeString | str:
    """Names and values."""
    return _table("pairs", pairs=[(name, say(values[name])) for name in values]) if values else "-"


def trace(lines: Sequence[Line]) -> SafeString | str:
    """What happened, line by line, with times from the run's start."""
    return _table("trace", lines=[_trace_line(line) for line in lines]) if lines else "-"


def frames(lines: Sequence[Line], trace: Sequence[Line]) -> SafeString | str:
    """What went over the wire, each frame with the line of the trace that it belongs to."""
    return _table("frames", lines=[_frame_line(line, trace) for line in lines]) if lines else "-"


def history(outcomes: Sequence[Line]) -> SafeString | str:
    """Earlier outcomes, oldest first."""
    return _table("history", outcomes=[_outcome_line(outcome) for outcome in outcomes]) if outcomes else "-"


def definition(content: Line) -> SafeString:
    """The command as it stood: where it went, its inputs, its steps."""
    command, plc = content.get("command", {}), content.get("plc", {})
    return _table(
        "definition",
        plc=plc,
        command=_said(command),
        parameters=[_said(parameter) for parameter in command.get("parameters", ())],
        steps=[_step_line(step) for step in command.get("steps", ())],
    )


def say(value: Any) -> str:
    """As people write it: true, not True, and 5 for the limit that is stored as 5.0."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.15g}" if isinstance(value, float) else str(value)


def moment(at: datetime | None) -> str:
    """To the millisecond: who was first is a question that records have to answer."""
    return timezone.localtime(at).isoformat(" ", "milliseconds") if at else "-"


def _table(name: str, **context: Any) -> SafeString:
    return render_to_string(f"admin/devices/run/{name}.html", context)


def _said(line: Line) -> dict[str, str]:
    return {name: say(value) for name, value in line.items() if value is not None}


def _trace_line(line: Line) -> dict[str, str]:
    said = _said(line)
    wanted = line.get("wanted")
    several = " or ".join(map(say, wanted)) if isinstance(wanted, list) else said.get("wanted", "")
    compared = f"{said.get('operator', '')} {several}" if several else ""
    return {**said, "compared": compared, "problem": said.get("error", ""), "note": said.get("note", "")}


def _frame_line(line: Line, trace: Sequence[Line]) -> dict[str, str]:
    step = line.get("step")
    at = step if isinstance(step, int) and 0 <= step < len(trace) else None
    belongs_to = {} if at is None else trace[at]
    cut = " …" if isinstance(line.get("length"), int) and 3 * line["length"] > len(str(line.get("hex", ""))) + 1 else ""
    said = _said(line)
    return {
        **said,
        "hex": said.get("hex", "") + cut,
        "line": "" if at is None else say(at + 1),
        "for_step": f"{belongs_to.get('phase', '')} {belongs_to.get('tag', '')}".strip(),
    }


def _outcome_line(outcome: Line) -> dict[str, Any]:
    result = outcome.get("result") or {}
    said = _said(outcome)
    at = _parsed(said.get("at", ""))
    return {
        **said,
        "at": moment(at) if at else said.get("at", ""),
        "result": ", ".join(f"{name} {say(result[name])}" for name in result),
    }


def _parsed(text: str) -> datetime | None:
    try:
        at = parse_datetime(text)
    except ValueError:
        return None
    return at if at is None or timezone.is_aware(at) else timezone.make_aware(at, UTC)


def _step_line(step: Line) -> dict[str, str]:
    tag = step.get("tag", {})
    bit = "" if tag.get("bit") is None else f".{tag['bit']}"
    return {
        **_said(step),
        "tag": say(tag.get("name", "")),
        "place": f"{tag.get('table', '')} {tag.get('address', '')}{bit}".replace("_", " ").strip(),
        "type": ", ".join(_meaning(tag)),
        "value": _operand(step),
    }


def _meaning(tag: Line) -> Iterator[str]:
    """What its registers mean: type, byte order, scale, offset, limits."""
    data_type, order = say(tag.get("data_type", "")), tag.get("byte_order")
    yield f"{data_type} {order}" if order and data_type not in ONE_REGISTER else data_type
    for name, usual in (("scale", "1"), ("offset", "0")):
        if say(tag.get(name, usual)) != usual:
            yield f"{name} {say(tag[name])}"
    for name in ("minimum", "maximum"):
        if tag.get(name) is not None:
            yield f"{name} {say(tag[name])}"


def _operand(step: Line) -> str:
    if step.get("choices"):
        return " | ".join(say(value) for value in step["choices"])
    if step.get("parameter"):
        return f"parameter {step['parameter']}"
    return "" if step.get("value") is None else say(step["value"])
