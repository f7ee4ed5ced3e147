"""What tags held when they were read last: the latest reading stands, whoever tells it last."""

from datetime import UTC, datetime, timedelta

from devices.control.values import PLCValues, Stamp
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
