"""What a tag held over time: no peak is lost, no gap is drawn over."""

import itertools
from collections.abc import Sequence
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from devices.control import recorded, trends
from devices.control.errors import UnknownTag
from devices.control.recorded import Span
from devices.control.trends import Point, Trend
from devices.models import PLC, Sample, Series
from devices.plc.specs import PLCSpec, PollSpec
from tests.control import rows
from tests.control.rounds import START_MS, a_plc, poll

LOST = None


@pytest.fixture
def press(db) -> PLC:
    return rows.make_plc(rows.make_profile())


def spec(press: PLC, *polls: PollSpec) -> PLCSpec:
    return a_plc(*polls or (poll("temp"),), plc_id=press.pk)


def keep(press: PLC, tag: str, *samples: tuple[float, float | str | None]) -> None:
    """Store samples: seconds from the start and what was read."""
    series, _ = Series.objects.get_or_create(plc=press, tag=tag)
    Sample.objects.bulk_create(
        Sample(
            series=series,
            at_ms=START_MS + round(at_s * 1000),
            number=None if isinstance(value, str) else value,
            text=value if isinstance(value, str) else None,
        )
        for at_s, value in samples
    )


def drawn(plc: PLCSpec, tag: str, start_s: float, end_s: float, points: int = 100) -> Trend:
    (found,) = recorded.find(plc, [tag])
    return trends.trend(found, Span(START_MS + round(start_s * 1000), START_MS + round(end_s * 1000)), points)


def values(told: Trend) -> list[tuple[float, float | str | None]]:
    return [((point.at_ms - START_MS) / 1000, point.value) for point in told.points]


class TestFewSamples:
    def test_are_told_as_they_are(self, press):
        keep(press, "temp", (0, 20.0), (10, 21.5), (20, -3.0))
        told = drawn(spec(press), "temp", 0, 30)
        assert told.points == tuple(
            Point(START_MS + at_ms, value, value, value) for at_ms, value in ((0, 20.0), (10_000, 21.5), (20_000, -3.0))
        )
        assert not told.is_downsampled

    def test_begin_with_what_held_before(self, press):
        keep(press, "temp", (-50, 19.0), (-30, 20.0), (10, 21.0))
        assert values(drawn(spec(press), "temp", 0, 20)) == [(0, 20.0), (10, 21.0)]

    @pytest.mark.parametrize("before", [[(-30, 20.0), (-10, LOST)], [(-90, 20.0)], []])
    def test_begin_with_nothing_where_nothing_held(self, press, before):
        keep(press, "temp", *before, (10, 21.0))
        assert values(drawn(spec(press), "temp", 0, 20)) == [(10, 21.0)]

    def test_of_another_tag_or_plc_or_time_are_not_told(self, press):
        other = rows.make_plc(press.profile, "press-2")
        keep(press, "speed", (5, 1.0)), keep(other, "temp", (5, 2.0)), keep(press, "temp", (5, 3.0), (10, 4.0))
        assert values(drawn(spec(press, poll("temp"), poll("speed")), "temp", 0, 10)) == [(5, 3.0)]

    def test_may_be_none(self, press):
        assert drawn(spec(press), "temp", 0, 10).points == ()
        assert drawn(spec(press, poll("temp", "string")), "temp", 0, 10).points == ()


