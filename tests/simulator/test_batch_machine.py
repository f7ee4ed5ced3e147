"""The machine's program alone: time is what `tick` says."""

import math
import struct

import pytest

from devices.modbus.types import Table
from devices.simulator.batch_machine import BatchMachine

SCAN_S = 0.01


class Bench:
    """The machine with its switches and its lamps, at the contract's addresses."""

    def __init__(self, **how) -> None:
        self.machine = BatchMachine(**{"cycle_s": 0.1, "nok_share": 0.0} | how)
        self.memory = self.machine.memory

    def tick(self, dt_s: float = SCAN_S) -> None:
        self.machine.tick(dt_s)

    def run(self, seconds: float) -> None:
        for _ in range(round(seconds / SCAN_S)):
            self.tick()

    def coil(self, address: int, bit: int) -> None:
        self.memory.write(Table.COIL, address, [bit])

    def parameters(self, batch_size: int, nok_num: int) -> None:
        self.memory.write(Table.HOLDING_REGISTER, 0, [batch_size, nok_num])

    def setpoint(self, celsius: float) -> None:
        self.memory.write(Table.HOLDING_REGISTER, 10, struct.unpack(">HH", struct.pack(">f", celsius))[::-1])

    def start(self) -> None:
        self.coil(0, 1)
        self.tick()

    def clear_start(self) -> None:
        self.coil(0, 0)
        self.tick()

    @property
    def lamps(self) -> dict[str, int]:
        names = ("ready", "running", "fault", "start_ack")
        return dict(zip(names, self.memory.read(Table.DISCRETE_INPUT, 0, 4), strict=True))

    def register(self, address: int) -> int:
        return self.memory.read(Table.INPUT_REGISTER, address, 1)[0]

    def double(self, address: int) -> int:
        high, low = self.memory.read(Table.INPUT_REGISTER, address, 2)
        return high << 16 | low

    @property
    def counts(self) -> tuple[int, int]:
        return self.double(0), self.double(2)

    @property
    def batch_number(self) -> int:
        return self.double(9)

    @property
    def temperature(self) -> float:
        low, high = self.memory.read(Table.INPUT_REGISTER, 4, 2)
        return struct.unpack(">f", struct.pack(">HH", high, low))[0]


@pytest.fixture
def bench() -> Bench:
    return Bench()


class TestSwitchedOn:
    def test_shows_itself_idle_and_ready_before_the_first_scan(self, bench):
        assert bench.lamps == {"ready": 1, "running": 0, "fault": 0, "start_ack": 0}
        assert bench.register(7) == 4
        assert bench.memory.read(Table.HOLDING_REGISTER, 0, 2) == (15, 3)

    def test_makes_nothing_until_it_is_started(self, bench):
        bench.run(5)
        assert bench.counts == (0, 0)


class TestHandshake:
    def test_a_start_is_acknowledged_at_the_next_scan(self, bench):
        bench.start()
        assert bench.lamps == {"ready": 1, "running": 1, "fault": 0, "start_ack": 1}
        assert (bench.batch_number, bench.register(7)) == (1, 6)

    def test_the_acknowledge_goes_when_the_start_is_cleared(self, bench):
        bench.start()
        bench.run(0.5)
        assert bench.lamps["start_ack"] == 1
        bench.clear_start()
        assert bench.lamps["start_ack"] == 0
        assert bench.lamps["running"] == 1

    def test_a_start_left_set_starts_once(self, bench):
        bench.parameters(2, 3)
        bench.start()
        bench.run(2)
        assert bench.batch_number == 1
        assert bench.lamps["running"] == 0

    def test_a_second_start_begins_a_new_batch_with_new_parameters(self, bench):
        bench.start()
        bench.run(0.5)
        bench.clear_start()
        assert bench.counts[0] == 5
        bench.parameters(2, 3)
        bench.start()
        assert (bench.batch_number, bench.counts) == (2, (0, 0))
        bench.run(1)
        assert bench.counts == (2, 0)

    def test_parameters_count_as_they_are_at_the_start(self, bench):
        bench.parameters(2, 3)
        bench.start()
        bench.parameters(500, 3)
        bench.run(1)
        assert bench.counts == (2, 0)

    @pytest.mark.parametrize(("batch_size", "nok_num"), [(0, 3), (10_001, 3), (15, 1001)])
    def test_absurd_parameters_are_not_acknowledged(self, bench, batch_size, nok_num):
        bench.parameters(batch_size, nok_num)
        bench.start()
        assert (bench.lamps["start_ack"], bench.lamps["running"], bench.batch_number) == (0, 0, 0)


