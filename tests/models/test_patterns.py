"""Each pattern writes steps that pass every check of a command, and asks for what it lacks in words."""

from typing import Any

import pytest

from devices.modbus.types import ByteOrder, DataType, Limits, Table, TagSpec, WriteFunctions
from devices.models import Command, Parameter, Profile, Step, Tag, commands
from devices.models.pattern_parts import Chosen, Constant, Draft, Pattern
from devices.models.patterns import FOUR_PHASES, PACKML, PATTERNS, PULSE, SEQUENCE_ECHO, STATUS_WORD
from tests.models import rows

PLACES: dict[str, dict[str, Any]] = {
    "coil": {"table": Table.COIL, "data_type": DataType.BOOL},
    "input": {"table": Table.DISCRETE_INPUT, "data_type": DataType.BOOL},
    "register bit": {"table": Table.HOLDING_REGISTER, "data_type": DataType.BOOL, "bit": 3},
    "input register bit": {"table": Table.INPUT_REGISTER, "data_type": DataType.BOOL, "bit": 15},
    **{
        kind: {"table": Table.HOLDING_REGISTER, "data_type": DataType(kind)}
        for kind in ("int16", "uint16", "int32", "uint32", "int64", "uint64")
    },
    "swapped": {"table": Table.HOLDING_REGISTER, "data_type": DataType.INT32, "byte_order": ByteOrder.CDAB},
    "input uint16": {"table": Table.INPUT_REGISTER, "data_type": DataType.UINT16},
    "input int32": {"table": Table.INPUT_REGISTER, "data_type": DataType.INT32},
}
BITS_TO_WRITE = ("coil", "register bit")
BITS = (*BITS_TO_WRITE, "input", "input register bit")
NUMBERS_TO_WRITE = ("int16", "uint16", "int32", "uint32", "int64", "uint64", "swapped")
NUMBERS = (*NUMBERS_TO_WRITE, "input uint16", "input int32")

# For each pattern: which kinds of tags each role is tried with, and what is typed.
TRIED: dict[str, tuple[dict[str, tuple[str, ...]], dict[str, str]]] = {
    "handshake": ({"request": BITS_TO_WRITE, "ack": BITS, "fault": BITS}, {}),
    "pulse": ({"pulse": BITS_TO_WRITE, "feedback": (*BITS, *NUMBERS)}, {"seen": "1"}),
    "status-word": (
        {"order": NUMBERS_TO_WRITE, "status": NUMBERS},
        {"told": "5", "ready": "0|1", "done": "3", "error": "8|9"},
    ),
    "sequence-echo": ({"request": NUMBERS_TO_WRITE, "echo": NUMBERS, "result": NUMBERS}, {}),
    "packml": (
        {"number": NUMBERS_TO_WRITE, "change": BITS_TO_WRITE, "state": NUMBERS},
        {"order": "2", "from_state": "4", "to_state": "6|16|17", "failed": "2|7|8|9"},
    ),
}


def spec(name: str, kind: str = "uint16", address: int = 0, **more: Any) -> TagSpec:
    return TagSpec(**{"name": name, "address": address} | PLACES[kind] | more)


def chosen(
    pattern: Pattern, kinds: dict[str, str], texts: dict[str, str] | None = None, limit_s: float | None = 5
) -> Chosen:
    """A tag of the kind for each role, each at its own place."""
    tags = {role: spec(role, kind, address=10 * at) for at, (role, kind) in enumerate(kinds.items())}
    return Chosen(tags=tags, texts=TRIED[pattern.name][1] if texts is None else texts, limit_s=limit_s)


def choices() -> list[Any]:
    """Each role of each pattern with each kind of tag, the other roles with their first; with and without options."""
    found = []
    for pattern in PATTERNS.values():
        kinds = TRIED[pattern.name][0]
        usual = {role: each[0] for role, each in kinds.items()}
        needed = {role.name: usual[role.name] for role in pattern.roles if not role.is_optional}
        tried = [usual | {role: kind} for role, each in kinds.items() for kind in each] + [needed]
        found += [pytest.param(pattern, each, id=f"{pattern.name}: {', '.join(each.values())}") for each in tried]
    return found


