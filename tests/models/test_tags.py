"""Every mistake in a tag is told at its field, before a machine can meet it."""

from decimal import Decimal

import pytest

from devices.modbus.types import ByteOrder, DataType, Table
from devices.models import Tag
from tests.models import rows

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def profile():
    return rows.stored(rows.profile())


class TestPlace:
    @pytest.mark.parametrize(
        ("data_type", "highest"), [("uint16", 65535), ("float32", 65534), ("uint64", 65532), ("bool", 65535)]
    )
    def test_ends_with_its_table(self, profile, data_type, highest):
        assert not rows.faults_of(rows.register(profile, data_type=data_type, address=highest))
        (fault,) = rows.faults_of(rows.register(profile, data_type=data_type, address=highest + 1))["address"]
        assert str(highest) in fault or "0 to 65535" in fault

    def test_counts_the_length_of_a_string(self, profile):
        text = {"data_type": "string", "length": 10}
        assert not rows.faults_of(rows.register(profile, address=65526, **text))
        assert rows.faults_of(rows.register(profile, address=65527, **text)) == {
            "address": [
                "A table ends at address 65535, and this tag takes 10 addresses: the highest possible one is 65526."
            ]
        }

    @pytest.mark.parametrize("address", [-1, 65536, 400001])
    def test_lies_in_the_table(self, profile, address):
        faults = rows.faults_of(rows.coil(profile, address=address))
        assert any("count from zero" in fault for fault in faults["address"])

    @pytest.mark.parametrize("table", ["coil", "discrete_input"])
    @pytest.mark.parametrize("data_type", [each for each in DataType if each is not DataType.BOOL])
    def test_of_a_bit_holds_a_bool_only(self, profile, table, data_type):
        tag = rows.coil(profile, table=table, data_type=data_type, length=2 if data_type is DataType.STRING else 0)
        (fault,) = rows.faults_of(tag)["data_type"]
        assert fault.endswith("is a single bit: its data type must be bool.")


class TestBit:
    def test_picks_a_bool_out_of_a_register(self, profile):
        assert not rows.faults_of(rows.register(profile, data_type="bool", bit=15))

    def test_is_not_needed_where_not_zero_means_true(self, profile):
        assert not rows.faults_of(rows.register(profile, data_type="bool"))

    def test_is_one_of_sixteen(self, profile):
        faults = rows.faults_of(rows.register(profile, data_type="bool", bit=16))
        assert faults == {"bit": ["A register has the bits 0 (least significant) to 15."]}

    def test_is_not_in_a_coil(self, profile):
        assert "no bits of its own" in rows.faults_of(rows.coil(profile, bit=0))["bit"][0]

    def test_is_not_in_a_number(self, profile):
        assert "uint16 takes all of it" in rows.faults_of(rows.register(profile, bit=0))["bit"][0]


class TestLength:
    def test_is_what_a_string_needs(self, profile):
        assert not rows.faults_of(rows.register(profile, data_type="string", length=10))
        assert "needs its length" in rows.faults_of(rows.register(profile, data_type="string"))["length"][0]

    def test_is_only_a_string_s(self, profile):
        assert "uint16 has its own" in rows.faults_of(rows.register(profile, length=1))["length"][0]

    def test_fits_one_request_of_the_profile(self, profile):
        profile.read_registers_limit = 10
        assert not rows.faults_of(rows.register(profile, data_type="string", length=10))
        faults = rows.faults_of(rows.register(profile, data_type="string", length=11))
        assert "limit for reading is 10" in faults["length"][0]

    def test_of_a_wide_number_fits_too(self, profile):
        profile.read_registers_limit = 2
        assert "limit for reading is 2" in rows.faults_of(rows.register(profile, data_type="int64"))["data_type"][0]


