"""Every mistake in a profile or a PLC is told at its field."""

import math

import pytest
from django.db.models import ProtectedError, RestrictedError
from django.utils import timezone

from devices.models import PLC, Command, Profile, Run, Tag
from tests.models import rows

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def profile():
    return rows.stored(rows.profile())


class TestProfile:
    def test_has_the_protocol_s_own_limits_by_default(self):
        limits = rows.profile().limits()
        assert (limits.read_registers, limits.read_bits) == (125, 2000)
        assert (limits.write_registers, limits.write_bits) == (123, 1968)

    @pytest.mark.parametrize(
        ("field", "most"),
        [
            ("read_registers_limit", 125),
            ("read_bits_limit", 2000),
            ("write_registers_limit", 123),
            ("write_bits_limit", 1968),
        ],
    )
    def test_stays_within_the_protocol(self, field, most):
        assert not rows.faults_of(rows.profile(**{field: most}))
        for wrong in (0, most + 1):
            (fault,) = rows.faults_of(rows.profile(**{field: wrong}))[field]
            assert f"1 to {most}" in fault

    def test_probes_an_address_that_exists(self):
        assert not rows.faults_of(rows.profile(probe_address=65535))
        assert "0 to 65535" in rows.faults_of(rows.profile(probe_address=65536))["probe_address"][0]

    def test_has_a_name_of_its_own(self, profile):
        assert list(rows.faults_of(rows.profile())) == ["name"]
        assert list(rows.faults_of(rows.profile(name="Batch Machine"))) == ["name"]

    def test_may_be_described_in_several_lines(self):
        assert not rows.faults_of(rows.profile(description="one\r\ntwo"))
        assert list(rows.faults_of(rows.profile(description="\u202eone"))) == ["description"]

    def test_goes_with_its_tags_and_commands(self, profile):
        tag, command = rows.stored(rows.register(profile)), rows.stored(rows.command(profile))
        parameter = rows.stored(rows.parameter(command))
        rows.stored(rows.step(command, tag, value="", parameter=parameter))
        profile.delete()
        assert not Tag.objects.exists()
        assert not Command.objects.exists()

    def test_stays_while_a_plc_is_of_its_type(self, profile):
        rows.stored(rows.plc(profile))
        with pytest.raises(ProtectedError):
            profile.delete()

    def test_keeps_the_tags_that_steps_use(self, profile):
        tag, command = rows.stored(rows.coil(profile)), rows.stored(rows.command(profile))
        rows.stored(rows.step(command, tag))
        with pytest.raises(RestrictedError):
            tag.delete()


class TestPLC:
    def test_that_is_right_is_stored(self, profile):
        rows.stored(rows.plc(profile))
        assert PLC.objects.get().is_enabled

    @pytest.mark.parametrize(
        ("field", "wrong"),
        [
            ("name", "12"),
            ("name", "Press 1"),
            ("host", "http://press-1"),
            ("host", "192.168.0.300"),
            ("port", 0),
            ("port", 65536),
            ("unit_id", 256),
            ("unit_id", -1),
            ("connect_timeout_s", 0),
            ("connect_timeout_s", -1),
            ("connect_timeout_s", 61),
            ("connect_timeout_s", math.nan),
            ("response_timeout_s", 0),
            ("response_timeout_s", math.inf),
            ("pause_after_connect_ms", 10_001),
            ("pause_between_ms", 10_001),
            ("max_connections", 0),
            ("max_connections", 33),
            ("max_waiting", 0),
            ("turn_timeout_s", 0),
            ("turn_timeout_s", 3601),
            ("keep_open_s", -1),
            ("title", "Press\u202e 1"),
            ("area", "Hall\0A"),
        ],
    )
    def test_tells_a_mistake_at_its_field(self, profile, field, wrong):
        assert list(rows.faults_of(rows.plc(profile, **{field: wrong}))) == [field]

    def test_has_a_name_of_its_own(self, profile):
        rows.stored(rows.plc(profile))
        assert list(rows.faults_of(rows.plc(profile, host="192.168.0.11"))) == ["name"]

    def test_with_runs_stays(self, profile):
        plc = rows.stored(rows.plc(profile))
        Run.objects.create(plc=plc, plc_name=plc.name, command="start_batch", accepted_at=timezone.now())
        with pytest.raises(ProtectedError):
            plc.delete()
        assert Profile.objects.exists()
