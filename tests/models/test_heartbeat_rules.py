"""A tag that cannot serve as a heartbeat is told where it is chosen, and one that serves is not spoilt later."""

import pytest

from devices.models import PLC, Tag
from tests.models import rows

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def profile():
    return rows.stored(rows.profile())


@pytest.fixture
def tag(profile):
    """A counter that can be written and is read every second."""
    return rows.stored(rows.register(profile, name="beat", address=100))


def plc(tag: Tag, **more) -> PLC:
    return rows.plc(tag.profile, **more)


class TestTheHeartbeatToThePLC:
    @pytest.mark.parametrize(
        "kind",
        [
            {"table": "coil", "data_type": "bool"},
            {"data_type": "bool"},
            {"data_type": "uint16", "minimum": 1, "maximum": 2},
            *({"data_type": data_type} for data_type in ("int16", "uint32", "int32", "uint64", "int64")),
        ],
    )
    def test_is_a_bool_or_a_whole_number(self, profile, kind):
        tag = rows.stored(rows.register(profile, address=100, **kind))
        assert not rows.faults_of(plc(tag, heartbeat_tag=tag))

    @pytest.mark.parametrize(
        ("kind", "words"),
        [
            ({"table": "input_register"}, "can only be read"),
            ({"table": "discrete_input", "data_type": "bool"}, "can only be read"),
            ({"data_type": "bool", "bit": 3}, "a bool that has a register to itself"),
            ({"data_type": "float32"}, "whole number with scale 1"),
            ({"data_type": "string", "length": 2}, "whole number with scale 1"),
            ({"scale": 2}, "whole number with scale 1"),
            ({"offset": 1}, "offset 0"),
            ({"minimum": 5, "maximum": 5}, "takes no two values"),
        ],
    )
    def test_is_nothing_else(self, profile, kind, words):
        tag = rows.stored(rows.register(profile, address=100, **kind))
        (fault,) = rows.faults_of(plc(tag, heartbeat_tag=tag))["heartbeat_tag"]
        assert words in fault

    def test_fits_what_the_profile_s_plcs_can_write(self, profile):
        tag = rows.stored(rows.register(profile, address=100, data_type="uint32"))
        profile.write_functions = "single"
        assert "FC16" in rows.faults_of(plc(tag, heartbeat_tag=tag))["heartbeat_tag"][0]

    @pytest.mark.parametrize("place", [{}, {"data_type": "bool", "bit": 3}])
    def test_lies_where_no_command_writes(self, profile, tag, place):
        command = rows.stored(rows.command(profile))
        other = rows.stored(rows.register(profile, name="other", address=100, **place))
        read = rows.stored(rows.step(command, other, phase="check", operator="==", value="1"))
        assert not rows.faults_of(plc(tag, heartbeat_tag=tag))
        read.delete()
        rows.stored(rows.step(command, other, value="1"))
        (fault,) = rows.faults_of(plc(tag, heartbeat_tag=tag))["heartbeat_tag"]
        assert fault == "Commands write other, which lies there too: each beat would overwrite it."

    def test_is_not_written_by_a_step_either(self, profile, tag):
        rows.stored(plc(tag, heartbeat_tag=tag))
        command = rows.stored(rows.command(profile))
        (fault,) = rows.faults_of(rows.step(command, tag))["tag"]
        assert fault == "A heartbeat to the PLC (tag beat) is written there: each beat would overwrite this."
        assert not rows.faults_of(rows.step(command, tag, phase="check", operator="=="))

    @pytest.mark.parametrize(
        ("field", "change"),
        [
            ("table", {"table": "input_register"}),
            ("data_type", {"data_type": "float32"}),
            ("data_type", {"data_type": "bool", "bit": 0}),
            ("scale", {"scale": 2}),
            ("maximum", {"minimum": None, "maximum": 0}),
        ],
    )
    def test_is_not_spoilt_by_a_change_of_its_tag(self, tag, field, change):
        rows.stored(plc(tag, heartbeat_tag=tag))
        for name, value in change.items():
            setattr(tag, name, value)
        faults = rows.faults_of(tag)
        assert list(faults) == [field]
        assert faults[field][0].startswith("It is the heartbeat to press-1. ")

    def test_s_tag_may_move(self, tag):
        rows.stored(plc(tag, heartbeat_tag=tag))
        tag.address, tag.name, tag.data_type = 200, "alive", "uint32"
        assert not rows.faults_of(tag)

    def test_s_tag_stays(self, tag):
        rows.stored(plc(tag, heartbeat_tag=tag))
        with pytest.raises(Exception, match="protected"):
            tag.delete()