class TestCounters:
    def test_run_by_the_cycle_time_until_the_batch_is_made(self, bench):
        bench.parameters(3, 3)
        bench.start()
        seen = []
        for _ in range(5):
            bench.run(0.1)
            seen.append(bench.counts[0])
        assert seen == [1, 2, 3, 3, 3]
        assert bench.lamps == {"ready": 1, "running": 0, "fault": 0, "start_ack": 1}
        assert bench.register(7) == 4

    def test_catch_up_after_a_late_scan(self, bench):
        bench.start()
        bench.tick(1.0)
        assert bench.counts[0] == 10

    def test_show_some_failures_and_always_the_same_ones_for_a_seed(self):
        def made(seed: int) -> tuple[int, int]:
            bench = Bench(nok_share=0.2, seed=seed)
            bench.parameters(200, 1000)
            bench.start()
            bench.tick(1000)
            return bench.counts

        assert made(7) == made(7)
        assert made(7)[0] == 200
        assert 20 <= made(7)[1] <= 90

    def test_use_both_registers(self, bench):
        bench.machine._batch_number = 0x0001_FFFF
        bench.start()
        assert bench.memory.read(Table.INPUT_REGISTER, 9, 2) == (2, 0)


class TestFault:
    @pytest.fixture
    def bench(self) -> Bench:
        bench = Bench(nok_share=1.0)
        bench.parameters(15, 2)
        bench.start()
        return bench

    def test_comes_with_one_failure_in_a_row_more_than_allowed(self, bench):
        bench.run(0.2)
        assert (bench.counts, bench.lamps["fault"]) == ((0, 2), 0)
        bench.run(0.1)
        assert bench.counts == (0, 3)
        assert bench.lamps == {"ready": 0, "running": 0, "fault": 1, "start_ack": 1}
        assert (bench.register(7), bench.register(8)) == (9, 1)

    def test_does_not_come_when_a_good_part_was_between(self, bench):
        bench.run(0.2)
        bench.machine.nok_share = 0.0
        bench.run(0.1)
        bench.machine.nok_share = 1.0
        bench.run(0.2)
        assert (bench.counts, bench.lamps["fault"]) == ((1, 4), 0)

    def test_lets_no_start_be_acknowledged(self, bench):
        bench.run(1)
        bench.clear_start()
        bench.start()
        assert (bench.lamps["start_ack"], bench.batch_number) == (0, 1)

    def test_is_cleared_by_its_coil_which_clears_itself(self, bench):
        bench.run(1)
        bench.clear_start()
        bench.coil(1, 1)
        bench.tick()
        assert bench.memory.read(Table.COIL, 1, 1) == (0,)
        assert bench.lamps == {"ready": 1, "running": 0, "fault": 0, "start_ack": 0}
        assert (bench.register(7), bench.register(8)) == (4, 0)

    def test_a_start_held_through_the_reset_needs_a_new_edge(self, bench):
        bench.run(1)
        bench.coil(1, 1)
        bench.run(0.1)
        assert (bench.lamps["fault"], bench.lamps["running"]) == (0, 0)
        bench.clear_start()
        bench.start()
        assert bench.lamps["running"] == 1

    def test_reset_without_a_fault_changes_nothing_but_the_coil(self):
        bench = Bench()
        bench.start()
        bench.coil(1, 1)
        bench.tick()
        assert bench.memory.read(Table.COIL, 1, 1) == (0,)
        assert bench.lamps["running"] == 1


class TestTemperature:
    def test_drifts_toward_the_setpoint(self, bench):
        bench.setpoint(100.0)
        seen = [bench.temperature]
        for _ in range(6):
            bench.run(20)
            seen.append(bench.temperature)
        assert seen == sorted(seen)
        assert seen[0] == 21.0
        assert seen[-1] == pytest.approx(100, abs=0.3)

    @pytest.mark.parametrize("celsius", [math.nan, math.inf, -math.inf])
    def test_stays_when_the_setpoint_is_no_number(self, bench, celsius):
        bench.setpoint(celsius)
        bench.run(1)
        assert bench.temperature == 21.0

    @pytest.mark.parametrize(("celsius", "reached"), [(3e38, 300.0), (-3e38, 0.0)])
    def test_ends_where_the_machine_does(self, bench, celsius, reached):
        bench.setpoint(celsius)
        bench.tick(1e6)
        assert bench.temperature == reached


class TestHeartbeat:
    def test_beats_twice_a_second_and_wraps(self, bench):
        bench.run(2.005)
        assert bench.register(6) in (3, 4)
        bench.machine._heartbeat = 65535
        bench.tick(0.5)
        assert bench.register(6) == 0