class TestScale:
    def test_is_not_zero(self, profile):
        assert list(rows.faults_of(rows.register(profile, scale=0, minimum=1))) == ["scale"]

    @pytest.mark.parametrize("kind", [{"data_type": "bool"}, {"data_type": "string", "length": 2}])
    def test_is_for_numbers(self, profile, kind):
        faults = rows.faults_of(rows.register(profile, scale=2, offset=1, **kind))
        assert "cannot be scaled" in faults["scale"][0]
        assert "has no offset" in faults["offset"][0]

    def test_has_no_more_digits_than_the_database_keeps(self, profile):
        """SQLite keeps 15 of a decimal: the rest would come back as another number."""
        good = rows.stored(rows.register(profile, scale=Decimal("1.23456789"), offset=Decimal("123456789.012345")))
        assert Tag.objects.get().spec() == good.spec()
        faults = rows.faults_of(rows.register(profile, name="b", offset=Decimal("1234567890.123456")))
        assert faults == {"offset": ["Has 16 significant digits; 15 at most are kept exactly."]}


class TestLimits:
    def test_the_right_way_round_are_fine(self, profile):
        assert not rows.faults_of(rows.register(profile, minimum=1, maximum=10000))
        assert not rows.faults_of(rows.register(profile, minimum=5, maximum=5))

    def test_the_wrong_way_round_are_told(self, profile):
        faults = rows.faults_of(rows.register(profile, minimum=10, maximum=9))
        assert faults == {"maximum": ["Lies below the minimum of 10: no value would be allowed."]}

    @pytest.mark.parametrize(
        ("data_type", "field", "limit"),
        [
            ("uint16", "minimum", -1),
            ("uint16", "maximum", 65536),
            ("int16", "maximum", 32768),
            ("int32", "minimum", -(2**31) - 1),
            ("uint32", "maximum", 2**32),
            ("uint64", "minimum", -1),
        ],
    )
    def test_lie_within_the_type(self, profile, data_type, field, limit):
        faults = rows.faults_of(rows.register(profile, data_type=data_type, **{field: limit}))
        assert f"does not fit {data_type}" in faults[field][0]

    def test_are_in_the_unit_after_scaling(self, profile):
        assert not rows.faults_of(rows.register(profile, scale=Decimal("0.1"), maximum=Decimal("6553.5")))
        assert (
            "does not fit" in rows.faults_of(rows.register(profile, scale=Decimal("0.1"), maximum=7000))["maximum"][0]
        )

    def test_of_whole_numbers_are_whole(self, profile):
        assert "is not whole" in rows.faults_of(rows.register(profile, maximum=Decimal("1.5")))["maximum"][0]

    def test_are_for_numbers(self, profile):
        faults = rows.faults_of(rows.coil(profile, minimum=0, maximum=1))
        assert set(faults) == {"minimum", "maximum"}

    def test_have_no_more_digits_than_the_database_keeps(self, profile):
        faults = rows.faults_of(rows.register(profile, data_type="uint64", maximum=2**64 - 1))
        assert "15 at most" in faults["maximum"][0]
        stored = rows.stored(rows.register(profile, data_type="uint64", maximum=10**19))
        assert Tag.objects.get().spec() == stored.spec()


class TestLabels:
    def test_are_words_for_numbers(self, profile):
        tag = rows.stored(rows.register(profile, labels={"0": "idle", "3": "jam at infeed", "65535": "off"}))
        assert tag.spec().labels == {0: "idle", 3: "jam at infeed", 65535: "off"}

    @pytest.mark.parametrize(
        "labels",
        ["idle", ["idle"], 5, {"idle": "0"}, {"1.5": "x"}, {"01": "x"}, {"-0": "x"}, {"": "x"}, {"٣": "x"}, {"0": 1},
         {"0": ""}, {"0": None}, {"9" * 30: "x"}],
    )  # fmt: skip
    def test_have_their_form(self, profile, labels):
        assert 'Write {"number": "text"' in rows.faults_of(rows.register(profile, labels=labels))["labels"][0]

    @pytest.mark.parametrize("labels", [None, {}, [], ""])
    def test_may_be_missing(self, profile, labels):
        assert rows.stored(rows.register(profile, labels=labels)).labels == {}

    def test_hide_nothing(self, profile):
        assert "U+202E" in rows.faults_of(rows.register(profile, labels={"0": "id\u202ele"}))["labels"][0]

    def test_are_of_numbers_that_occur(self, profile):
        assert "never occurs in uint16" in rows.faults_of(rows.register(profile, labels={"-1": "x"}))["labels"][0]

    def test_are_told_apart(self, profile):
        faults = rows.faults_of(rows.register(profile, labels={"0": "Idle", "1": "idle "}))
        assert "Two numbers are called 'idle'" in faults["labels"][0]

    def test_are_for_numbers(self, profile):
        assert "a bool is none" in rows.faults_of(rows.coil(profile, labels={"0": "off"}))["labels"][0]


