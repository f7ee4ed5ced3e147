"""Every mistake in a command, a parameter or a step is told at its field, before a machine can meet it."""

import math

import pytest

from devices.models.step_rules import BIT_CONDITIONS, CONDITIONS, OPERATORS_OF
from tests.models import rows

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def profile():
    return rows.stored(rows.profile())


@pytest.fixture
def command(profile):
    return rows.stored(rows.command(profile))


@pytest.fixture
def size(profile):
    return rows.stored(rows.register(profile, minimum=1, maximum=10000))


@pytest.fixture
def start(profile):
    return rows.stored(rows.coil(profile))


class TestCommand:
    @pytest.mark.parametrize(
        ("field", "wrong"),
        [
            ("name", "start-batch"),
            ("title", "a\u202eb"),
            ("description", "a\0b"),
            ("time_limit_s", 0),
            ("time_limit_s", -1),
            ("time_limit_s", math.nan),
            ("time_limit_s", 3601),
            ("poll_interval_ms", 0),
            ("poll_interval_ms", 10_001),
        ],
    )
    def test_tells_a_mistake_at_its_field(self, profile, field, wrong):
        assert list(rows.faults_of(rows.command(profile, **{field: wrong}))) == [field]

    def test_has_a_name_of_its_own_in_the_profile(self, profile, command):
        assert "another command named start_batch" in rows.faults_of(rows.command(profile))["name"][0]

    def test_stays_with_the_machine_type_of_its_tags(self, command, start):
        rows.stored(rows.step(command, start))
        command.profile = rows.stored(rows.profile(name="other"))
        assert "stays with its machine type" in rows.faults_of(command)["profile"][0]

    def test_without_a_profile_is_told_at_the_profile_only(self):
        assert list(rows.faults_of(rows.command(None))) == ["profile"]


class TestParameter:
    @pytest.mark.parametrize(
        "good",
        [
            {"data_type": "integer", "minimum": 1, "maximum": 10000, "default": 15},
            {"data_type": "number", "minimum": -0.5, "maximum": 0.5, "default": 0},
            {"data_type": "number", "default": 21.5},
            {"data_type": "boolean", "default": False},
            {"data_type": "text", "default": "A 1"},
            {"data_type": "integer", "minimum": 5, "maximum": 5},
        ],
    )
    def test_that_is_right_is_stored(self, command, good):
        rows.stored(rows.parameter(command, **good))

    @pytest.mark.parametrize(
        ("field", "wrong", "words"),
        [
            ("name", {"name": "Size"}, "a letter first"),
            ("label", {"label": "a\u202eb"}, "U+202E"),
            ("unit", {"unit": "a\0b"}, "U+0000"),
            ("data_type", {"data_type": "colour"}, "not a valid choice"),
            ("maximum", {"minimum": 5, "maximum": 4}, "below the minimum of 5"),
            ("minimum", {"minimum": 0.5}, "whole numbers"),
            ("minimum", {"data_type": "number", "minimum": math.nan}, "finite"),
            ("maximum", {"data_type": "number", "maximum": math.inf}, "finite"),
            ("maximum", {"data_type": "text", "maximum": 5}, "not a text"),
            ("minimum", {"data_type": "boolean", "minimum": 0}, "not a boolean"),
            ("default", {"default": "15"}, "a whole number"),
            ("default", {"default": 1.5}, "a whole number"),
            ("default", {"default": True}, "a whole number"),
            ("default", {"default": [1]}, "a whole number"),
            ("default", {"data_type": "number", "default": False}, "a number"),
            ("default", {"data_type": "number", "default": math.nan}, "a number"),
            ("default", {"data_type": "boolean", "default": 1}, "true or false"),
            ("default", {"data_type": "text", "default": 1}, "text"),
            ("default", {"data_type": "text", "default": "a\u202eb"}, "U+202E"),
            ("default", {"minimum": 1, "default": 0}, "below the minimum of 1"),
            ("default", {"maximum": 10, "default": 11}, "above the maximum of 10"),
        ],
    )
    def test_tells_a_mistake_at_its_field(self, command, field, wrong, words):
        faults = rows.faults_of(rows.parameter(command, **wrong))
        assert list(faults) == [field]
        assert words in faults[field][0]

    def test_has_a_name_of_its_own_in_the_command(self, command):
        rows.stored(rows.parameter(command))
        assert "another parameter named batch_size" in rows.faults_of(rows.parameter(command))["name"][0]

    def test_does_not_change_under_the_steps_that_use_it(self, command, size):
        parameter = rows.stored(rows.parameter(command))
        rows.stored(rows.step(command, size, value="", parameter=parameter))
        parameter.data_type = "text"
        (fault,) = rows.faults_of(parameter)["data_type"]
        assert "start_batch: write batch_size set {batch_size}" in fault
        parameter.data_type, parameter.maximum = "integer", 10001
        (fault,) = rows.faults_of(parameter)["maximum"]
        assert "10001 is above the maximum; allowed: whole numbers from 1 to 10000" in fault


