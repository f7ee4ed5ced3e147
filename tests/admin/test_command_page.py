"""An engineer describes a command: parameters and steps on one page, checked together."""

from functools import partial

import pytest
from django.contrib.auth.models import User

from devices.models import Command, Parameter, Right, Step
from devices.models.sequence_rules import NOT_SENT
from devices.models.step_rules import NOTHING_TO_WAIT_FOR
from tests.access import grant
from tests.admin import pages
from tests.models import rows

PARAMETER = {"name": "batch_size", "data_type": "integer", "minimum": "1", "maximum": "10000", "default": "15"}


@pytest.fixture
def tags(profile):
    return {tag.name: tag.pk for tag in profile.tags.all()}


@pytest.fixture
def add(profile):
    return f"command/add/?profile={profile.pk}"


@pytest.fixture
def fields(engineer, add):
    return pages.fields_of(engineer, add) | {"name": "start_batch"}


@pytest.fixture
def trigger(tags):
    return {"phase": "trigger", "tag": tags["start"], "operator": "set", "value": "true"}


@pytest.fixture
def change(command):
    return f"command/{command.pk}/change/"


def lines():
    return [str(step).partition(": ")[2] for step in Step.objects.order_by("pk")]


class TestNewCommand:
    def test_is_stored_with_steps_that_use_its_new_parameters(self, engineer, add, fields, tags, trigger):
        pages.add_row(fields, "parameters", **PARAMETER)
        pages.change_row(fields, "steps", 0, **trigger)
        pages.add_row(fields, "steps", phase="write", tag=tags["batch_size"], operator="set", value="{batch_size}")
        pages.add_row(fields, "steps", phase="wait", tag=tags["ack"], operator="==", value="1", timeout_s="5")
        pages.add_row(fields, "steps", phase="read", tag=tags["batch_size"], operator="get")
        assert pages.send(engineer, add, fields) == []
        assert lines() == [
            "trigger start set true",
            "write batch_size set {batch_size}",
            "wait ack == 1",
            "read batch_size get",
        ]
        assert Step.objects.get(phase="write").parameter == Parameter.objects.get()
        assert Parameter.objects.get().default == 15

    @pytest.mark.parametrize(("tag", "is_right"), [("ack", True), ("start", False), ("batch_size", False)])
    def test_takes_a_proof_only_of_what_the_machine_itself_sets(
        self, engineer, add, fields, tags, trigger, tag, is_right
    ):
        pages.change_row(fields, "steps", 0, **trigger)
        pages.add_row(fields, "steps", phase="write", tag=tags["batch_size"], operator="set", value="7")
        pages.add_row(fields, "steps", phase="proof", tag=tags[tag], operator="==", value="1")
        complaints = pages.send(engineer, add, fields)
        assert (complaints == []) is is_right
        assert all(text.startswith("steps-2-tag: The command itself writes this tag") for text in complaints)
        assert Command.objects.exists() is is_right

    @pytest.mark.parametrize(("value", "is_warned_of"), [("0", True), ("1", False), (None, False)])
    def test_is_stored_with_a_warning_where_a_restarted_plc_shows_what_proves_it(
        self, engineer, add, fields, tags, trigger, value, is_warned_of
    ):
        pages.change_row(fields, "steps", 0, **trigger)
        if value is not None:
            pages.add_row(fields, "steps", phase="proof", tag=tags["ack"], operator="==", value=value)
        assert pages.send(engineer, add, fields) == []
        assert Step.objects.filter(phase="proof").count() == (value is not None)
        page = engineer.get("/admin/devices/command/").content.decode()
        assert ("shows the same as the proofs of start_batch" in page) is is_warned_of

    @pytest.mark.parametrize(
        ("wrong", "words"),
        [
            ({"operator": "set"}, "A proof looks afterwards whether the machine did it: use =="),
            ({"timeout_s": "5"}, "Only a condition of wait or cleanup is waited for"),
            ({"tolerance": "0"}, "Only a write is read back"),
            ({"is_applied": "on"}, "Only a fail_if says"),
        ],
    )
    def test_tells_what_a_proof_is_not(self, engineer, add, fields, tags, trigger, wrong, words):
        pages.change_row(fields, "steps", 0, **trigger)
        proof = {"phase": "proof", "tag": tags["ack"], "operator": "==", "value": "1"}
        pages.add_row(fields, "steps", **proof | wrong)
        assert any(words in complaint for complaint in pages.send(engineer, add, fields))
        assert not Command.objects.exists()

    def test_needs_no_parameters(self, engineer, add, fields, trigger):
        pages.change_row(fields, "steps", 0, **trigger)
        assert pages.send(engineer, add, fields) == []
        assert lines() == ["trigger start set true"]

    @pytest.mark.parametrize(
        ("field", "wrong", "words"),
        [
            ("name", "Start batch", "a letter first"),
            ("time_limit_s", "0", "0.1 to 3600"),
            ("poll_interval_ms", "0", "1 to 10000"),
            ("title", "a\u202eb", "U+202E"),
            ("profile", "", "required"),
        ],
    )
    def test_tells_a_mistake_at_its_field(self, engineer, add, fields, trigger, *, field, wrong, words):
        pages.change_row(fields, "steps", 0, **trigger)
        complaints = pages.send(engineer, add, fields | {field: wrong})
        assert any(each.startswith(f"{field}: ") and words in each for each in complaints)
        assert not Command.objects.exists()

    def test_of_a_name_that_is_stored_is_told(self, engineer, command, add, trigger):
        fields = pages.fields_of(engineer, add) | {"name": "start_batch"}
        pages.change_row(fields, "steps", 0, **trigger)
        (complaint,) = pages.send(engineer, add, fields)
        assert complaint.startswith("name: The profile has another command named start_batch")

    def test_begins_with_the_machine_type(self, engineer, profile, add):
        page = engineer.get("/admin/devices/command/add/")
        assert page["Location"] == f"/admin/devices/{add}"
        rows.stored(rows.profile(name="other"))
        page = engineer.get("/admin/devices/command/add/").content.decode()
        assert f'href="?profile={profile.pk}"' in page

    def test_without_any_machine_type_leads_to_a_new_one(self, engineer):
        assert engineer.get("/admin/devices/command/add/")["Location"] == "/admin/devices/profile/add/"

    @pytest.mark.parametrize("profile", ["x", "-1", "9" * 30, "²"])
    def test_for_a_machine_type_that_is_not_is_no_error_of_ours(self, engineer, profile):
        assert engineer.get(f"/admin/devices/command/add/?profile={profile}").status_code in (200, 302)

    def test_offers_the_tags_of_its_machine_type_only(self, engineer, add, tags):
        foreign = rows.stored(rows.coil(rows.stored(rows.profile(name="other")), name="foreign"))
        page = engineer.get(f"/admin/devices/{add}").content.decode()
        assert "start · 0x coil 0 · bool" in page
        assert "foreign" not in page.replace(foreign.profile.name, "")

    def test_does_not_take_a_tag_of_another_machine_type(self, engineer, add, fields, trigger):
        foreign = rows.stored(rows.coil(rows.stored(rows.profile(name="other"))))
        pages.change_row(fields, "steps", 0, **trigger | {"tag": foreign.pk})
        complaints = pages.send(engineer, add, fields)
        assert any(each.startswith("steps-0-tag: ") for each in complaints)
        assert not Command.objects.exists()


