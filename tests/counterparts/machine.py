"""The counterparts' machine as it is registered: its tags, values to try, and `start_batch`, a four-phase handshake."""

from typing import Any

from devices.modbus.types import ByteOrder, DataType, Table, TagSpec, Value
from devices.plc.specs import CommandSpec, Operator, Phase, PLCSpec, StepSpec
from tests.counterparts.counterpart import Counterpart
from tests.plc import machines
from tests.plc.machines import BATCH_SIZE, NOK_NUM, READY, START

BITS, REGISTERS = 2000, 200  # addresses that the machine maps
PATIENCE_S = 10.0  # limits of ours bound a hang; how fast other people's servers are is not the question here

FAULT = TagSpec(name="fault", table=Table.DISCRETE_INPUT, address=2, data_type=DataType.BOOL)
DOOR_OPEN = TagSpec(name="door_open", table=Table.DISCRETE_INPUT, address=1, data_type=DataType.BOOL)
RUNNING_SIZE = TagSpec(name="running_size", table=Table.INPUT_REGISTER, address=0, data_type=DataType.UINT16)
BATCHES = TagSpec(name="batches", table=Table.INPUT_REGISTER, address=1, data_type=DataType.UINT16)

VALUES: dict[DataType, tuple[Value, str]] = {
    DataType.BOOL: (True, "0001"),
    DataType.INT16: (-12345, "CFC7"),
    DataType.UINT16: (51966, "CAFE"),
    DataType.INT32: (-123456789, "F8A432EB"),
    DataType.UINT32: (3735928559, "DEADBEEF"),
    DataType.INT64: (-1234567890123456789, "EEDDEF0B82167EEB"),
    DataType.UINT64: (81985529216486895, "0123456789ABCDEF"),
    DataType.FLOAT32: (123.45600128173828, "42F6E979"),
    DataType.FLOAT64: (3.141592653589793, "400921FB54442D18"),
    DataType.STRING: ("LÖT7", "4CC396543700"),
}
"""One value a type and its bytes, most significant first, as IEEE 754, two's complement and UTF-8 have them."""


def registered(counterpart: Counterpart, **changes: Any) -> PLCSpec:
    """The counterpart's entry in the registry."""
    limits = {"connect_timeout_s": PATIENCE_S, "response_timeout_s": PATIENCE_S}
    return machines.registered(counterpart, **limits | changes)


def register(data_type: DataType, address: int = 100, **more: Any) -> TagSpec:
    """A tag of this type in the holding registers, in the middle of others."""
    return TagSpec(name="speed", table=Table.HOLDING_REGISTER, address=address, data_type=data_type, **more)


def on_the_wire(data_type: DataType, order: ByteOrder) -> list[int]:
    """The registers of a type's value; by the letters of the order and with nothing of our codec."""
    raw = bytes.fromhex(VALUES[data_type][1])
    if data_type is not DataType.BOOL:  # a switch counts on the wire as it is
        swapped = bytes(raw[i ^ 1] for i in range(len(raw)))
        raw = {"ABCD": raw, "BADC": swapped, "CDAB": swapped[::-1], "DCBA": raw[::-1]}[order]
    return [int.from_bytes(raw[i : i + 2]) for i in range(0, len(raw), 2)]


def start_batch(interlock: TagSpec = FAULT, trigger: TagSpec = START) -> CommandSpec:
    """Parameters, trigger up, acknowledge up, trigger down, acknowledge down."""
    steps = (
        StepSpec(phase=Phase.CHECK, tag=interlock, operator=Operator.EQUAL, value=False),
        StepSpec(phase=Phase.WRITE, tag=BATCH_SIZE, operator=Operator.SET, parameter="batch_size"),
        StepSpec(phase=Phase.WRITE, tag=NOK_NUM, operator=Operator.SET, parameter="nok_num"),
        StepSpec(phase=Phase.TRIGGER, tag=trigger, operator=Operator.SET, value=True),
        StepSpec(phase=Phase.WAIT, tag=READY, operator=Operator.EQUAL, value=True, timeout_s=PATIENCE_S),
        StepSpec(phase=Phase.READ, tag=RUNNING_SIZE, operator=Operator.GET),
        StepSpec(phase=Phase.READ, tag=BATCHES, operator=Operator.GET),
        StepSpec(phase=Phase.CLEANUP, tag=trigger, operator=Operator.SET, value=False),
        StepSpec(phase=Phase.CLEANUP, tag=READY, operator=Operator.EQUAL, value=False, timeout_s=PATIENCE_S),
    )
    return CommandSpec(name="start_batch", steps=steps, poll_interval_s=0.005)
