"""What tags held when they were read last: the latest reading stands, whoever tells it last."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from devices.control.values import PLCValues, Sight, Stamp
from devices.plc.specs import PollSpec
from tests.plc.machines import BATCH_SIZE

NAME = BATCH_SIZE.name


def at(clock_s: float) -> Stamp:
    return Stamp(datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=clock_s), clock_s)


class TestAnEarlierReading:
    """A write's read-back is told when it is stored: polling may have seen what came after it."""

    def test_that_is_told_later_changes_nothing(self) -> None:
        values = PLCValues({NAME: PollSpec(tag=BATCH_SIZE)}, clock=lambda: 2.0)
        assert values.take(NAME, 8, at(2))
        assert not values.take(NAME, 7, at(1))
        assert not values.refuse(NAME, "exception 2", at(1))
        assert (values.of(NAME).value, values.of(NAME).read_at) == (8, at(2).at)
        assert values.take(NAME, 7, at(3))


class TestTagsThatComeInOneAnswer:
    """Of an answer in which nothing changed, only its moment is noted."""

    def read(self, *names: str) -> tuple[PLCValues, Sight]:
        """These tags were read once, together."""
        values = PLCValues({name: PollSpec(tag=replace(BATCH_SIZE, name=name)) for name in names}, clock=lambda: 9.0)
        sight = Sight(values, len(names), at(1))
        for name in names:
            values.take(name, 7, at(1), sight)
        sight.settle(at(1))
        return values, sight

    def test_are_of_its_moment_all_at_once(self) -> None:
        values, sight = self.read("a", "b")
        assert sight.is_whole(values)
        sight.settle(at(2))
        assert {known.read_at for known in values.all()} == {at(2).at}
        assert {known.changed_at for known in values.all()} == {at(1).at}

    @pytest.mark.parametrize("is_refused", [False, True])
    def test_are_looked_at_one_by_one_after_one_of_them_was_read_apart(self, is_refused: bool) -> None:
        values, sight = self.read("a", "b")
        if is_refused:
            values.refuse("a", "exception 2", at(2))
        else:
            values.take("a", 8, at(2))
        assert not sight.is_whole(values)
        sight.settle(at(3))
        assert [known.read_at for known in values.all()] == [at(2).at, at(3).at]
        assert not sight.is_whole(values)

    def test_are_looked_at_one_by_one_after_an_answer_that_was_not_gone_through(self) -> None:
        values, sight = self.read("a", "b")
        sight.open()
        assert not sight.is_whole(values)
        assert {known.read_at for known in values.all()} == {at(1).at}

    def test_are_none_of_values_that_were_begun_anew(self) -> None:
        _, sight = self.read("a", "b")
        assert not sight.is_whole(self.read("a", "b")[0])