class TestTrigger:
    def test_none_is_told(self, engineer, add, fields, tags):
        pages.change_row(fields, "steps", 0, phase="write", tag=tags["start"], operator="set", value="1")
        (complaint,) = pages.send(engineer, add, fields)
        assert complaint.startswith("steps: There is no trigger")
        assert not Command.objects.exists()

    def test_no_steps_at_all_are_told(self, engineer, add, fields):
        (complaint,) = pages.send(engineer, add, fields)
        assert complaint.startswith("steps: There is no trigger")

    def test_a_second_one_is_told_at_its_row(self, engineer, add, fields, trigger):
        pages.change_row(fields, "steps", 0, **trigger)
        pages.add_row(fields, "steps", **trigger)
        (complaint,) = pages.send(engineer, add, fields)
        assert complaint.startswith("steps-1-phase: A second trigger")
        assert not Command.objects.exists()

    def test_a_deleted_one_does_not_count(self, engineer, change, trigger):
        fields = pages.fields_of(engineer, change)
        pages.change_row(fields, "steps", 1, DELETE="on")
        assert pages.send(engineer, change, fields)[0].startswith("steps: There is no trigger")
        pages.add_row(fields, "steps", **trigger | {"value": "1"})
        assert pages.send(engineer, change, fields) == []
        assert Step.objects.get(phase="trigger").value == "1"

    def test_a_deleted_one_does_not_count_beside_another_mistake(self, engineer, change, trigger):
        fields = pages.fields_of(engineer, change)
        pages.change_row(fields, "steps", 1, DELETE="on")
        pages.change_row(fields, "steps", 2, timeout_s="")
        pages.add_row(fields, "steps", **trigger)
        (complaint,) = pages.send(engineer, change, fields)
        assert complaint.startswith("steps-2-timeout_s: ")


