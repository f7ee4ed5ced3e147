"""An engineer registers a PLC."""

import pytest
from django.utils import timezone

from devices.models import PLC, Run
from tests.admin import pages
from tests.models import rows

ADD = "plc/add/"


@pytest.fixture
def fields(engineer, profile):
    usual = {"name": "press-1", "profile": profile.pk, "host": "192.168.0.10"}
    return pages.fields_of(engineer, ADD) | usual


class TestPLC:
    def test_is_stored(self, engineer, fields):
        assert pages.send(engineer, ADD, fields | {"area": "Hall A"}) == []
        plc = PLC.objects.get()
        assert (plc.name, plc.host, plc.port, plc.max_connections, plc.is_enabled) == (
            "press-1",
            "192.168.0.10",
            502,
            1,
            True,
        )

    @pytest.mark.parametrize(
        ("field", "wrong", "words"),
        [
            ("name", "Press 1", "for example press-1"),
            ("name", "12", "at least one letter"),
            ("profile", "", "required"),
            ("host", "", "required"),
            ("host", "192.168.0.300", "not a whole IP address"),
            ("host", "http://press-1/", "without http://"),
            ("host", "press-1:502", "port has a field of its own"),
            ("port", 0, "1 to 65535"),
            ("port", 65536, "1 to 65535"),
            ("unit_id", 256, "0 to 255"),
            ("connect_timeout_s", 0, "0.05 to 60"),
            ("connect_timeout_s", "nan", "Enter a number"),
            ("response_timeout_s", 61, "0.05 to 60"),
            ("max_connections", 0, "1 to 32"),
            ("max_connections", 33, "1 to 32"),
            ("max_waiting", 0, "1 to 1000"),
            ("turn_timeout_s", 0, "0.1 to 3600"),
            ("keep_open_s", -1, "0 to 3600"),
            ("title", "Press\u202e", "U+202E"),
        ],
    )
    def test_tells_a_mistake_at_its_field(self, engineer, fields, field, wrong, words):
        (complaint,) = pages.send(engineer, ADD, fields | {field: wrong})
        assert complaint.startswith(f"{field}: ")
        assert words in complaint
        assert not PLC.objects.exists()

    def test_of_a_name_that_is_taken_is_told(self, engineer, profile, fields):
        rows.stored(rows.plc(profile))
        (complaint,) = pages.send(engineer, ADD, fields)
        assert complaint.startswith("name: ")

    def test_is_found_in_the_list(self, engineer, profile):
        rows.stored(rows.plc(profile, area="Hall A"))
        rows.stored(rows.plc(profile, name="oven-1", area="Hall B", host="::1"))
        page = engineer.get("/admin/devices/plc/").content.decode()
        assert "192.168.0.10:502" in page
        assert "[::1]:502" in page
        page = engineer.get("/admin/devices/plc/?area=Hall+B").content.decode()
        assert "oven-1" in page
        assert "press-1" not in page
        assert "press-1" in engineer.get("/admin/devices/plc/?q=168.0").content.decode()


class TestDeletion:
    def test_of_a_plc_without_runs_works(self, engineer, profile):
        plc = rows.stored(rows.plc(profile))
        assert engineer.post(f"/admin/devices/plc/{plc.pk}/delete/", {"post": "yes"}).status_code == 302
        assert not PLC.objects.exists()

    def test_of_a_plc_with_runs_is_refused_with_what_to_do_instead(self, engineer, profile):
        plc = rows.stored(rows.plc(profile))
        for _ in range(2):
            Run.objects.create(plc=plc, plc_name="press-1", command="start_batch", accepted_at=timezone.now())
        page = engineer.post(f"/admin/devices/plc/{plc.pk}/delete/", {"post": "yes"}).content.decode()
        assert "2 runs of press-1" in page
        assert "untick “enabled” instead" in page
        assert PLC.objects.exists()

    @pytest.mark.parametrize("kind", ["plc", "command", "run", "profile", "tag", "apikey"])
    def test_in_bulk_does_not_exist(self, engineer, profile, command, kind):
        plc = rows.stored(rows.plc(profile))
        Run.objects.create(plc=plc, plc_name="press-1", command="start_batch", accepted_at=timezone.now())
        address = f"/admin/devices/{kind}/"
        assert "delete_selected" not in engineer.get(address).content.decode()
        engineer.post(address, {"action": "delete_selected", "_selected_action": [plc.pk], "post": "yes"})
        assert PLC.objects.exists()
        assert Run.objects.exists()


