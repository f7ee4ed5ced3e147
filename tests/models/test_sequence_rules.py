"""The number of a run stands only where a machine can count with it."""

import pytest

from devices.models import commands, sequence_rules, step_rules
from devices.models.sequence_rules import SEQUENCE
from devices.plc import sequence
from tests.models import rows

pytestmark = pytest.mark.django_db(transaction=True)

CONDITIONS = step_rules.CONDITIONS
GOOD = {("write", "set"), ("trigger", "set")} | {
    (phase, operator) for phase in ("check", "wait", "cleanup", "proof") for operator in ("==", "!=")
}


@pytest.fixture
def profile():
    return rows.stored(rows.profile())


@pytest.fixture
def command(profile):
    return rows.stored(rows.command(profile))


class TestTheNumberOfARun:
    @pytest.mark.parametrize("phase", commands.PHASES)
    @pytest.mark.parametrize("operator", commands.OPERATORS)
    def test_is_sent_by_a_write_or_the_trigger_and_compared_for_sameness(self, profile, command, phase, operator):
        tag = rows.stored(rows.register(profile))
        limit = 1 if phase == "wait" or (phase == "cleanup" and operator in CONDITIONS) else None
        step = rows.step(command, tag, phase=phase, operator=operator, value=SEQUENCE, timeout_s=limit)
        assert (rows.faults_of(step) == {}) is ((phase, operator) in GOOD)

    @pytest.mark.parametrize(
        ("tag", "is_right"),
        [
            ({"data_type": "int16"}, True),
            ({"data_type": "uint16"}, True),
            ({"data_type": "int32"}, True),
            ({"data_type": "uint64"}, True),
            ({"data_type": "uint16", "minimum": 1, "maximum": 2}, True),
            ({"data_type": "uint16", "minimum": 2}, False),
            ({"data_type": "uint16", "maximum": 1}, False),
            ({"data_type": "uint16", "scale": "0.1"}, False),
            ({"data_type": "uint16", "offset": 1}, False),
            ({"data_type": "float32"}, False),
            ({"data_type": "string", "length": 8}, False),
            ({"data_type": "bool"}, False),
            ({"data_type": "bool", "bit": 3}, False),
        ],
    )
    def test_is_sent_to_whole_numbers_that_take_more_than_one_of_it(self, profile, command, tag, is_right):
        tag = rows.stored(rows.register(profile, **tag))
        faults = rows.faults_of(rows.step(command, tag, phase="trigger", value=SEQUENCE))
        assert list(faults) == ([] if is_right else ["value"])
        assert is_right or "{sequence} counts" in faults["value"][0]

    def test_may_be_echoed_beyond_the_limits_for_writing(self, profile, command):
        tag = rows.stored(rows.register(profile, minimum=100, maximum=200))
        echo = rows.step(command, tag, phase="wait", operator="==", value=SEQUENCE, timeout_s=1)
        assert not rows.faults_of(echo)

    def test_is_not_set_by_a_cleanup(self, profile, command):
        tag = rows.stored(rows.register(profile))
        (fault,) = rows.faults_of(rows.step(command, tag, phase="cleanup", value=SEQUENCE))["value"]
        assert "sent by a write or by the trigger" in fault

    def test_is_not_changed_away_under_a_step_by_its_tag(self, profile, command):
        tag = rows.stored(rows.register(profile))
        rows.stored(rows.step(command, tag, phase="trigger", value=SEQUENCE))
        tag.scale = "0.1"
        assert "would no longer work" in rows.faults_of(tag)["scale"][0]


def test_no_parameter_takes_its_name(command):
    (fault,) = rows.faults_of(rows.parameter(command, name="sequence"))["name"]
    assert "the number of the run" in fault


def test_memory_and_conversation_give_it_the_same_name():
    assert sequence_rules.SEQUENCE_NAME == sequence.SEQUENCE