class TestName:
    def test_stands_once_in_a_profile(self, profile):
        rows.stored(rows.coil(profile))
        faults = rows.faults_of(rows.coil(profile, address=1))
        assert faults == {"name": ["The profile has another tag named start: a name stands once in a profile."]}

    def test_may_stand_in_another_profile(self, profile):
        rows.stored(rows.coil(profile))
        assert not rows.faults_of(rows.coil(rows.stored(rows.profile(name="other"))))

    def test_is_an_identifier(self, profile):
        assert "a letter first" in rows.faults_of(rows.coil(profile, name="Start!"))["name"][0]

    @pytest.mark.parametrize("field", ["description", "unit"])
    def test_and_other_texts_hide_nothing(self, profile, field):
        assert "U+0000" in rows.faults_of(rows.coil(profile, **{field: "a\0b"}))[field][-1]


class TestUse:
    """A tag that commands use does not change under them."""

    @pytest.fixture
    def command(self, profile):
        return rows.stored(rows.command(profile))

    def test_a_type_that_its_constant_does_not_fit_is_refused(self, profile, command):
        tag = rows.stored(rows.register(profile))
        rows.stored(rows.step(command, tag, value="40000"))
        tag.data_type = "int16"
        (fault,) = rows.faults_of(tag)["data_type"]
        assert "start_batch: write batch_size set 40000" in fault
        assert "does not fit int16" in fault

    def test_a_table_that_cannot_be_written_is_refused(self, profile, command):
        tag = rows.stored(rows.register(profile))
        rows.stored(rows.step(command, tag))
        tag.table = "input_register"
        assert "can only be read" in rows.faults_of(tag)["table"][0]

    def test_limits_that_a_parameter_exceeds_are_refused(self, profile, command):
        tag = rows.stored(rows.register(profile))
        parameter = rows.stored(rows.parameter(command, maximum=1000))
        rows.stored(rows.step(command, tag, value="", parameter=parameter))
        tag.maximum = Decimal(999)
        assert "maximum of parameter batch_size" in rows.faults_of(tag)["maximum"][0]

    def test_a_label_that_a_step_says_stays(self, profile, command):
        tag = rows.stored(rows.register(profile, labels={"4": "idle"}))
        rows.stored(rows.step(command, tag, phase="check", operator="==", value="idle"))
        tag.labels = {}
        assert "start_batch: check batch_size == idle" in rows.faults_of(tag)["labels"][0]

    def test_a_harmless_change_is_fine(self, profile, command):
        tag = rows.stored(rows.register(profile))
        rows.stored(rows.step(command, tag))
        tag.data_type, tag.address, tag.name = "uint32", 100, "size"
        assert not rows.faults_of(tag)


class TestSpec:
    def test_is_the_tag_as_the_machine_s_floors_know_it(self, profile):
        tag = rows.stored(
            rows.register(
                profile,
                data_type="int32",
                byte_order="CDAB",
                scale=Decimal("0.10"),
                offset=-5,
                unit="°C",
                minimum=0,
                maximum=100,
            )
        )
        spec = Tag.objects.get(pk=tag.pk).spec()
        assert (spec.table, spec.data_type, spec.byte_order) == (
            Table.HOLDING_REGISTER,
            DataType.INT32,
            ByteOrder.CDAB,
        )
        # Written as the engineer did, since messages show them.
        assert [str(each) for each in (spec.scale, spec.offset, spec.minimum, spec.maximum)] == [
            "0.1",
            "-5",
            "0",
            "100",
        ]

    def test_of_nonsense_is_told_at_the_field_only(self, profile):
        tag = rows.register(profile, table="attic", data_type="int128", scale="abc", address=None)
        assert set(rows.faults_of(tag)) == {"table", "data_type", "scale", "address"}