class TestOperator:
    @pytest.mark.parametrize("phase", OPERATORS_OF)
    @pytest.mark.parametrize("operator", ["set", "get", *CONDITIONS])
    def test_fits_the_phase(self, command, size, phase, operator):
        step = rows.step(
            command,
            size,
            phase=phase,
            operator=operator,
            value="" if operator == "get" else "1",
            timeout_s=5 if phase == "wait" and operator in CONDITIONS else None,
        )
        faults = rows.faults_of(step)
        assert ("operator" in faults) == (operator not in OPERATORS_OF[phase])
        assert "operator" in faults or not faults

    def test_says_what_the_phase_does(self, command, size):
        faults = rows.faults_of(rows.step(command, size, phase="trigger", operator="=="))
        assert faults == {"operator": ["The trigger sets a tag: use set."]}

    @pytest.mark.parametrize("operator", ["<", "<=", ">", ">="])
    def test_does_not_order_what_has_no_order(self, profile, command, start, operator):
        step = rows.step(command, start, phase="check", operator=operator, value="true")
        assert "use == or !=" in rows.faults_of(step)["operator"][0]
        text = rows.stored(rows.register(profile, data_type="string", length=2))
        step = rows.step(command, text, phase="check", operator=operator, value="ab")
        assert "use == or !=" in rows.faults_of(step)["operator"][0]


class TestTag:
    @pytest.mark.parametrize("table", ["discrete_input", "input_register"])
    @pytest.mark.parametrize("phase", ["write", "trigger", "cleanup"])
    def test_that_can_only_be_read_is_not_written(self, profile, command, table, phase):
        tag = rows.stored(rows.coil(profile, table=table))
        faults = rows.faults_of(rows.step(command, tag, phase=phase))
        assert list(faults) == ["tag"]
        assert "can only be read" in faults["tag"][0]

    def test_that_can_only_be_read_is_looked_at(self, profile, command):
        tag = rows.stored(rows.coil(profile, table="discrete_input"))
        assert not rows.faults_of(rows.step(command, tag, phase="wait", operator="==", timeout_s=1))

    def test_is_of_the_command_s_profile(self, command):
        foreign = rows.stored(rows.coil(rows.stored(rows.profile(name="other"))))
        faults = rows.faults_of(rows.step(command, foreign))
        assert faults == {"tag": ["start belongs to another profile: this command runs on batch-machine."]}

    def test_wider_than_the_profile_s_writes_is_not_written(self, profile, command):
        wide = rows.stored(rows.register(profile, data_type="uint64"))
        profile.write_registers_limit = 3
        profile.save()
        command.refresh_from_db()
        assert "limit for writing is 3" in rows.faults_of(rows.step(command, wide))["tag"][0]

    def test_of_two_registers_is_not_written_where_only_single_writes_are_known(self, profile, command, size):
        """FC6 would write it in halves, and the PLC would act on a number that nobody meant."""
        wide = rows.stored(rows.register(profile, name="wide", data_type="float32"))
        profile.write_functions = "single"
        profile.save()
        command.refresh_from_db()
        assert "FC16" in rows.faults_of(rows.step(command, wide))["tag"][0]
        assert not rows.faults_of(rows.step(command, size))
        assert not rows.faults_of(rows.step(command, wide, phase="read", operator="get", value=""))


