"""An engineer describes a machine type: what is right is stored, what is wrong is told where it stands."""

from urllib.parse import urlencode

import pytest

from devices.models import Profile, Tag
from tests.admin import pages
from tests.models import rows

ADD = "profile/add/"
TAG = {"name": "start", "table": "coil", "address": 0, "data_type": "bool", "byte_order": "ABCD", "length": 0,
       "scale": "1", "offset": "0"}  # fmt: skip


@pytest.fixture
def fields(engineer):
    return pages.fields_of(engineer, ADD) | {"name": "batch-machine"}


class TestProfile:
    def test_is_stored_with_its_tags(self, engineer, fields):
        pages.add_row(fields, "tags", **TAG)
        setpoint = {"name": "setpoint", "table": "holding_register", "address": 10, "data_type": "float32"}
        pages.add_row(fields, "tags", **TAG | setpoint | {"byte_order": "CDAB", "unit": "°C", "maximum": "300"})
        assert pages.send(engineer, ADD, fields) == []
        assert [tag.name for tag in Profile.objects.get().tags.all()] == ["start", "setpoint"]

    @pytest.mark.parametrize(
        ("field", "wrong", "words"),
        [
            ("name", "Batch Machine", "for example press-1"),
            ("name", "batch\0", "Null characters"),
            ("probe_address", 65536, "0 to 65535"),
            ("read_registers_limit", 126, "1 to 125"),
            ("read_bits_limit", 2001, "1 to 2000"),
            ("write_registers_limit", 124, "1 to 123"),
            ("write_bits_limit", 1969, "1 to 1968"),
        ],
    )
    def test_tells_a_mistake_at_its_field(self, engineer, fields, field, wrong, words):
        (complaint,) = pages.send(engineer, ADD, fields | {field: wrong})
        assert complaint.startswith(f"{field}: ")
        assert words in complaint
        assert not Profile.objects.exists()

    def test_is_the_same_when_nothing_was_typed(self, engineer, profile):
        before = list(Tag.objects.values())
        address = f"profile/{profile.pk}/change/"
        assert pages.send(engineer, address, pages.fields_of(engineer, address)) == []
        assert list(Tag.objects.values()) == before

    def test_leads_to_its_commands_and_plcs(self, engineer, profile, command):
        plc = rows.stored(rows.plc(profile))
        page = engineer.get(f"/admin/devices/profile/{profile.pk}/change/").content.decode()
        for address in (f"command/{command.pk}/change/", f"plc/{plc.pk}/change/", f"command/add/?profile={profile.pk}"):
            assert f'href="/admin/devices/{address}"' in page

    def test_with_plcs_is_not_deleted(self, engineer, profile):
        rows.stored(rows.plc(profile))
        page = engineer.post(f"/admin/devices/profile/{profile.pk}/delete/", {"post": "yes"})
        assert "protected" in page.content.decode()
        assert Profile.objects.exists()

    def test_without_plcs_goes_with_its_commands(self, engineer, profile, command):
        page = engineer.post(f"/admin/devices/profile/{profile.pk}/delete/", {"post": "yes"})
        assert page.status_code == 302
        assert not Profile.objects.exists()


