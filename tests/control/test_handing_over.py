"""A PLC goes from one poller to another: what was known is carried on, and nothing is told that did not happen."""

from dataclasses import replace
from datetime import timedelta

import pytest

from devices.control.history import Recorder
from devices.control.pulse import Pulse
from devices.control.samples import NewSample
from devices.control.status import PLCState, PLCStatus, Predecessors
from devices.control.values import Quality, Stamp, TagValue, Values
from devices.modbus.types import Endpoint
from devices.plc.specs import PLCSpec
from tests.control.rounds import START, Polling, a_plc, poll

PLC = a_plc(poll("heat"), poll("level", dead_band=5.0))
UNKNOWN = PLCStatus(state=PLCState.UNKNOWN)
ONLINE = PLCStatus(state=PLCState.ONLINE, since=START + timedelta(hours=1))


def after(said: PLCStatus, plc: PLCSpec = PLC) -> Predecessors:
    """Another poller had said this."""
    predecessors = Predecessors()
    predecessors.note(plc, said)
    return predecessors


def told(predecessors: Predecessors, own: PLCStatus, *, is_unsure: bool = False, plc: PLCSpec = PLC) -> PLCStatus:
    return predecessors.carried_on(plc, own, is_unsure=is_unsure)


class TestAState:
    SAID = PLCStatus(state=PLCState.ONLINE, since=START)

    def test_stands_until_this_poller_knows_it(self):
        assert told(after(self.SAID), UNKNOWN) == self.SAID

    def test_that_is_still_so_is_so_since_then(self):
        predecessors = after(self.SAID)
        assert [told(predecessors, ONLINE).since for _ in range(2)] == [START, START]

    def test_that_is_another_one_now_is_this_pollers_own_from_then_on(self):
        predecessors = after(PLCStatus(state=PLCState.OFFLINE, reason="no answer", since=START))
        assert told(predecessors, ONLINE) == ONLINE
        offline = PLCStatus(state=PLCState.OFFLINE, reason="refused", since=START + timedelta(hours=2))
        assert told(predecessors, offline) == offline

    def test_keeps_the_mark_of_a_wrong_answer(self):
        predecessors = after(PLCStatus(state=PLCState.OFFLINE, mark="a wrong answer"))
        assert told(predecessors, ONLINE).mark == told(predecessors, UNKNOWN).mark == "a wrong answer"

    def test_stays_degraded_until_it_can_be_told_whether_the_heartbeat_moves(self):
        predecessors = after(PLCStatus(state=PLCState.DEGRADED, reason="it stands still", since=START))
        assert told(predecessors, ONLINE, is_unsure=True).state is PLCState.DEGRADED
        assert told(predecessors, ONLINE) == ONLINE

    def test_of_another_machine_tells_nothing(self):
        predecessors = after(self.SAID)
        moved = replace(PLC, endpoint=Endpoint(host="127.0.0.1", port=503))
        assert told(predecessors, UNKNOWN, plc=moved) == UNKNOWN
        assert told(predecessors, UNKNOWN) == UNKNOWN

    def test_of_a_plc_that_is_polled_here_no_more_is_forgotten(self):
        predecessors = after(self.SAID)
        predecessors.keep_only(set())
        assert told(predecessors, UNKNOWN) == UNKNOWN

    def test_that_nobody_told_is_this_pollers_own(self):
        assert told(Predecessors(), ONLINE) is ONLINE


class TestAValue:
    def known(self, values: Values, value: float | None = 21.5, reason: str = "") -> TagValue:
        """Read by another poller two seconds ago, and so for an hour."""
        known = TagValue(
            poll=PLC.polls["heat"],
            value=value,
            quality=Quality.GOOD,
            reason=reason,
            read_at=START,
            age_s=2.0,
            changed_at=START - timedelta(hours=1),
        )
        values.of(PLC).recall(known)
        return known

    def test_is_what_it_was_and_as_old(self):
        values = Values(clock=lambda: 1000.0)
        known = self.known(values)
        assert values.of(PLC).of("heat") == known

    def test_that_is_read_again_is_told_and_holds_since_then(self):
        values = Values(clock=lambda: 1000.0)
        self.known(values)
        assert Polling(values, PLC).round(1.0, heat=21.5).changed == ("heat",), "who died may not have told it"
        assert values.of(PLC).of("heat").changed_at == START - timedelta(hours=1)
        assert Polling(values, PLC).round(2.0, heat=21.5).changed == ()
        assert Polling(values, PLC).round(3.0, heat=22.0).changed == ("heat",)

    def test_that_was_read_here_stands(self):
        values = Values(clock=lambda: 1000.0)
        Polling(values, PLC).round(0.0, heat=30.0)
        self.known(values)
        assert values.of(PLC).of("heat").value == 30.0

    def test_that_the_plc_refused_is_known_to_be_bad(self):
        values = Values(clock=lambda: 1000.0)
        self.known(values, None, "exception 2")
        assert values.of(PLC).bad() == ({"heat": "exception 2"}, START - timedelta(hours=1))


class Sheet:
    """In place of the thread that stores."""

    def __init__(self) -> None:
        self.samples: list[NewSample] = []

    def put(self, samples: list[NewSample]) -> None:
        self.samples += samples


class TestHistory:
    @pytest.fixture
    def sheet(self) -> Sheet:
        return Sheet()

    @pytest.fixture
    def recorder(self, sheet: Sheet) -> Recorder:
        values = Values()
        recorder = Recorder(values=values, writer=sheet, now=lambda: START)  # type: ignore[arg-type]
        recorder.take(Polling(values, PLC).round(0.0, heat=21.5))
        return recorder

    def test_has_no_gap_where_another_poller_goes_on(self, recorder, sheet):
        recorder.let_go([PLC.id])
        recorder.keep_only(())
        assert [sample.number for sample in sheet.samples] == [21.5]

    def test_has_a_gap_where_nobody_does(self, recorder, sheet):
        recorder.keep_only(())
        assert [sample.number for sample in sheet.samples] == [21.5, None]


class TestAHeartbeat:
    def pulse(self, *readings: tuple[float, int]) -> Pulse:
        pulse = Pulse(5.0)
        for clock_s, value in readings:
            pulse.take(value, Stamp(START + timedelta(seconds=clock_s), 1000 + clock_s))
        return pulse

    def test_is_not_known_to_move_until_it_did(self):
        assert self.pulse((0, 7), (1, 7)).is_unsure
        assert not self.pulse((0, 7), (1, 8)).is_unsure

    def test_is_known_to_stand_still_after_its_limit(self):
        assert not self.pulse(*((second, 7) for second in range(7))).is_unsure