class TestValue:
    @pytest.mark.parametrize("text", ["15", "0x1F", "10000", "1.0"])
    def test_is_said_as_one_would(self, command, size, text):
        assert not rows.faults_of(rows.step(command, size, value=text))

    @pytest.mark.parametrize(
        ("text", "words"),
        [("0", "below the minimum"), ("10001", "above the maximum"), ("1.5", "not whole"), ("x", "not a number"),
         ("nan", "NaN"), ("1,5", "comma"), ("1e400", "infinity")],
    )  # fmt: skip
    def test_fits_the_tag(self, command, size, text, words):
        faults = rows.faults_of(rows.step(command, size, value=text))
        assert list(faults) == ["value"]
        assert words in faults["value"][0]

    @pytest.mark.parametrize("text", ["true", "off", "1", "0"])
    def test_of_a_bool_is_a_switch_position(self, command, start, text):
        assert not rows.faults_of(rows.step(command, start, value=text))

    def test_of_a_bool_is_nothing_else(self, command, start):
        assert "2" in rows.faults_of(rows.step(command, start, value="2"))["value"][0]

    def test_of_a_text_fits_its_length(self, profile, command):
        text = rows.stored(rows.register(profile, data_type="string", length=2))
        assert not rows.faults_of(rows.step(command, text, value="abcd"))
        assert "does not fit" in rows.faults_of(rows.step(command, text, value="abcde"))["value"][0]

    def test_may_be_a_label(self, profile, command):
        state = rows.stored(rows.register(profile, labels={"4": "Idle"}))
        assert not rows.faults_of(rows.step(command, state, phase="check", operator="==", value="idle"))
        assert (
            "Idle" in rows.faults_of(rows.step(command, state, phase="check", operator="==", value="busy"))["value"][0]
        )

    @pytest.mark.parametrize("line", [{}, {"phase": "check", "operator": "=="}])
    def test_is_needed_by_a_set_and_a_comparison(self, command, size, line):
        assert "need a value" in rows.faults_of(rows.step(command, size, **line | {"value": ""}))["value"][0]

    def test_is_a_constant_or_a_parameter(self, command, size):
        parameter = rows.stored(rows.parameter(command))
        assert not rows.faults_of(rows.step(command, size, value="", parameter=parameter))
        assert "not both" in rows.faults_of(rows.step(command, size, value="1", parameter=parameter))["value"][0]

    def test_is_not_for_get(self, command, size):
        assert not rows.faults_of(rows.step(command, size, phase="read", operator="get", value=""))
        faults = rows.faults_of(rows.step(command, size, phase="read", operator="get", value="1"))
        assert faults == {"value": ["A get only reads: leave this empty."]}

    @pytest.mark.parametrize(("text", "is_right"), [("3", True), ("3|jam", True), ("3 | 4", True), ("3|x", False)])
    def test_of_in_is_one_or_several(self, profile, command, text, is_right):
        state = rows.stored(rows.register(profile, labels={"7": "Jam"}))
        step = rows.step(command, state, phase="check", operator="in", value=text)
        assert (list(rows.faults_of(step)) == []) is is_right

    @pytest.mark.parametrize(
        ("text", "is_right"), [("0", True), ("15", True), ("16", False), ("-1", False), ("x", False)]
    )
    @pytest.mark.parametrize("operator", BIT_CONDITIONS)
    def test_of_a_bit_condition_is_the_number_of_a_bit(self, command, size, operator, text, is_right):
        faults = rows.faults_of(rows.step(command, size, phase="check", operator=operator, value=text))
        assert (faults == {}) is is_right
        assert is_right or "has the bits 0 to 15" in faults["value"][0]

    @pytest.mark.parametrize("operator", ["in", *BIT_CONDITIONS])
    def test_of_a_set_or_a_bit_is_no_parameter(self, command, size, operator):
        given = {"value": "", "parameter": rows.stored(rows.parameter(command))}
        assert (
            "constant"
            in rows.faults_of(rows.step(command, size, phase="check", operator=operator, **given))["value"][0]
        )

    @pytest.mark.parametrize("data_type", ["float32", "string"])
    def test_has_bits_only_where_it_is_whole(self, profile, command, data_type):
        tag = rows.stored(rows.register(profile, data_type=data_type, length=2 if data_type == "string" else 0))
        step = rows.step(command, tag, phase="check", operator="bit set", value="0")
        assert "only whole numbers have bits" in rows.faults_of(step)["operator"][0]


class TestReadBack:
    @pytest.mark.parametrize(("tolerance", "is_right"), [(0, True), (0.5, True), (-1, False), (math.nan, False)])
    def test_takes_a_distance(self, command, size, tolerance, is_right):
        assert ("tolerance" in rows.faults_of(rows.step(command, size, tolerance=tolerance))) is not is_right

    def test_is_for_writes_only(self, command, start):
        faults = rows.faults_of(rows.step(command, start, phase="trigger", tolerance=0))
        assert faults == {"tolerance": ["Only a write is read back: leave this empty."]}

    def test_of_what_is_no_number_is_exact(self, command, start):
        assert not rows.faults_of(rows.step(command, start, tolerance=0))
        assert "give 0" in rows.faults_of(rows.step(command, start, tolerance=1))["tolerance"][0]


