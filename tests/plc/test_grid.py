"""When rounds are due: on a fixed grid, apart from each other, and never in a bunch."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.plc.grid import FIRST_WITHIN_S, Grid

moments = st.floats(0, 1e6)
intervals = st.sampled_from([0.05, 0.1, 1.0, 7.3, 60.0, 3600.0])


class TestDueTimes:
    @given(intervals, st.integers(1, 10**6), moments, st.floats(0, 1e5))
    def test_lie_on_one_grid_however_late_a_round_ends(self, interval_s, number, start_s, late_s):
        grid = Grid(interval_s, number, start_s)
        grid.pass_by(start_s)
        first = grid.due_s
        grid.pass_by(grid.due_s + late_s)
        steps = (grid.due_s - first) / interval_s
        assert steps == pytest.approx(round(steps), abs=1e-3)

    @given(intervals, st.integers(1, 10**6), moments, st.floats(0, 1e5))
    def test_come_after_the_moment_and_within_one_interval(self, interval_s, number, start_s, later_s):
        grid = Grid(interval_s, number, start_s)
        grid.pass_by(start_s + later_s)
        assert start_s + later_s < grid.due_s <= start_s + later_s + interval_s * 1.001

    @given(intervals, st.integers(1, 10**6), moments)
    def test_begin_soon_also_for_a_long_interval(self, interval_s, number, start_s):
        assert start_s <= Grid(interval_s, number, start_s).due_s <= start_s + min(interval_s, FIRST_WITHIN_S)

    def test_of_a_thousand_plcs_are_spread_evenly(self):
        in_tenths = [int(Grid(1.0, number, 0.0).due_s * 10) for number in range(1, 1001)]
        assert all(95 <= in_tenths.count(tenth) <= 105 for tenth in range(10))

    def test_that_are_hurried_stay_on_the_grid_afterwards(self):
        grid = Grid(60.0, 1, 0.0)
        grid.pass_by(100.0)
        regular = grid.due_s
        grid.hurry(110.0)
        assert grid.due_s == 110.0
        grid.pass_by(110.2)
        assert grid.due_s == regular

    def test_that_have_come_are_not_put_off_by_a_hurry(self):
        grid = Grid(1.0, 1, 0.0)
        due_s = grid.due_s
        grid.hurry(due_s + 5)
        assert grid.due_s == due_s
