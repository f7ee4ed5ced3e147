"""The tags of the batch machine: the machine itself and the demo's profile are made from this one list."""

from decimal import Decimal

from devices.modbus.types import ByteOrder, DataType, Table, TagSpec

BATCH_SIZE_RANGE = (1, 10_000)
NOK_NUM_RANGE = (0, 1000)
SETPOINT_RANGE_C = (0, 300)


def _bit(name: str, table: Table, address: int) -> TagSpec:
    return TagSpec(name=name, table=table, address=address, data_type=DataType.BOOL)


def _celsius(name: str, table: Table, address: int, limits: tuple[int, int] | None = None) -> TagSpec:
    return TagSpec(
        name=name,
        table=table,
        address=address,
        data_type=DataType.FLOAT32,
        byte_order=ByteOrder.CDAB,
        unit="°C",
        minimum=Decimal(limits[0]) if limits else None,
        maximum=Decimal(limits[1]) if limits else None,
    )


def _parameter(name: str, address: int, limits: tuple[int, int]) -> TagSpec:
    return TagSpec(
        name=name,
        table=Table.HOLDING_REGISTER,
        address=address,
        data_type=DataType.UINT16,
        minimum=Decimal(limits[0]),
        maximum=Decimal(limits[1]),
    )


def _number(name: str, address: int, data_type: DataType, labels: dict[int, str] | None = None) -> TagSpec:
    return TagSpec(name=name, table=Table.INPUT_REGISTER, address=address, data_type=data_type, labels=labels or {})


START = _bit("start", Table.COIL, 0)
RESET_FAULT = _bit("reset_fault", Table.COIL, 1)

READY = _bit("ready", Table.DISCRETE_INPUT, 0)
RUNNING = _bit("running", Table.DISCRETE_INPUT, 1)
FAULT = _bit("fault", Table.DISCRETE_INPUT, 2)
START_ACK = _bit("start_ack", Table.DISCRETE_INPUT, 3)

BATCH_SIZE = _parameter("batch_size", 0, BATCH_SIZE_RANGE)
NOK_NUM = _parameter("nok_num", 1, NOK_NUM_RANGE)
TEMPERATURE_SETPOINT = _celsius("temperature_setpoint", Table.HOLDING_REGISTER, 10, SETPOINT_RANGE_C)

GOOD_COUNT = _number("good_count", 0, DataType.UINT32)
NOK_COUNT = _number("nok_count", 2, DataType.UINT32)
TEMPERATURE = _celsius("temperature", Table.INPUT_REGISTER, 4)
HEARTBEAT = _number("heartbeat", 6, DataType.UINT16)
STATE = _number("state", 7, DataType.UINT16, {4: "Idle", 6: "Execute", 9: "Aborted"})
ERROR_CODE = _number("error_code", 8, DataType.UINT16, {0: "none", 1: "too many consecutive failures"})
BATCH_NUMBER = _number("batch_number", 9, DataType.UINT32)

TAGS = (
    START,
    RESET_FAULT,
    READY,
    RUNNING,
    FAULT,
    START_ACK,
    BATCH_SIZE,
    NOK_NUM,
    TEMPERATURE_SETPOINT,
    GOOD_COUNT,
    NOK_COUNT,
    TEMPERATURE,
    HEARTBEAT,
    STATE,
    ERROR_CODE,
    BATCH_NUMBER,
)