class TestTagRow:
    @pytest.mark.parametrize(
        ("field", "wrong", "words"),
        [
            ("name", {"name": "Start"}, "a letter first"),
            ("name", {"name": "sta\u202ert"}, "a letter first"),
            ("address", {"address": 65536}, "0 to 65535"),
            ("address", {"address": -1}, "greater than or equal to 0"),
            ("address", {"table": "holding_register", "data_type": "float32", "address": 65535}, "is 65534"),
            ("data_type", {"data_type": "float32"}, "must be bool"),
            ("bit", {"bit": 3}, "no bits of its own"),
            ("bit", {"table": "holding_register", "bit": 16}, "0 (least significant) to 15"),
            ("bit", {"table": "holding_register", "data_type": "uint16", "bit": 0}, "uint16 takes all of it"),
            ("length", {"table": "holding_register", "data_type": "string"}, "needs its length"),
            ("length", {"length": 3}, "bool has its own"),
            ("scale", {"table": "holding_register", "data_type": "uint16", "scale": "0"}, "scale of 0"),
            ("scale", {"scale": "2"}, "cannot be scaled"),
            ("offset", {"offset": "2"}, "has no offset"),
            ("scale", {"scale": "1,5"}, "Enter a number"),
            ("minimum", {"minimum": "0"}, "has no limits"),
            ("maximum", {"table": "holding_register", "data_type": "int16", "minimum": "5", "maximum": "4"}, "below"),
            ("maximum", {"table": "holding_register", "data_type": "int16", "maximum": "40000"}, "does not fit int16"),
            ("unit", {"unit": "a\u202eb"}, "U+202E"),
        ],
    )
    def test_tells_a_mistake_at_its_field(self, engineer, fields, field, wrong, words):
        pages.add_row(fields, "tags", **TAG | wrong)
        (complaint,) = pages.send(engineer, ADD, fields)
        assert complaint.startswith(f"tags-0-{field}: ")
        assert words in complaint
        assert not Profile.objects.exists()

    def test_of_a_name_that_another_row_has_is_told(self, engineer, fields):
        pages.add_row(fields, "tags", **TAG)
        pages.add_row(fields, "tags", **TAG | {"address": 1})
        (complaint,) = pages.send(engineer, ADD, fields)
        assert complaint == "tags-1-name: Two tags here are named start: a name stands once."
        assert not Tag.objects.exists()

    def test_of_a_name_that_is_stored_is_told(self, engineer, profile):
        address = f"profile/{profile.pk}/change/"
        fields = pages.fields_of(engineer, address)
        pages.add_row(fields, "tags", **TAG | {"address": 7})
        (complaint,) = pages.send(engineer, address, fields)
        assert complaint.startswith("tags-3-name: ")
        assert Tag.objects.count() == 3

    def test_that_steps_use_does_not_change_under_them(self, engineer, profile, command):
        address = f"profile/{profile.pk}/change/"
        fields = pages.fields_of(engineer, address)
        index = _row_of(fields, "batch_size")
        pages.change_row(fields, "tags", index, maximum="9999")
        (complaint,) = pages.send(engineer, address, fields)
        assert complaint.startswith(f"tags-{index}-maximum: Step “start_batch: write batch_size set {{batch_size}}”")

    def test_that_steps_use_is_not_deleted(self, engineer, profile, command):
        address = f"profile/{profile.pk}/change/"
        fields = pages.fields_of(engineer, address)
        pages.change_row(fields, "tags", _row_of(fields, "ack"), DELETE="on")
        (complaint,) = pages.send(engineer, address, fields)
        assert "start_batch: wait ack ==" in complaint
        assert Tag.objects.filter(name="ack").exists()

    def test_that_no_step_uses_is_deleted(self, engineer, profile):
        address = f"profile/{profile.pk}/change/"
        fields = pages.fields_of(engineer, address)
        pages.change_row(fields, "tags", _row_of(fields, "ack"), DELETE="on")
        assert pages.send(engineer, address, fields) == []
        assert not Tag.objects.filter(name="ack").exists()

    def test_tells_what_its_own_page_would_show(self, engineer, profile):
        """Labels are not in the table, and a bool has none."""
        profile.tags.filter(name="batch_size").update(labels={"1": "one"}, minimum=None, maximum=None)
        address = f"profile/{profile.pk}/change/"
        fields = pages.fields_of(engineer, address)
        index = _row_of(fields, "batch_size")
        pages.change_row(fields, "tags", index, data_type="bool")
        (complaint,) = pages.send(engineer, address, fields)
        assert complaint.startswith(f"tags-{index}-__all__: Labels: Labels are words for numbers")

    def test_makes_limits_of_the_profile_count_at_once(self, engineer, fields):
        wide = {"table": "holding_register", "data_type": "float64"}
        pages.add_row(fields, "tags", **TAG | wide)
        (complaint,) = pages.send(engineer, ADD, fields | {"read_registers_limit": 3})
        assert complaint.startswith("tags-0-data_type: Takes 4 registers")


def _row_of(fields, name) -> int:
    return next(int(key.split("-")[1]) for key, value in fields.items() if key.endswith("-name") and value == name)


class TestTagPage:
    def test_keeps_labels(self, engineer, profile):
        tag = profile.tags.get(name="batch_size")
        address = f"tag/{tag.pk}/change/"
        fields = pages.fields_of(engineer, address) | {"labels": '{"1": "süß"}'}
        assert pages.send(engineer, address, fields) == []
        tag.refresh_from_db()
        assert tag.labels == {"1": "süß"}
        assert pages.fields_of(engineer, address)["labels"] == '{"1": "süß"}'

    @pytest.mark.parametrize(
        ("labels", "words"),
        [("{1: one}", "valid JSON"), ('["one"]', "Write {"), ('{"one": "1"}', "Write {"), ('{"1": 1}', "Write {")],
    )
    def test_tells_malformed_labels(self, engineer, profile, labels, words):
        address = f"tag/{profile.tags.get(name='batch_size').pk}/change/"
        fields = pages.fields_of(engineer, address) | {"labels": labels}
        (complaint,) = pages.send(engineer, address, fields)
        assert complaint.startswith("labels: ")
        assert words in complaint

    @pytest.mark.parametrize("labels", ["", "{}", "[]", "null"])
    def test_takes_none(self, engineer, profile, labels):
        tag = profile.tags.get(name="batch_size")
        address = f"tag/{tag.pk}/change/"
        assert pages.send(engineer, address, pages.fields_of(engineer, address) | {"labels": labels}) == []
        tag.refresh_from_db()
        assert tag.labels == {}

    @pytest.mark.parametrize(
        ("field", "wrong", "words"),
        [
            ("poll_interval_ms", {"poll_interval_ms": 10}, "0 (never) or 50"),
            ("dead_band", {"dead_band": -1}, "0 to"),
            ("is_recorded", {"is_recorded": "on", "poll_interval_ms": 0}, "nothing would be recorded"),
            ("record_every_s", {"record_every_s": 0}, "1 to 86400"),
        ],
    )
    def test_tells_a_mistake_in_how_it_is_watched(self, engineer, profile, field, wrong, words):
        address = f"tag/{profile.tags.get(name='batch_size').pk}/change/"
        (complaint,) = pages.send(engineer, address, pages.fields_of(engineer, address) | wrong)
        assert complaint.startswith(f"{field}: ")
        assert words in complaint

    def test_that_is_a_heartbeat_stays_fit_for_it(self, engineer, profile):
        tag = profile.tags.get(name="batch_size")
        rows.stored(rows.plc(profile, watched_tag=tag))
        address = f"tag/{tag.pk}/change/"
        (complaint,) = pages.send(engineer, address, pages.fields_of(engineer, address) | {"poll_interval_ms": 0})
        assert complaint.startswith("poll_interval_ms: It is the heartbeat of press-1. ")