def drafts(pattern: Pattern, choice: Chosen) -> list[tuple[str, str, str, str]]:
    return [(draft.phase, draft.role, draft.operator, draft.value) for draft in pattern.steps(choice)]


def stored(pattern: Pattern, choice: Chosen) -> Command:
    """The command in the database, every row checked as the admin does."""
    profile = rows.stored(Profile(name="machine"))
    tags = {role: rows.stored(_row(profile, tag)) for role, tag in choice.tags.items()}
    command = rows.stored(Command(profile=profile, name="go"))
    for position, draft in enumerate(pattern.steps(choice), start=1):
        rows.stored(_step(command, tags[draft.role], draft, position))
    return command


def _row(profile: Profile, tag: TagSpec) -> Tag:
    fields = ("name", "table", "address", "data_type", "byte_order", "bit", "minimum", "maximum")
    return Tag(profile=profile, **{field: getattr(tag, field) for field in fields})


def _step(command: Command, tag: Tag, draft: Draft, position: int) -> Step:
    fields = ("phase", "operator", "value", "timeout_s", "message")
    return Step(command=command, tag=tag, position=position, **{field: getattr(draft, field) for field in fields})


class TestEveryPattern:
    @pytest.mark.django_db(transaction=True)
    @pytest.mark.parametrize(("pattern", "kinds"), choices())
    def test_writes_steps_that_a_command_may_have_and_none_that_an_old_answer_could_fool(self, pattern, kinds):
        choice = chosen(pattern, kinds)
        assert list(pattern.faults(choice, Limits())) == []
        lines = [step.line() for step in stored(pattern, choice).steps.select_related("tag", "parameter")]
        assert [line.phase for line in lines].count("trigger") == 1
        checked = {line.tag.name for line in lines if line.phase == "check"}
        assert {line.tag.name for line in lines if line.phase == "wait"} <= checked
        assert not Parameter.objects.exists()

    @pytest.mark.parametrize("pattern", PATTERNS.values(), ids=PATTERNS)
    def test_lists_its_steps_in_the_order_in_which_they_run(self, pattern):
        kinds = {role: each[0] for role, each in TRIED[pattern.name][0].items()}
        order = [phase for phase, *_ in drafts(pattern, chosen(pattern, kinds))]
        assert order == sorted(order, key=commands.PHASES.index)

    @pytest.mark.parametrize("pattern", PATTERNS.values(), ids=PATTERNS)
    def test_says_when_to_use_it_in_one_sentence_and_explains_all_that_it_asks(self, pattern):
        assert pattern.use.count(". ") == 0
        for part in (*pattern.roles, *pattern.constants):
            assert part.help.endswith(".")
            assert part.label

    @pytest.mark.parametrize("pattern", PATTERNS.values(), ids=PATTERNS)
    def test_asks_for_nothing_by_a_name_that_its_form_has_already(self, pattern):
        names = [part.name for part in (*pattern.roles, *pattern.constants)]
        assert len({*names, "name", "title", "limit_s"}) == len(names) + 3
        roles = {role.name for role in pattern.roles}
        assert {constant.role for constant in pattern.constants} <= roles

    @pytest.mark.parametrize("pattern", PATTERNS.values(), ids=PATTERNS)
    def test_refuses_one_place_of_the_plc_for_two_roles(self, pattern):
        kinds = {role: each[0] for role, each in TRIED[pattern.name][0].items()}
        choice = chosen(pattern, kinds)
        needed = [role for role in pattern.roles if not role.is_optional] or pattern.roles
        one, other = (needed if len(needed) > 1 else pattern.roles)[:2]
        tags = {**choice.tags, other.name: choice.tags[one.name]}
        faults = dict(pattern.faults(Chosen(tags=tags, texts=choice.texts, limit_s=5), Limits()))
        assert "needs a place of its own" in faults[other.name]

    @pytest.mark.parametrize("pattern", PATTERNS.values(), ids=PATTERNS)
    def test_waits_for_the_machine_as_long_as_was_said(self, pattern):
        kinds = {role: each[0] for role, each in TRIED[pattern.name][0].items()}
        waits = [draft for draft in pattern.steps(chosen(pattern, kinds, limit_s=7)) if draft.phase == "wait"]
        assert [draft.timeout_s for draft in waits] == [7]


