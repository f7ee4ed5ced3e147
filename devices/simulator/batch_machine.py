"""A machine that makes parts in batches, as pure logic over a memory: time comes in by `tick`, no I/O."""

import math
from enum import IntEnum
from random import Random

from devices.modbus import codec
from devices.modbus.types import TagSpec, Value
from devices.simulator import batch_map as tags
from devices.simulator.memory import Memory

HEARTBEAT_S = 0.5
WARM_UP_S = 20.0  # time constant: after it 63 % of the way to the setpoint
AMBIENT_C = 21.0
TOO_MANY_FAILURES = 1  # error_code


class MachineState(IntEnum):
    """PackML's numbers, as the `state` register shows them."""

    IDLE = 4
    EXECUTE = 6
    ABORTED = 9


class BatchMachine:
    """Makes parts until the batch has its good ones, or until too many in a row were not OK (NOK).

    `tick` is one scan of the PLC's program: it looks at what clients wrote, lets the machine work for the time that
    passed, and shows the result. Between two scans nothing that a client reads changes.
    """

    def __init__(self, *, cycle_s: float = 0.5, nok_share: float = 0.1, seed: int = 1) -> None:
        """`cycle_s` is the time of one part, `nok_share` how many of them fail, 0 to 1."""
        self.memory = Memory()
        self.cycle_s = cycle_s
        self.nok_share = nok_share
        self.state = MachineState.IDLE
        self._random = Random(seed)  # failing parts are no secret  # noqa: S311  # nosec B311
        self._batch_size = self._nok_num = 0
        self._good = self._nok = self._nok_in_a_row = self._batch_number = 0
        self._error_code = self._heartbeat = 0
        self._was_start = self._is_acknowledged = False
        self._part_s = self._beat_s = 0.0
        self._temperature = AMBIENT_C
        self._shown: dict[str, Value] = {}
        self._show((tags.BATCH_SIZE, 15), (tags.NOK_NUM, 3), (tags.TEMPERATURE_SETPOINT, 60.0))
        self._publish()

    def tick(self, dt_s: float) -> None:
        """One scan, `dt_s` seconds after the last one."""
        self._obey_reset()
        self._obey_start()
        self._make_parts(dt_s)
        self._drift(dt_s)
        self._beat(dt_s)
        self._publish()

    def _obey_reset(self) -> None:
        if not self._get(tags.RESET_FAULT):
            return
        if self.state is MachineState.ABORTED:
            self.state = MachineState.IDLE
            self._error_code = 0
        self._show((tags.RESET_FAULT, False))

    def _obey_start(self) -> None:
        """The machine's half of the handshake. It acts on the rising edge: a start left set starts nothing more."""
        is_start = bool(self._get(tags.START))
        if is_start and not self._was_start and self.state is not MachineState.ABORTED:
            self._begin_batch()
        if not is_start:
            self._is_acknowledged = False
        self._was_start = is_start

    def _begin_batch(self) -> None:
        """Also while a batch runs: the new one takes its place. Absurd parameters are not acknowledged."""
        batch_size, nok_num = int(self._get(tags.BATCH_SIZE)), int(self._get(tags.NOK_NUM))
        if not (_is_within(batch_size, tags.BATCH_SIZE_RANGE) and _is_within(nok_num, tags.NOK_NUM_RANGE)):
            return
        self._batch_size, self._nok_num = batch_size, nok_num
        self._good = self._nok = self._nok_in_a_row = 0
        self._part_s = 0.0
        self._batch_number = (self._batch_number + 1) % 2**32
        self.state = MachineState.EXECUTE
        self._is_acknowledged = True

    def _make_parts(self, dt_s: float) -> None:
        if self.state is not MachineState.EXECUTE:
            return
        self._part_s += dt_s
        while self.state is MachineState.EXECUTE and self._part_s >= self.cycle_s:
            self._part_s -= self.cycle_s
            self._make_part()

    def _make_part(self) -> None:
        if self._random.random() < self.nok_share:
            self._count_nok()
            return
        self._good += 1
        self._nok_in_a_row = 0
        if self._good >= self._batch_size:
            self.state = MachineState.IDLE

    def _count_nok(self) -> None:
        self._nok += 1
        self._nok_in_a_row += 1
        if self._nok_in_a_row > self._nok_num:
            self.state = MachineState.ABORTED
            self._error_code = TOO_MANY_FAILURES

    def _drift(self, dt_s: float) -> None:
        setpoint = float(self._get(tags.TEMPERATURE_SETPOINT))
        if not math.isfinite(setpoint):
            return
        low, high = tags.SETPOINT_RANGE_C
        goal = min(max(setpoint, low), high)
        self._temperature += (goal - self._temperature) * -math.expm1(-dt_s / WARM_UP_S)

    def _beat(self, dt_s: float) -> None:
        self._beat_s += dt_s
        beats, self._beat_s = divmod(self._beat_s, HEARTBEAT_S)
        self._heartbeat = (self._heartbeat + int(beats)) % 2**16

    def _publish(self) -> None:
        values = (
            (tags.READY, self.state is not MachineState.ABORTED),
            (tags.RUNNING, self.state is MachineState.EXECUTE),
            (tags.FAULT, self.state is MachineState.ABORTED),
            (tags.START_ACK, self._is_acknowledged),
            (tags.GOOD_COUNT, self._good),
            (tags.NOK_COUNT, self._nok),
            (tags.TEMPERATURE, round(self._temperature, 1)),
            (tags.HEARTBEAT, self._heartbeat),
            (tags.STATE, int(self.state)),
            (tags.ERROR_CODE, self._error_code),
            (tags.BATCH_NUMBER, self._batch_number),
        )
        # Encoding costs more than the rest of a scan, and most values stay as they are from one to the next.
        self._show(*(pair for pair in values if self._shown.get(pair[0].name) != pair[1]))
        self._shown = {tag.name: value for tag, value in values}

    def _get(self, tag: TagSpec) -> Value:
        return codec.decode(tag, self.memory.read(tag.table, tag.address, tag.count))

    def _show(self, *values: tuple[TagSpec, Value]) -> None:
        for tag, value in values:
            self.memory.write(tag.table, tag.address, codec.encode(tag, value))


def _is_within(value: int, limits: tuple[int, int]) -> bool:
    return limits[0] <= value <= limits[1]