class TestTheListOfTags:
    """How many tags are watched is set in one place."""

    @pytest.fixture
    def fields(self, engineer, profile):
        formset = engineer.get(pages.ADMIN + "tag/").context["cl"].formset
        forms = [formset.management_form, *formset.forms]
        shown = {field.html_name: field.value() for form in forms for field in form}
        return {name: value for name, value in shown.items() if value is not False} | {"_save": "Save"}

    def test_stores_what_was_set_and_leaves_the_rest(self, engineer, profile, fields):
        before = profile.tags.get(name="ack")
        row = _row_with(fields, profile.tags.get(name="batch_size"))
        fields |= {f"{row}-poll_interval_ms": 250, f"{row}-dead_band": 2, f"{row}-is_recorded": "on"}
        assert engineer.post(pages.ADMIN + "tag/", fields).status_code == 302
        tag = profile.tags.get(name="batch_size")
        assert (tag.poll_interval_ms, tag.dead_band, tag.is_recorded, tag.maximum) == (250, 2.0, True, 10000)
        assert profile.tags.get(name="ack") == before

    def test_tells_a_mistake_in_its_row(self, engineer, profile, fields):
        row = _row_with(fields, profile.tags.get(name="start"))
        page = engineer.post(pages.ADMIN + "tag/", fields | {f"{row}-dead_band": 2}).content.decode()
        assert "A bool is not a number: each change counts" in page
        assert profile.tags.get(name="start").dead_band == 0

    def test_tells_there_what_lies_elsewhere_in_the_tag(self, engineer, profile, fields):
        Tag.objects.filter(name="batch_size").update(scale=0)
        row = _row_with(fields, profile.tags.get(name="batch_size"))
        page = engineer.post(pages.ADMIN + "tag/", fields | {f"{row}-poll_interval_ms": 250}).content.decode()
        assert "Scale: With a scale of 0 every value would read the same" in page


def _row_with(fields, tag) -> str:
    return next(name.rpartition("-")[0] for name, value in fields.items() if name.endswith("-id") and value == tag.pk)


class TestALongForm:
    def test_of_a_hundred_tags_is_stored(self, engineer, fields):
        """1,500 fields, where Django's own limit is 1,000."""
        for number in range(100):
            pages.add_row(fields, "tags", **TAG | {"id": "", "profile": "", "unit": "", "bit": "", "minimum": ""}
                          | {"maximum": "", "name": f"bit_{number}", "address": number})  # fmt: skip
        assert len(fields) > 1000
        assert pages.send(engineer, ADD, fields) == []
        assert Profile.objects.get().tags.count() == 100

    def test_of_too_many_fields_gets_a_page_that_says_so(self, engineer, settings):
        flood = {f"field-{number}": "x" for number in range(settings.DATA_UPLOAD_MAX_NUMBER_FIELDS + 1)}
        answer = engineer.post(
            "/admin/devices/profile/add/",
            urlencode(flood),
            content_type="application/x-www-form-urlencoded",
            headers={"accept": "text/html"},
        )
        assert answer.status_code == 413
        assert "The form has too many fields. Nothing was saved" in answer.content.decode()
        assert not Profile.objects.exists()

    def test_of_too_many_bytes_gets_a_page_that_says_so(self, engineer, settings):
        long = {"name": "x" * settings.DATA_UPLOAD_MAX_MEMORY_SIZE}
        answer = engineer.post(
            "/admin/devices/profile/add/",
            urlencode(long),
            content_type="application/x-www-form-urlencoded",
            headers={"accept": "text/html"},
        )
        assert answer.status_code == 413
        assert "too long. Nothing was saved" in answer.content.decode()