class TestSteps:
    def test_of_a_four_phase_handshake(self):
        kinds = {"request": "coil", "ack": "input", "fault": "input"}
        steps = [
            ("check", "fault", "==", "0"),
            ("check", "ack", "==", "0"),
            ("trigger", "request", "set", "1"),
            ("wait", "ack", "==", "1"),
            ("fail_if", "fault", "==", "1"),
            ("cleanup", "request", "set", "0"),
            ("cleanup", "ack", "==", "0"),
        ]
        assert drafts(FOUR_PHASES, chosen(FOUR_PHASES, kinds)) == steps
        del kinds["fault"]
        assert drafts(FOUR_PHASES, chosen(FOUR_PHASES, kinds)) == [step for step in steps if step[1] != "fault"]

    def test_of_a_pulse(self):
        assert drafts(PULSE, chosen(PULSE, {"pulse": "coil"})) == [
            ("check", "pulse", "==", "0"),
            ("trigger", "pulse", "set", "1"),
            ("cleanup", "pulse", "set", "0"),
        ]
        assert drafts(PULSE, chosen(PULSE, {"pulse": "coil", "feedback": "int16"}, {"seen": "5"})) == [
            ("check", "pulse", "==", "0"),
            ("check", "feedback", "!=", "5"),
            ("trigger", "pulse", "set", "1"),
            ("wait", "feedback", "==", "5"),
            ("cleanup", "pulse", "set", "0"),
        ]

    def test_of_a_status_word(self):
        assert drafts(STATUS_WORD, chosen(STATUS_WORD, {"order": "uint16", "status": "int16"})) == [
            ("check", "order", "==", "0"),
            ("check", "status", "in", "0|1"),
            ("trigger", "order", "set", "5"),
            ("wait", "status", "==", "3"),
            ("fail_if", "status", "in", "8|9"),
            ("cleanup", "order", "set", "0"),
        ]

    def test_of_a_sequence_echo(self):
        kinds = {"request": "uint16", "echo": "uint16", "result": "uint16"}
        assert drafts(SEQUENCE_ECHO, chosen(SEQUENCE_ECHO, kinds)) == [
            ("check", "echo", "!=", "{sequence}"),
            ("trigger", "request", "set", "{sequence}"),
            ("wait", "echo", "==", "{sequence}"),
            ("fail_if", "result", "!=", "0"),
        ]

    def test_of_a_sequence_echo_whose_number_alone_says_that_it_went_well(self):
        kinds = {"request": "uint16", "echo": "uint16"}
        assert drafts(SEQUENCE_ECHO, chosen(SEQUENCE_ECHO, kinds)) == [
            ("check", "echo", "!=", "{sequence}"),
            ("trigger", "request", "set", "{sequence}"),
            ("wait", "echo", "==", "{sequence}"),
            ("proof", "echo", "==", "{sequence}"),
        ]

    def test_of_a_packml_command(self):
        assert drafts(PACKML, chosen(PACKML, {"number": "int32", "change": "coil", "state": "int32"})) == [
            ("check", "state", "==", "4"),
            ("check", "change", "==", "0"),
            ("write", "number", "set", "2"),
            ("trigger", "change", "set", "1"),
            ("wait", "state", "in", "6|16|17"),
            ("fail_if", "state", "in", "2|7|8|9"),
            ("cleanup", "change", "set", "0"),
        ]