class TestTheHeartbeatOfThePLC:
    @pytest.mark.parametrize("kind", [{"table": "input_register"}, {"data_type": "float32"}, {"data_type": "bool"}])
    def test_may_be_anything_that_is_read_often_enough(self, profile, kind):
        tag = rows.stored(rows.register(profile, poll_interval_ms=1000, **kind))
        assert not rows.faults_of(plc(tag, watched_tag=tag, watched_limit_s=3))

    def test_is_read_three_times_within_its_limit(self, profile):
        tag = rows.stored(rows.register(profile, poll_interval_ms=1000))
        (fault,) = rows.faults_of(plc(tag, watched_tag=tag, watched_limit_s=2.9))["watched_tag"]
        assert "polled every 1000 ms and may stand still for 2.9 s" in fault
        assert "at least 3 times" in fault

    def test_is_read_at_all(self, profile):
        tag = rows.stored(rows.register(profile, poll_interval_ms=0))
        assert "never polled" in rows.faults_of(plc(tag, watched_tag=tag))["watched_tag"][0]

    def test_is_not_our_own(self, tag):
        faults = rows.faults_of(plc(tag, heartbeat_tag=tag, watched_tag=tag))
        assert "our writing" in faults["watched_tag"][0]
        same = rows.stored(rows.register(tag.profile, name="same", address=100, data_type="bool", bit=0))
        assert "our writing" in rows.faults_of(plc(tag, heartbeat_tag=tag, watched_tag=same))["watched_tag"][0]

    def test_is_not_spoilt_by_a_change_of_its_tag(self, tag):
        rows.stored(plc(tag, name="press-1", watched_tag=tag, watched_limit_s=60))
        rows.stored(plc(tag, name="press-2", watched_tag=tag, watched_limit_s=6))
        tag.poll_interval_ms = 2000
        assert not rows.faults_of(tag)
        tag.poll_interval_ms = 2001
        (fault,) = rows.faults_of(tag)["poll_interval_ms"]
        assert fault.startswith("It is the heartbeat of press-2. beat is polled every 2001 ms")
        tag.poll_interval_ms = 0
        assert "never polled" in rows.faults_of(tag)["poll_interval_ms"][0]

    def test_with_a_wrong_limit_tells_only_that(self, profile):
        tag = rows.stored(rows.register(profile, poll_interval_ms=1000))
        assert list(rows.faults_of(plc(tag, watched_tag=tag, watched_limit_s=0))) == ["watched_limit_s"]


class TestBoth:
    @pytest.mark.parametrize("field", ["heartbeat_tag", "watched_tag"])
    def test_are_tags_of_the_plc_s_own_profile(self, tag, field):
        other = rows.stored(rows.profile(name="oven"))
        (fault,) = rows.faults_of(rows.plc(other, **{field: tag}))[field]
        assert fault == "beat belongs to the profile batch-machine: take a tag of this PLC's own."

    @pytest.mark.parametrize("field", ["heartbeat_tag", "watched_tag"])
    def test_are_looked_at_again_when_the_plc_becomes_another_machine(self, tag, field):
        stored = rows.stored(plc(tag, **{field: tag}))
        stored.profile = rows.stored(rows.profile(name="oven"))
        assert list(rows.faults_of(stored)) == [field]

    @pytest.mark.parametrize("field", ["heartbeat_tag", "watched_tag"])
    def test_of_nonsense_are_told_as_such(self, tag, field):
        Tag.objects.update(data_type="int128")
        tag.refresh_from_db()
        assert rows.faults_of(plc(tag, **{field: tag})) == {
            field: ["This tag has mistakes of its own: mend them first."]
        }

    def test_are_not_needed(self, profile):
        assert not rows.faults_of(rows.plc(profile))


class TestWatching:
    @pytest.mark.parametrize(
        ("field", "wrong", "words"),
        [
            ("is_recorded", {"is_recorded": True, "poll_interval_ms": 0}, "nothing would be recorded"),
            ("dead_band", {"dead_band": 1, "data_type": "bool"}, "A bool is not a number"),
            ("dead_band", {"dead_band": 1, "data_type": "string", "length": 2}, "A string is not a number"),
            ("dead_band", {"dead_band": -1}, "0 to"),
            ("poll_interval_ms", {"poll_interval_ms": 10}, "0 (never) or 50"),
            ("poll_interval_ms", {"poll_interval_ms": 3_600_001}, "0 (never) or 50"),
            ("record_every_s", {"record_every_s": 0}, "1 to 86400"),
        ],
    )
    def test_tells_a_mistake_at_its_field(self, profile, field, wrong, words):
        (fault,) = rows.faults_of(rows.register(profile, **wrong))[field]
        assert words in fault

    def test_of_a_number_may_have_a_dead_band_and_a_history(self, profile):
        assert not rows.faults_of(rows.register(profile, dead_band=0.5, is_recorded=True, poll_interval_ms=50))

    def test_may_be_off(self, profile):
        assert not rows.faults_of(rows.register(profile, poll_interval_ms=0))
