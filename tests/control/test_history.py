"""Which readings become samples."""

import math
from collections.abc import Sequence
from datetime import timedelta

import pytest

from devices.control.history import Recorder
from devices.control.samples import NewSample, SampleWriter
from devices.control.values import Values
from devices.plc.specs import PollSpec
from tests.control.rounds import BAD, START, START_MS, Polling, a_plc, poll


class Kept(SampleWriter):
    """Keeps what it is handed, in place of a database."""

    def __init__(self) -> None:
        super().__init__()
        self.samples: list[NewSample] = []

    def put(self, samples: Sequence[NewSample]) -> None:
        self.samples.extend(samples)


class Bench:
    """A recorder, and a PLC whose rounds it is told."""

    def __init__(self, *polls: PollSpec) -> None:
        values = Values(clock=lambda: 1000.0)
        self.writer = Kept()
        self.at_s = 0.0
        now = lambda: START + timedelta(seconds=self.at_s)  # noqa: E731
        self.recorder = Recorder(values=values, writer=self.writer, now=now)
        self.polling = Polling(values, a_plc(*polls))

    def read(self, at_s: float, interval_s: float = 1.0, **found: object) -> None:
        self.recorder.take(self.polling.round(at_s, interval_s, **found))

    def lose(self, at_s: float) -> None:
        self.at_s = at_s
        self.recorder.lose(self.polling.plc.id)

    def kept(self, tag: str = "temp") -> list[tuple[float, float | str | None]]:
        """Seconds from the start, and what was kept."""
        return [
            ((sample.at_ms - START_MS) / 1000, sample.number if sample.text is None else sample.text)
            for sample in self.writer.samples
            if sample.tag == tag
        ]


class TestAReading:
    def test_is_kept_at_first_and_on_change(self):
        bench = Bench(poll("temp"))
        for at_s, value in enumerate([20.0, 20.0, 21.0, 21.0, 20.0]):
            bench.read(at_s, temp=value)
        assert bench.kept() == [(0, 20.0), (2, 21.0), (4, 20.0)]

    def test_is_kept_only_beyond_the_dead_band_around_the_value_kept_last(self):
        bench = Bench(poll("temp", dead_band=1.0))
        for at_s, value in enumerate([20.0, 20.9, 21.0, 21.1, 20.5, 20.0]):
            bench.read(at_s, temp=value)
        assert bench.kept() == [(0, 20.0), (3, 21.1), (5, 20.0)]

    def test_is_kept_at_least_every_so_often(self):
        bench = Bench(poll("temp", record_every_s=10))
        for at_s in range(25):
            bench.read(at_s, temp=20.0)
        assert [at_s for at_s, _ in bench.kept()] == [0, 10, 20]

    def test_is_kept_before_it_would_be_too_late_where_rounds_do_not_fit(self):
        bench = Bench(poll("temp", interval_s=3.0, record_every_s=10))
        for at_s in range(0, 30, 3):
            bench.read(at_s, 3.0, temp=20.0)
        assert [at_s for at_s, _ in bench.kept()] == [0, 9, 18, 27]

    def test_is_not_kept_again_where_a_round_was_cut_before_its_tag(self):
        bench = Bench(poll("temp", record_every_s=5), poll("speed"))
        bench.read(0, temp=20.0, speed=1.0)
        bench.read(9, speed=2.0)
        bench.read(10, speed=2.0, temp=20.0)
        assert bench.kept() == [(0, 20.0), (10, 20.0)]

    def test_is_not_kept_of_a_tag_that_is_not_marked_or_of_another_round(self):
        bench = Bench(poll("temp", is_recorded=False), poll("slow", interval_s=60.0), poll("speed"))
        bench.read(0, temp=1.0, speed=2.0, slow=3.0)
        assert {sample.tag for sample in bench.writer.samples} == {"speed"}

    @pytest.mark.parametrize(
        ("data_type", "value", "number", "text"),
        [
            ("bool", True, 1.0, None),
            ("bool", False, 0.0, None),
            ("uint64", 2**64 - 1, 2.0**64, None),
            ("string", "", None, ""),
            ("string", "=1+1", None, "=1+1"),
        ],
    )
    def test_becomes_a_number_or_a_text(self, data_type, value, number, text):
        bench = Bench(poll("temp", data_type))
        bench.read(0, temp=value)
        assert bench.writer.samples == [NewSample(1, "temp", START_MS, number, text)]

    def test_of_a_bool_knows_no_dead_band(self):
        bench = Bench(poll("temp", "bool", dead_band=5.0))
        bench.read(0, temp=True)
        bench.read(1, temp=False)
        assert bench.kept() == [(0, 1.0), (1, 0.0)]