class TestTheLimit:
    @pytest.mark.parametrize("pattern", PATTERNS.values(), ids=PATTERNS)
    def test_is_needed_exactly_where_the_machine_answers(self, pattern):
        kinds = {role: each[0] for role, each in TRIED[pattern.name][0].items()}
        needed = {role.name: kinds[role.name] for role in pattern.roles if not role.is_optional}
        for taken, is_answered in ((kinds, True), (needed, not pattern.answers_by)):
            faults = dict(pattern.faults(chosen(pattern, taken, limit_s=None), Limits()))
            assert list(faults) == ["limit_s"] * is_answered
            assert all("needs a limit in seconds" in fault for fault in faults.values())


class TestAnEcho:
    def test_that_lies_within_the_request_is_refused_since_it_would_be_our_own_writing(self):
        tags = {"request": spec("request", "uint32", address=10), "echo": spec("echo", "uint16", address=11)}
        ((field, fault),) = SEQUENCE_ECHO.faults(Chosen(tags=tags, texts={}, limit_s=5), Limits())
        assert (field, "echo shares a place in the PLC" in fault) == ("echo", True)


class TestAValue:
    WORDS = {"order": "uint16", "status": "uint16"}

    def faults(self, pattern=STATUS_WORD, kinds=None, labels=None, **texts):
        choice = chosen(pattern, kinds or self.WORDS, TRIED[pattern.name][1] | texts)
        tags = {role: spec(role, (kinds or self.WORDS)[role], address=tag.address, labels=labels or {})
                for role, tag in choice.tags.items()}  # fmt: skip
        return dict(pattern.faults(Chosen(tags=tags, texts=choice.texts, limit_s=5), Limits()))

    @pytest.mark.parametrize(
        ("wrong", "words"),
        [
            ({"done": "finished"}, "not a number"),
            ({"done": "70000"}, "65535"),
            ({"done": "1|x"}, "not a number"),
            ({"told": "1|2"}, "not a number"),
            ({"done": ""}, "Say which value of status this is."),
            ({"told": ""}, "Say which value of order this is."),
            ({"done": "1"}, "an old answer could not be told from a new one"),
            ({"done": "4|0x1"}, "an old answer could not be told from a new one"),
            ({"error": "1"}, "ready and in error"),
            ({"error": "3"}, "done and in error"),
        ],
    )
    def test_that_is_wrong_is_told_at_its_field(self, wrong, words):
        ((field, fault),) = self.faults(**wrong).items()
        assert field == next(iter(wrong))
        assert words in fault

    def test_may_be_a_label_and_is_told_from_others_by_its_number(self):
        labels = {0: "Idle", 3: "Done", 8: "Jam"}
        assert self.faults(labels=labels, ready="idle", done="Done", error="jam") == {}
        assert list(self.faults(labels=labels, ready="0", done="idle", error="")) == ["done"]

    def test_of_an_error_may_be_left_out(self):
        assert self.faults(error="") == {}
        assert "fail_if" not in [step[0] for step in drafts(STATUS_WORD, chosen(
            STATUS_WORD, self.WORDS, TRIED["status-word"][1] | {"error": ""}))]  # fmt: skip

    def test_of_a_feedback_is_needed_with_it_and_ignored_without(self):
        assert list(self.faults(PULSE, {"pulse": "coil", "feedback": "coil"}, seen="")) == ["seen"]
        assert self.faults(PULSE, {"pulse": "coil"}, seen="nonsense") == {}

    @pytest.mark.parametrize(
        ("wrong", "field"),
        [({"to_state": "4"}, "to_state"), ({"failed": "4|9"}, "failed"), ({"failed": "6"}, "failed")],
    )
    def test_of_a_packml_state_is_one_thing_only(self, wrong, field):
        assert list(self.faults(PACKML, {"number": "int32", "change": "coil", "state": "int32"}, **wrong)) == [field]

    def test_beyond_what_the_tag_may_be_set_to_is_told_at_the_value(self):
        tags = {"order": spec("order", maximum=3), "status": spec("status", address=1)}
        texts = TRIED["status-word"][1]
        faults = dict(STATUS_WORD.faults(Chosen(tags=tags, texts=texts, limit_s=5), Limits()))
        assert list(faults) == ["told"]
        assert "above the maximum" in faults["told"]

    def test_of_the_pattern_s_own_that_the_tag_does_not_take_is_told_at_the_tag(self):
        tags = {"order": spec("order", minimum=1), "status": spec("status", address=1)}
        texts = TRIED["status-word"][1]
        faults = dict(STATUS_WORD.faults(Chosen(tags=tags, texts=texts, limit_s=5), Limits()))
        assert list(faults) == ["order"]
        assert "below the minimum" in faults["order"]