class TestAGap:
    def test_is_where_a_tag_could_not_be_read(self, press):
        keep(press, "temp", (0, 20.0), (5, LOST), (9, LOST), (10, 21.0))
        assert values(drawn(spec(press), "temp", 0, 20)) == [(0, 20.0), (5, LOST), (10, 21.0)]

    def test_is_where_nobody_recorded_for_longer_than_there_is_a_silence(self, press):
        keep(press, "temp", (0, 20.0), (60, 20.0), (300, 21.0))
        assert values(drawn(spec(press), "temp", 0, 310)) == [(0, 20.0), (60, 20.0), (123, LOST), (300, 21.0)]

    def test_follows_the_last_sample_where_it_should_have_been_followed_by_another(self, press):
        keep(press, "temp", (0, 20.0))
        assert values(drawn(spec(press), "temp", 0, 60)) == [(0, 20.0)]
        assert values(drawn(spec(press), "temp", 0, 600)) == [(0, 20.0), (63, LOST)]

    def test_follows_what_held_before_where_that_is_all(self, press):
        keep(press, "temp", (-30, 20.0))
        assert values(drawn(spec(press), "temp", 0, 600)) == [(0, 20.0), (33, LOST)]

    def test_is_not_drawn_twice(self, press):
        keep(press, "temp", (0, 20.0), (5, LOST), (400, LOST))
        assert values(drawn(spec(press), "temp", 0, 600)) == [(0, 20.0), (5, LOST)]

    def test_of_a_tag_that_is_recorded_no_more_is_only_where_it_was_told(self, press):
        keep(press, "temp", (0, 20.0), (1000, 21.0), (2000, LOST))
        told = drawn(spec(press, poll("temp", is_recorded=False)), "temp", 0, 3000)
        assert values(told) == [(0, 20.0), (1000, 21.0), (2000, LOST)]

    def test_stays_visible_among_many_samples(self, press):
        keep(press, "temp", *((at_s, LOST if at_s == 47 else float(at_s)) for at_s in range(100)))
        told = drawn(spec(press), "temp", 0, 100, points=10)
        assert [at_s for at_s, value in values(told) if value is LOST] == [47]
        assert [at_s for at_s, value in values(told) if value is not LOST] == list(range(9, 100, 10))

    def test_of_a_dead_process_stays_visible_among_many_samples(self, press):
        keep(press, "temp", *((at_s, 1.0) for at_s in (*range(100), *range(900, 1000))))
        told = drawn(spec(press), "temp", 0, 1000, points=10)
        assert values(told) == [(99, 1.0), (162, LOST), (999, 1.0)]