class TestStepRow:
    @pytest.mark.parametrize(
        ("field", "wrong", "words"),
        [
            ("phase", {"phase": ""}, "required"),
            ("tag", {"tag": ""}, "required"),
            ("tag", {"tag": "ack", "value": "1"}, "can only be read"),
            ("operator", {"operator": "=="}, "A write gives a tag its value: use set."),
            ("operator", {"phase": "wait", "timeout_s": "1"}, "use ==, !=, <, <=, >, >=, in, bit set or bit clear"),
            ("operator", {"phase": "check", "tag": "ack", "operator": "<", "value": "1"}, "use == or !="),
            (
                "operator",
                {"phase": "check", "tag": "ack", "value": "1"},
                "A check looks whether a condition holds: use ==",
            ),
            ("value", {"value": ""}, "a constant or a parameter"),
            ("value", {"value": "many"}, "not a number"),
            ("value", {"value": "0"}, "below the minimum"),
            ("value", {"value": "{size}"}, "The command has no parameter size (any more). It has: {batch_size}."),
            ("value", {"value": "{}"}, "no parameter"),
            ("value", {"value": "1\u202e"}, "U+202E"),
            ("value", {"phase": "read", "operator": "get", "value": "1"}, "A get only reads"),
            ("value", {"tag": "start", "value": "{batch_size}"}, "is an integer, and tag start is a bool"),
            ("timeout_s", {"phase": "wait", "tag": "ack", "operator": "==", "value": "1"}, "needs a limit"),
            ("timeout_s", {"timeout_s": "1"}, "leave this empty"),
            ("timeout_s", {"phase": "wait", "operator": "==", "timeout_s": "0"}, "0.05 to 3600"),
            ("position", {"position": "-1"}, "greater than or equal to 0"),
            ("message", {"message": "a\u200bb"}, "U+200B"),
        ],
    )
    def test_tells_a_mistake_at_its_field(self, engineer, change, tags, *, field, wrong, words):
        fields = pages.fields_of(engineer, change)
        row = {"phase": "write", "tag": "batch_size", "operator": "set", "value": "5"} | wrong
        pages.add_row(fields, "steps", **row | {"tag": tags.get(row["tag"], "")})
        (complaint,) = pages.send(engineer, change, fields)
        assert complaint.startswith(f"steps-3-{field}: ")
        assert words in complaint
        assert Step.objects.count() == 3

    def test_of_fail_if_needs_a_wait(self, engineer, change, tags):
        fields = pages.fields_of(engineer, change)
        fields |= {name: "check" for name, value in fields.items() if name.endswith("-phase") and value == "wait"}
        fields |= {name: "" for name in fields if name.endswith("-timeout_s")}
        pages.add_row(fields, "steps", phase="fail_if", tag=tags["ack"], operator="==", value="1")
        assert pages.send(engineer, change, fields) == [f"steps: {NOTHING_TO_WAIT_FOR}"]

    def test_without_a_position_goes_behind_the_others_of_its_phase(self, engineer, change, tags):
        fields = pages.fields_of(engineer, change)
        for value in ("5", "6"):
            pages.add_row(fields, "steps", phase="write", tag=tags["batch_size"], operator="set", value=value)
        assert pages.send(engineer, change, fields) == []
        writes = Step.objects.filter(phase="write").order_by("position")
        assert [(step.value, step.position) for step in writes] == [("", 1), ("5", 2), ("6", 3)]

    def test_takes_a_message_that_was_typed_in_two_lines_as_one_sentence(self, engineer, change):
        fields = pages.fields_of(engineer, change)
        pages.change_row(fields, "steps", 2, message="the machine \r\ndid not answer")
        assert pages.send(engineer, change, fields) == []
        assert Step.objects.get(phase="wait").message == "the machine did not answer"

    def test_rows_stand_in_the_order_in_which_they_run(self, engineer, command, change, tags):
        rows.stored(Step(command=command, tag_id=tags["ack"], phase="check", operator="==", value="0", position=9))
        page = engineer.get(f"/admin/devices/{change}")
        formset = page.context["inline_admin_formsets"][1].formset
        assert [form.instance.phase for form in formset.initial_forms] == ["check", "write", "trigger", "wait"]

    def test_nothing_changes_when_nothing_was_typed(self, engineer, change):
        before = [list(model.objects.values()) for model in (Command, Parameter, Step)]
        assert pages.send(engineer, change, pages.fields_of(engineer, change)) == []
        assert [list(model.objects.values()) for model in (Command, Parameter, Step)] == before

    def test_a_constant_may_take_the_place_of_a_parameter(self, engineer, change):
        fields = pages.fields_of(engineer, change)
        assert fields["steps-0-value"] == "{batch_size}"
        pages.change_row(fields, "steps", 0, value="7")
        pages.change_row(fields, "parameters", 0, DELETE="on")
        assert pages.send(engineer, change, fields) == []
        assert lines()[0] == "write batch_size set 7"
        assert not Parameter.objects.exists()


