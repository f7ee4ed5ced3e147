"""A command's inputs: typed, limited, and known to fit their tags before a run exists."""

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any

from devices.control.errors import InvalidParameters
from devices.modbus import codec
from devices.modbus.errors import ValueRefused
from devices.modbus.types import Value
from devices.plc.specs import CommandSpec, ParameterSpec, ParameterType

SHOWN = 60  # characters of a wrong value that are told back

Fault = tuple[str, str]

EXPECTED = {
    ParameterType.INTEGER: "a whole number",
    ParameterType.NUMBER: "a number",
    ParameterType.BOOLEAN: "true or false",
    ParameterType.TEXT: "text",
}
NUMERIC = (ParameterType.INTEGER, ParameterType.NUMBER)
KINDS: dict[ParameterType, tuple[type, ...]] = {
    ParameterType.INTEGER: (int,),
    ParameterType.NUMBER: (int, float),
    ParameterType.BOOLEAN: (bool,),
    ParameterType.TEXT: (str,),
}


def check(command: CommandSpec, given: Mapping[str, Any]) -> dict[str, Value]:
    """Return the values to run with, defaults filled in; InvalidParameters names every wrong one."""
    known = {parameter.name: parameter for parameter in command.parameters}
    faults = [(name, f"{command.name} has no parameter of this name") for name in given if name not in known]
    values: dict[str, Value] = {}
    for name, parameter in known.items():
        value = given.get(name, parameter.default)
        fault = _fault(parameter, value)
        if fault:
            faults.append((name, fault))
        else:
            values[name] = value
    faults.extend(_misfits(command, values))
    if faults:
        raise InvalidParameters(tuple(dict.fromkeys(faults)))
    return values


def _fault(parameter: ParameterSpec, value: Any) -> str:
    """What is wrong with one value, empty if nothing."""
    if value is None:
        return "is required"
    kinds = KINDS[parameter.data_type]
    # True is an int in Python, and would start a batch of one.
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        return f"must be {EXPECTED[parameter.data_type]}, not {_as_sent(value)}"
    if isinstance(value, float) and not math.isfinite(value):
        return "must be a finite number"
    return _out_of_limits(parameter, value) if parameter.data_type in NUMERIC else ""


def _as_sent(value: Any) -> str:
    """The value as the caller wrote it: `true`, not `True`; shortened where it is long."""
    try:
        text = json.dumps(value, default=str)
    except ValueError:  # Python writes no number of more than 4,300 digits
        return "a number of thousands of digits"
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"


def _out_of_limits(parameter: ParameterSpec, value: Any) -> str:
    unit = f" {parameter.unit}" if parameter.unit else ""
    if parameter.minimum is not None and value < parameter.minimum:
        return f"must be at least {parameter.minimum:g}{unit}, not {_as_sent(value)}"
    if parameter.maximum is not None and value > parameter.maximum:
        return f"must be at most {parameter.maximum:g}{unit}, not {_as_sent(value)}"
    return ""


def _misfits(command: CommandSpec, values: Mapping[str, Value]) -> Iterable[Fault]:
    """Values that a step's tag cannot take: overflow, the tag's own limits."""
    for step in command.steps:
        if step.parameter is None or step.parameter not in values or step.operator.is_condition:
            continue
        try:
            codec.encode(step.tag, values[step.parameter])
        except ValueRefused as error:
            yield step.parameter, str(error)