class TestWhatAFormBeginsWith:
    STATE = Constant(name="to", label="to", role="state", help="", default="6", word="Execute")

    def test_is_the_profile_s_own_word_where_it_has_one(self):
        assert self.STATE.initial([spec("a"), spec("b", labels={17: "EXECUTE"})]) == "EXECUTE"

    def test_is_the_usual_number_otherwise(self):
        assert self.STATE.initial([spec("a", labels={4: "Idle"})]) == "6"
        assert self.STATE.initial([]) == "6"


class TestAProfile:
    ALL = [spec(kind, kind, address=10 * at) for at, kind in enumerate(PLACES)]

    @pytest.mark.parametrize("pattern", PATTERNS.values(), ids=PATTERNS)
    def test_with_all_kinds_of_tags_lacks_nothing(self, pattern):
        assert pattern.lacking(self.ALL, Limits()) == []

    @pytest.mark.parametrize("pattern", PATTERNS.values(), ids=PATTERNS)
    def test_without_tags_lacks_one_for_each_role_that_is_needed(self, pattern):
        needed = [role for role in pattern.roles if not role.is_optional]
        assert pattern.lacking([], Limits()) == [f"“{role.label}”: {role.kind.words}" for role in needed]

    def test_that_can_only_be_read_lacks_what_can_be_written(self):
        read_only = [spec("ack", "input"), spec("state", "input uint16")]
        assert FOUR_PHASES.lacking(read_only, Limits()) == [
            "“Request”: a bool that can be written (a coil, or in a holding register)"
        ]
        (lack,) = STATUS_WORD.lacking(read_only, Limits())
        assert lack.startswith("“Command word”: a whole number that can be written")

    def test_that_knows_single_writes_only_lacks_what_is_wider(self):
        tags, single = [spec("order", "int32"), spec("status", "int32", 2)], WriteFunctions.SINGLE
        assert STATUS_WORD.lacking(tags, Limits()) == []
        assert len(STATUS_WORD.lacking(tags, Limits(write_functions=single))) == 1

    @pytest.mark.parametrize("other", ["scaled", "float"])
    def test_has_no_number_in_what_is_scaled_or_a_float(self, other):
        wrong = {"scaled": {"scale": 2}, "float": {"data_type": DataType.FLOAT32}}[other]
        tags = [spec("order"), spec("status", address=1, **wrong)]
        assert STATUS_WORD.lacking(tags, Limits()) == ["different tags for “Command word” and “Status word”"]

    def test_with_one_tag_for_two_roles_lacks_another(self):
        assert FOUR_PHASES.lacking([spec("start", "coil")], Limits()) == [
            "different tags for “Request” and “Acknowledge”"
        ]
        assert FOUR_PHASES.lacking([spec("start", "coil"), spec("b", "coil", 1)], Limits()) == []