class TestAGap:
    @pytest.mark.parametrize("unreadable", [BAD, math.nan, math.inf, -math.inf])
    def test_is_kept_once_where_a_tag_turns_bad(self, unreadable):
        bench = Bench(poll("temp", record_every_s=2), poll("speed"))
        bench.read(0, temp=20.0, speed=1.0)
        for at_s in range(1, 9):
            bench.read(at_s, temp=unreadable, speed=1.0)
        bench.read(9, temp=20.0, speed=1.0)
        assert bench.kept() == [(0, 20.0), (1, None), (9, 20.0)]
        assert bench.kept("speed") == [(0, 1.0)]

    def test_is_not_kept_of_a_tag_that_was_never_good(self):
        bench = Bench(poll("temp"))
        bench.read(0, temp=BAD)
        bench.lose(1)
        assert bench.kept() == []

    def test_is_kept_once_in_each_series_where_the_plc_is_lost(self):
        bench = Bench(poll("temp"), poll("slow", interval_s=60.0), poll("broken"))
        bench.read(0, temp=20.0, broken=BAD)
        bench.read(0, 60.0, slow=3.0)
        bench.lose(5)
        bench.lose(6)
        assert bench.kept() == [(0, 20.0), (5, None)]
        assert bench.kept("slow") == [(0, 3.0), (5, None)]
        assert bench.kept("broken") == []

    def test_ends_with_the_first_reading_whatever_it_says(self):
        bench = Bench(poll("temp", dead_band=100.0))
        bench.read(0, temp=20.0)
        bench.lose(5)
        bench.read(8, temp=20.0)
        assert bench.kept() == [(0, 20.0), (5, None), (8, 20.0)]

    @pytest.mark.parametrize(("left", "kept"), [({1, 2}, [(0, 20.0)]), ({2}, [(0, 20.0), (5, None)])])
    def test_is_kept_of_a_plc_that_is_polled_no_more(self, left, kept):
        bench = Bench(poll("temp"))
        bench.read(0, temp=20.0)
        bench.at_s = 5
        bench.recorder.keep_only(left)
        bench.recorder.keep_only(left)
        assert bench.kept() == kept

    def test_begins_where_an_engineer_lets_a_tag_be_polled_no_more(self):
        bench = Bench(poll("temp"), poll("speed"))
        bench.read(0, temp=20.0, speed=1.0)
        bench.polling.change(poll("temp", interval_s=0.0), poll("speed"))
        bench.read(1, speed=1.0)
        assert bench.kept() == [(0, 20.0), (1, None)]

    def test_begins_where_an_engineer_lets_a_tag_be_recorded_no_more(self):
        bench = Bench(poll("temp"), poll("speed"))
        bench.read(0, temp=20.0, speed=1.0)
        bench.polling.change(poll("temp", is_recorded=False), poll("speed", dead_band=2.0))
        bench.read(1, temp=20.0, speed=1.5)
        bench.read(2, temp=20.0, speed=3.5)
        assert bench.kept() == [(0, 20.0), (1, None)]
        assert bench.kept("speed") == [(0, 1.0), (2, 3.5)]

    async def test_ends_each_series_with_the_process(self):
        bench = Bench(poll("temp"), poll("broken"))
        bench.read(0, temp=20.0)
        bench.read(1, broken=BAD)
        await bench.recorder.stop()
        assert [value for _, value in bench.kept()] == [20.0, None]
        assert bench.kept("broken") == []


class TestTheRecorder:
    def test_keeps_nothing_where_history_is_kept_for_no_day(self, settings):
        settings.HISTORY_DAYS = 0
        bench = Bench(poll("temp"))
        bench.read(0, temp=20.0)
        assert bench.kept() == []