class TestTheNumberOfTheRun:
    @pytest.fixture
    def echo(self, engineer, profile, tags, add, fields):
        """The fields of a command that sends the number and waits for it."""
        tag = rows.stored(rows.register(profile, name="echo", address=9)).pk
        pages.change_row(
            fields, "steps", 0, phase="trigger", tag=tags["batch_size"], operator="set", value="{sequence}"
        )
        pages.add_row(fields, "steps", phase="wait", tag=tag, operator="==", value="{ sequence }", timeout_s="5")
        return fields

    def test_is_typed_like_a_parameter_and_shown_again(self, engineer, add, echo):
        assert pages.send(engineer, add, echo) == []
        assert lines() == ["trigger batch_size set {sequence}", "wait echo == {sequence}"]
        assert set(Step.objects.values_list("value", "parameter")) == {("{sequence}", None)}
        change = f"command/{Command.objects.get().pk}/change/"
        shown = pages.fields_of(engineer, change)
        assert [shown[f"steps-{row}-value"] for row in (0, 1)] == ["{sequence}", "{sequence}"]
        assert pages.send(engineer, change, shown) == []
        assert set(Step.objects.values_list("value", "parameter")) == {("{sequence}", None)}

    def test_takes_the_place_of_a_parameter_and_gives_it_back(self, engineer, change):
        fields = pages.fields_of(engineer, change)
        pages.change_row(fields, "steps", 0, value="{sequence}")
        pages.change_row(fields, "parameters", 0, DELETE="on")
        assert pages.send(engineer, change, fields) == []
        assert lines()[0] == "write batch_size set {sequence}"
        fields = pages.fields_of(engineer, change)
        pages.add_row(fields, "parameters", **PARAMETER)
        pages.change_row(fields, "steps", 0, value="{batch_size}")
        assert pages.send(engineer, change, fields) == []
        assert lines()[0] == "write batch_size set {batch_size}"
        assert Step.objects.get(phase="write").value == ""

    def test_that_no_step_sends_is_told(self, engineer, add, echo):
        pages.change_row(echo, "steps", 0, value="1")
        assert pages.send(engineer, add, echo) == [f"steps: {NOT_SENT}"]
        assert not Command.objects.exists()

    def test_is_told_at_its_field_where_the_tag_cannot_count(self, engineer, add, echo, tags):
        pages.change_row(echo, "steps", 0, tag=tags["start"])
        complaints = pages.send(engineer, add, echo)
        assert complaints[0].startswith("steps-0-value: {sequence} counts 1, 2, 3: it needs a tag of whole numbers")

    def test_lends_its_name_to_no_parameter(self, engineer, change):
        fields = pages.fields_of(engineer, change)
        pages.change_row(fields, "parameters", 0, name="sequence")
        assert pages.send(engineer, change, fields)[0].startswith(
            "parameters-0-name: {sequence} in a step is the number"
        )