class TestManySamples:
    def test_become_so_many_points_with_their_peaks(self, press):
        keep(press, "temp", *((at_s, 100.0 if at_s == 33 else -5.0 if at_s == 77 else 1.0) for at_s in range(100)))
        told = drawn(spec(press), "temp", 0, 100, points=10)
        assert told.is_downsampled
        assert len(told.points) == 10
        assert [(point.minimum, point.maximum) for point in told.points] == [
            *[(1.0, 1.0)] * 3, (1.0, 100.0), *[(1.0, 1.0)] * 3, (-5.0, 1.0), *[(1.0, 1.0)] * 2,
        ]  # fmt: skip
        assert {point.value for point in told.points} == {1.0}

    def test_cost_three_queries_however_many_they_are(self, press):
        keep(press, "temp", *((at_s, float(at_s)) for at_s in range(500)))
        with CaptureQueriesContext(connection) as queries:
            drawn(spec(press), "temp", 0, 500, points=10)
        assert len(queries) == 4  # with the one that finds the tag

    @hypothesis_settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        samples=st.lists(
            st.tuples(st.integers(0, 99_999), st.none() | st.floats(-1e300, 1e300)), min_size=1, max_size=120
        ),
        points=st.integers(1, 60),
        end_ms=st.integers(1, 120_000),
    )
    def test_keep_the_highest_and_lowest_value_and_each_point_its_place(self, press, samples, points, end_ms):
        Sample.objects.all().delete()
        samples.sort(key=lambda sample: sample[0])
        keep(press, "temp", *((at_ms / 1000, value) for at_ms, value in samples))
        told = drawn(spec(press), "temp", 0, end_ms / 1000, points)
        read = [(at_ms, value) for at_ms, value in samples if at_ms < end_ms and value is not None]
        shown = [point for point in told.points if point.value is not None]
        assert bool(read) == bool(shown)
        if read:
            assert max(point.maximum for point in shown) == max(value for _, value in read)
            assert min(point.minimum for point in shown) == min(value for _, value in read)
        assert len(shown) <= points
        assert all(point.minimum <= point.value <= point.maximum for point in shown)
        assert all((point.at_ms - START_MS, point.value) in read for point in shown)
        moments = [point.at_ms for point in told.points]
        assert moments == sorted(moments)
        assert all(START_MS <= at_ms < START_MS + end_ms for at_ms in moments)
        for one, other in itertools.pairwise(told.points):
            assert one.value is not None or other.value is not None, "a gap is drawn once"
        if told.is_downsampled:
            self.each_lies_in_its_bucket(shown, samples, -(-end_ms // points), end_ms)

    def each_lies_in_its_bucket(self, shown: Sequence[Point], samples: Sequence[Any], width: int, end_ms: int) -> None:
        by_bucket: dict[int, list[tuple[int, float]]] = {}
        for at_ms, value in samples:
            if at_ms < end_ms and value is not None:
                by_bucket.setdefault(at_ms // width, []).append((at_ms, value))
        assert {(point.at_ms - START_MS) // width for point in shown} == by_bucket.keys()
        assert len(shown) == len(by_bucket)
        for point in shown:
            held = by_bucket[(point.at_ms - START_MS) // width]
            assert (point.at_ms - START_MS, point.value) == held[-1]
            assert (point.minimum, point.maximum) == (min(v for _, v in held), max(v for _, v in held))


class TestAText:
    def text(self, press: PLC, points: int = 100, end_s: float = 100) -> Trend:
        return drawn(spec(press, poll("recipe", "string")), "recipe", 0, end_s, points)

    def test_is_told_where_it_changes(self, press):
        keep(press, "recipe", (-5, "A"), (10, "A"), (20, "B"), (30, "B"), (40, LOST), (50, ""), (60, ""))
        told = self.text(press)
        assert values(told) == [(0, "A"), (10, "A"), (20, "B"), (40, LOST), (50, "")]
        assert {(point.minimum, point.maximum) for point in told.points} == {(None, None)}
        assert not told.is_downsampled

    def test_is_missing_where_nobody_recorded(self, press):
        keep(press, "recipe", (0, "A"), (60, "A"), (200, "A"), (260, "A"))
        assert values(self.text(press, end_s=300)) == [(0, "A"), (123, LOST), (200, "A")]
        assert values(self.text(press, end_s=400)) == [(0, "A"), (123, LOST), (200, "A"), (323, LOST)]

    def test_that_changes_too_often_is_told_from_the_newest_change_back(self, press):
        keep(press, "recipe", (-5, "old"), *((at_s, f"r{at_s}") for at_s in range(30)))
        told = self.text(press, points=10, end_s=40)
        assert values(told) == [(at_s, f"r{at_s}") for at_s in range(20, 30)]
        assert told.is_downsampled


class TestATag:
    def test_without_a_history_is_unknown_and_those_with_one_are_named(self, press):
        keep(press, "gone", (0, 1.0))
        plc = spec(press, poll("temp"), poll("hidden", is_recorded=False))
        for name in ("hidden", "nothing", "'; DROP\0"):
            with pytest.raises(UnknownTag, match="kept are: gone, temp"):
                recorded.find(plc, ["temp", name])

    def test_keeps_its_history_when_the_profile_has_it_no_more(self, press):
        keep(press, "gone", (0, 1.0), (5000, LOST))
        keep(press, "gone_text", (0, "A"), (5000, LOST))
        plc = spec(press, poll("temp"))
        number, text = recorded.find(plc, ["gone", "gone_text"])
        assert (number.is_text, text.is_text, number.unit) == (False, True, "")
        assert values(drawn(plc, "gone", 0, 9000)) == [(0, 1.0), (5000, LOST)]
        assert values(drawn(plc, "gone_text", 0, 9000)) == [(0, "A"), (5000, LOST)]