def test_only_a_fail_if_says_that_the_machine_acted_all_the_same(command, size):
    told = {"operator": "==", "is_applied": True}
    assert not rows.faults_of(rows.step(command, size, phase="fail_if", **told))
    assert list(rows.faults_of(rows.step(command, size, phase="check", **told))) == ["is_applied"]


FLOAT = {"data_type": "float32"}
SCALED = {"data_type": "int16", "scale": "0.1"}
WHOLE = {"data_type": "uint16"}
BOOL = {"data_type": "bool"}
TEXT = {"data_type": "string", "length": 4}


class TestParameterOfAStep:
    @pytest.mark.parametrize(
        ("data_type", "tag"),
        [("integer", WHOLE), ("integer", FLOAT), ("integer", SCALED), ("number", FLOAT), ("number", SCALED),
         ("boolean", BOOL), ("text", TEXT)],
    )  # fmt: skip
    def test_is_of_the_tag_s_type(self, profile, command, data_type, tag):
        parameter = rows.stored(rows.parameter(command, data_type=data_type))
        tag = rows.stored(rows.register(profile, **tag))
        assert not rows.faults_of(rows.step(command, tag, value="", parameter=parameter))

    @pytest.mark.parametrize(
        ("data_type", "tag"),
        [("integer", BOOL), ("integer", TEXT), ("number", WHOLE), ("number", BOOL), ("number", TEXT),
         ("boolean", WHOLE), ("boolean", FLOAT), ("boolean", TEXT), ("text", WHOLE), ("text", BOOL)],
    )  # fmt: skip
    def test_is_of_no_other_type(self, profile, command, data_type, tag):
        parameter = rows.stored(rows.parameter(command, data_type=data_type))
        tag = rows.stored(rows.register(profile, **tag))
        (fault,) = rows.faults_of(rows.step(command, tag, value="", parameter=parameter))["parameter"]
        assert f"Parameter batch_size is a{'n' if data_type == 'integer' else ''} {data_type}" in fault

    @pytest.mark.parametrize(
        "wide", [{"minimum": 0}, {"maximum": 10001}, {"default": 0}, {"minimum": -(2**70)}, {"maximum": 1e300}]
    )
    def test_has_no_limits_beyond_the_tag_s(self, command, size, wide):
        parameter = rows.stored(rows.parameter(command, **wide))
        (fault,) = rows.faults_of(rows.step(command, size, value="", parameter=parameter))["parameter"]
        assert f"The {next(iter(wide))} of parameter batch_size is more than the tag takes" in fault

    def test_may_be_compared_with_beyond_what_may_be_written(self, command, size):
        parameter = rows.stored(rows.parameter(command, minimum=0))
        step = rows.step(command, size, phase="check", operator=">=", value="", parameter=parameter)
        assert not rows.faults_of(step)

    def test_is_of_the_same_command(self, profile, command, size):
        foreign = rows.stored(rows.parameter(rows.stored(rows.command(profile, name="other"))))
        faults = rows.faults_of(rows.step(command, size, value="", parameter=foreign))
        assert faults == {"parameter": ["batch_size is a parameter of another command."]}


class TestTimeout:
    def test_is_needed_by_a_wait(self, command, start):
        step = rows.step(command, start, phase="wait", operator="==")
        assert "needs a limit" in rows.faults_of(step)["timeout_s"][0]

    @pytest.mark.parametrize("timeout_s", [0, -1, 3601, math.nan])
    def test_is_within_reason(self, command, start, timeout_s):
        step = rows.step(command, start, phase="wait", operator="==", timeout_s=timeout_s)
        assert list(rows.faults_of(step)) == ["timeout_s"]

    def test_may_be_given_or_not_for_a_condition_of_cleanup(self, command, start):
        for timeout_s in (None, 2):
            step = rows.step(command, start, phase="cleanup", operator="==", timeout_s=timeout_s)
            assert not rows.faults_of(step)

    @pytest.mark.parametrize("line", [{}, {"phase": "check", "operator": "=="}, {"phase": "cleanup"}])
    def test_means_nothing_elsewhere(self, command, start, line):
        step = rows.step(command, start, timeout_s=1, **line)
        assert "leave this empty" in rows.faults_of(step)["timeout_s"][0]


class TestHalfARow:
    def test_is_told_at_what_is_missing_only(self):
        step = rows.step(None, None, phase="", operator="")
        assert set(rows.faults_of(step)) == {"command", "tag", "phase", "operator"}

    def test_texts_hide_nothing(self, command, start):
        assert list(rows.faults_of(rows.step(command, start, message="a\u202eb"))) == ["message"]
