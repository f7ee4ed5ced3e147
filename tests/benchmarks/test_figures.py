"""The arithmetic of the benchmarks, and their table; how fast anything is, is no test's matter."""

import json

import pytest

from tests.benchmarks.figures import Against, Rounds, Row, at_least, at_most, percentile, rotated
from tests.benchmarks.table import report, table


class Wrong(Exception):
    pass


def row(**changes: object) -> Row:
    usual = {"what": "commands", "unit": "/s", "product": [90, 100, 400], "beside": "peer", "reference": [50, 10, 60]}
    return Row(**usual | changes)


class TestARow:
    def test_compares_medians_so_that_one_bad_round_does_not_count(self):
        assert (row().figure, row().reference_figure, row().compared) == (100, 50, 2.0)

    def test_takes_the_difference_where_that_is_the_goal(self):
        assert row(against=Against.DIFFERENCE).compared == 50

    def test_may_have_nothing_beside_it(self):
        assert row(against=Against.ITSELF, reference=[]).compared == 100

    @pytest.mark.parametrize(
        ("goal", "is_met"),
        [(at_least(2.0), True), (at_least(2.1), False), (at_most(2.0), True), (at_most(1.9), False), (None, None)],
    )
    def test_says_whether_its_goal_is_met(self, goal, is_met):
        assert row(goal=goal).is_met is is_met

    @pytest.mark.parametrize("missing", [{"product": []}, {"reference": []}, {"reference": [0, 0]}])
    def test_claims_nothing_where_a_side_was_not_measured(self, missing):
        assert row(goal=at_least(0.1), **missing).is_met is None


class TestPercentile:
    @pytest.mark.parametrize(("percent", "figure"), [(50, 50), (99, 99), (100, 100), (1, 1)])
    def test_is_a_figure_that_was_measured(self, percent, figure):
        assert percentile(range(1, 101), percent) == figure

    def test_of_one_figure_is_that_figure(self):
        assert percentile([7], 99) == 7

    def test_of_few_is_the_worst_rather_than_better(self):
        assert percentile([1, 2, 3], 99) == 3


class TestRounds:
    def test_let_each_side_be_first_in_turn(self):
        asked: list[str] = []
        sides = {name: lambda name=name: asked.append(name) for name in "abc"}
        Rounds(count=3).of(sides, Wrong)
        assert "".join(asked) == "abcbcacab"

    def test_measure_the_others_where_one_goes_wrong_and_tell_of_it(self):
        def wrong() -> int:
            raise Wrong("it did nothing")

        rounds = Rounds(count=2)
        assert rounds.of({"good": lambda: 1, "bad": wrong}, Wrong) == {"good": [1, 1], "bad": []}
        assert rounds.faults == ["bad: it did nothing"]

    def test_rotate_nothing_to_nothing(self):
        assert rotated([], 5) == []


class TestTheTable:
    def test_shows_figures_goal_and_whether_it_is_met(self):
        shown = table([row(goal=at_least(2.5)), row(goal=at_most(60), against=Against.DIFFERENCE, unit="ms")])
        _, _, first, second = shown.splitlines()
        assert first.split() == ["commands", "100", "/s", "peer", "50.0", "/s", "2.00", "×", "≥", "2.5", "×", "NO"]
        assert second.split()[-6:] == ["50.0", "ms", "≤", "60", "ms", "yes"]

    def test_shows_what_is_missing_and_why(self):
        shown = table([row(reference=[], goal=at_least(1), note="not installed: no index")])
        assert shown.splitlines()[2].split()[-5:] == ["-", "≥", "1", "×", "-"]
        assert shown.endswith("commands: not installed: no index")

    def test_keeps_every_round_in_json(self):
        told = json.loads(report([row(goal=at_least(2))], ["a: broke"], {"cores": 2}))
        (only,) = told["rows"]
        assert only["product"] == {"median": 100, "rounds": [90, 100, 400]}
        assert (only["compared"], only["goal"], only["is_met"]) == (2.0, "≥ 2", True)
        assert (told["faults"], told["computer"]) == (["a: broke"], {"cores": 2})