class TestParameterRow:
    @pytest.mark.parametrize(
        ("field", "wrong", "words"),
        [
            ("name", {"name": "Batch"}, "a letter first"),
            ("maximum", {"maximum": "0"}, "below the minimum of 1"),
            ("minimum", {"minimum": "x"}, "Enter a number"),
            ("minimum", {"minimum": "0.5"}, "whole numbers"),
            ("default", {"default": "x"}, "a whole number, for example 15"),
            ("default", {"default": "1.5"}, "a whole number, for example 15"),
            ("default", {"default": "9" * 90}, "above the maximum"),
            ("default", {"default": "0"}, "below the minimum of 1"),
            ("label", {"label": "a\u202eb"}, "U+202E"),
        ],
    )
    def test_tells_a_mistake_at_its_field(self, engineer, change, field, wrong, words):
        fields = pages.fields_of(engineer, change)
        pages.change_row(fields, "parameters", 0, **wrong)
        complaints = pages.send(engineer, change, fields)
        assert complaints[0].startswith(f"parameters-0-{field}: ")
        assert words in complaints[0]
        assert Parameter.objects.get().maximum == 10000

    @pytest.mark.parametrize(
        ("data_type", "typed", "meant"),
        [
            ("integer", "-5", -5),
            ("integer", "", None),
            ("number", "21.5", 21.5),
            ("number", "21", 21),
            ("boolean", "True", True),
            ("boolean", "false", False),
            ("text", "15", "15"),
            ("text", "true", "true"),
        ],
    )
    def test_default_is_typed_as_it_is_meant(self, engineer, change, profile, *, data_type, typed, meant):
        kinds = {"number": {"data_type": "float32"}, "boolean": {"data_type": "bool"}}
        kinds |= {"integer": {"data_type": "int16"}, "text": {"data_type": "string", "length": 9}}
        tag = rows.stored(rows.register(profile, name="other", address=50, **kinds[data_type]))
        fields = pages.fields_of(engineer, change)
        pages.add_row(fields, "parameters", name="other", data_type=data_type, default=typed)
        pages.add_row(fields, "steps", phase="write", tag=tag.pk, operator="set", value="{other}")
        assert pages.send(engineer, change, fields) == []
        stored = Parameter.objects.get(name="other").default
        assert stored == meant
        assert type(stored) is type(meant)
        shown = pages.fields_of(engineer, change)
        assert shown["parameters-1-default"] == typed.lower()
        assert pages.send(engineer, change, shown) == []
        assert Parameter.objects.get(name="other").default == meant

    def test_of_a_name_that_another_row_has_is_told(self, engineer, add, fields, tags, trigger):
        pages.add_row(fields, "parameters", **PARAMETER)
        pages.add_row(fields, "parameters", **PARAMETER)
        pages.change_row(fields, "steps", 0, **trigger)
        pages.add_row(fields, "steps", phase="write", tag=tags["batch_size"], operator="set", value="{batch_size}")
        complaints = pages.send(engineer, add, fields)
        assert "parameters-1-name: Two parameters here are named batch_size: a name stands once." in complaints
        assert not Command.objects.exists()

    def test_that_no_step_uses_is_told(self, engineer, change):
        fields = pages.fields_of(engineer, change)
        pages.add_row(fields, "parameters", **PARAMETER | {"name": "nok_num"})
        (complaint,) = pages.send(engineer, change, fields)
        assert complaint.startswith("steps: No step uses the parameter nok_num")

    def test_with_limits_beyond_the_tag_is_told_at_the_step(self, engineer, change):
        fields = pages.fields_of(engineer, change)
        pages.change_row(fields, "parameters", 0, maximum="10001")
        (complaint,) = pages.send(engineer, change, fields)
        assert complaint.startswith("steps-0-value: The maximum of parameter batch_size")
        assert Parameter.objects.get().maximum == 10000

    def test_that_is_renamed_is_still_the_step_s(self, engineer, change):
        fields = pages.fields_of(engineer, change)
        pages.change_row(fields, "parameters", 0, name="size")
        assert pages.send(engineer, change, fields) == []
        assert lines()[0] == "write batch_size set {size}"

    def test_that_a_step_uses_is_not_deleted(self, engineer, change):
        fields = pages.fields_of(engineer, change)
        pages.change_row(fields, "parameters", 0, DELETE="on")
        (complaint,) = pages.send(engineer, change, fields)
        assert complaint == "steps-0-value: The command has no parameter batch_size (any more). It has: none."
        assert Parameter.objects.exists()

    def test_goes_together_with_its_step(self, engineer, change):
        fields = pages.fields_of(engineer, change)
        pages.change_row(fields, "parameters", 0, DELETE="on")
        pages.change_row(fields, "steps", 0, DELETE="on")
        assert pages.send(engineer, change, fields) == []
        assert not Parameter.objects.exists()
        assert Step.objects.count() == 2

    def test_changes_type_together_with_its_step(self, engineer, change, tags):
        fields = pages.fields_of(engineer, change)
        pages.change_row(fields, "parameters", 0, data_type="boolean", minimum="", maximum="", default="true")
        pages.change_row(fields, "steps", 0, tag=tags["start"])
        assert pages.send(engineer, change, fields) == []
        assert Parameter.objects.get().default is True