class TestHeartbeats:
    @pytest.fixture
    def counter(self, profile):
        return rows.stored(rows.register(profile, name="beat", address=100))

    def test_are_chosen_among_the_tags_of_its_own_profile(self, engineer, profile, counter):
        rows.stored(rows.register(rows.stored(rows.profile(name="oven")), name="of_an_oven"))
        plc = rows.stored(rows.plc(profile))
        for address in (f"plc/{plc.pk}/change/", f"plc/add/?profile={profile.pk}"):
            page = engineer.get(pages.ADMIN + address).content.decode()
            assert page.count("beat · 4x holding 100 · uint16") == 2
            assert "of_an_oven" not in page

    @pytest.mark.parametrize("profile_ref", ["", "abc", "-1", "9" * 30, "²"])
    def test_of_a_new_plc_are_none_before_its_profile_is_known(self, engineer, counter, profile_ref):
        page = engineer.get(f"/admin/devices/plc/add/?profile={profile_ref}")
        assert page.status_code == 200
        assert "beat ·" not in page.content.decode()

    def test_are_stored(self, engineer, profile, fields, counter):
        ack = profile.tags.get(name="ack")
        sent = {"heartbeat_tag": counter.pk, "heartbeat_interval_ms": 250, "watched_tag": ack.pk, "watched_limit_s": 4}
        assert pages.send(engineer, ADD, fields | sent) == []
        plc = PLC.objects.get()
        assert (plc.heartbeat_tag, plc.heartbeat_interval_ms) == (counter, 250)
        assert (plc.watched_tag, plc.watched_limit_s) == (ack, 4.0)

    @pytest.mark.parametrize(
        ("field", "wrong", "words"),
        [
            ("heartbeat_tag", {"heartbeat_tag": "ack"}, "can only be read"),
            ("heartbeat_interval_ms", {"heartbeat_interval_ms": 10}, "50 to 60000"),
            ("watched_tag", {"watched_tag": "ack", "watched_limit_s": 2}, "at least 3 times"),
            ("watched_tag", {"watched_tag": "beat", "heartbeat_tag": "beat"}, "our writing"),
            ("watched_limit_s", {"watched_limit_s": 0}, "0.2 to 3600"),
        ],
    )
    def test_tell_a_mistake_at_their_field(self, engineer, profile, fields, counter, field, wrong, words):
        tags = {tag.name: tag.pk for tag in profile.tags.all()}
        (complaint,) = pages.send(
            engineer, ADD, fields | {name: tags.get(value, value) for name, value in wrong.items()}
        )
        assert complaint.startswith(f"{field}: ")
        assert words in complaint
        assert not PLC.objects.exists()

    def test_do_not_stay_when_the_plc_becomes_another_machine(self, engineer, profile, counter):
        plc = rows.stored(rows.plc(profile, heartbeat_tag=counter))
        other = rows.stored(rows.profile(name="oven"))
        address = f"plc/{plc.pk}/change/"
        sent = pages.fields_of(engineer, address) | {"profile": other.pk}
        (complaint,) = pages.send(engineer, address, sent)
        assert complaint.startswith("heartbeat_tag: beat belongs to the profile batch-machine")
        assert pages.send(engineer, address, sent | {"heartbeat_tag": ""}) == []