class TestALimitedParameter:
    """Somebody was granted the command up to a highest value of it."""

    TOLD = "batch_size has a highest value in what was granted to user otto."

    @pytest.fixture
    def granted(self, profile, command):
        plc = rows.stored(rows.plc(profile, area="Hall A"))
        otto = User.objects.create_user("otto")
        return partial(grant, otto, Right.EXECUTE, ceilings={"batch_size": 500}), plc

    @pytest.mark.parametrize("place", [{}, {"area": "Hall A"}, {"commands": "start_batch"}, "plc"])
    def test_keeps_name_and_type(self, engineer, change, granted, place):
        give, plc = granted
        give(**({"plc": plc} if place == "plc" else place))
        for typed in ({"name": "amount"}, {"data_type": "text"}):
            fields = pages.fields_of(engineer, change)
            pages.change_row(fields, "parameters", 0, **typed)
            complaints = [text for text in pages.send(engineer, change, fields) if self.TOLD in text]
            assert [text.partition(":")[0] for text in complaints] == ["parameters-0-name"]
        assert Parameter.objects.values_list("name", "data_type").get() == ("batch_size", "integer")

    def test_stays(self, engineer, change, granted):
        granted[0]()
        fields = pages.fields_of(engineer, change)
        pages.change_row(fields, "parameters", 0, DELETE="on")
        pages.change_row(fields, "steps", 1, value="15")
        pages.change_row(fields, "steps", 0, value="15")
        assert [text for text in pages.send(engineer, change, fields) if text.startswith(f"parameters: {self.TOLD}")]
        assert Parameter.objects.get().name == "batch_size"

    def test_is_changed_otherwise(self, engineer, change, granted):
        granted[0]()
        fields = pages.fields_of(engineer, change)
        pages.change_row(fields, "parameters", 0, maximum="9000", label="How many")
        assert pages.send(engineer, change, fields) == []
        assert Parameter.objects.get().maximum == 9000

    @pytest.mark.parametrize("elsewhere", [{"area": "Hall B"}, {"commands": "reset"}, {"ceilings": {"speed": 5}}])
    def test_of_another_command_or_place_holds_nothing_back(self, engineer, change, granted, elsewhere):
        granted[0](**elsewhere)
        fields = pages.fields_of(engineer, change)
        pages.change_row(fields, "parameters", 0, name="amount")
        assert pages.send(engineer, change, fields) == []
        assert Parameter.objects.get().name == "amount"


class TestTampering:
    def test_with_the_hidden_fields_is_no_error_of_ours(self, engineer, change):
        fields = pages.fields_of(engineer, change)
        for wrong in ({"steps-0-command": "999"}, {"steps-0-id": "x"}, {"steps-TOTAL_FORMS": "x"}):
            answer = engineer.post(f"/admin/devices/{change}", fields | wrong)
            assert answer.status_code == 200
        assert lines()[0] == "write batch_size set {batch_size}"


class TestDeletion:
    def test_takes_parameters_and_steps_along(self, engineer, command):
        page = engineer.post(f"/admin/devices/command/{command.pk}/delete/", {"post": "yes"})
        assert page.status_code == 302
        assert not Step.objects.exists()
        assert not Parameter.objects.exists()
