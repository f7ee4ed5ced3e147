"""An engineer starts a command from a pattern: chooses it, gives tags and values, and edits the steps it wrote."""

import html
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.test import Client

from devices.models import Command, Right, Step
from devices.models.patterns import PATTERNS
from tests.access import grant
from tests.admin import pages
from tests.models import rows

HANDSHAKE = ["check ack == 0", "trigger start set 1", "wait ack == 1", "cleanup start set 0", "cleanup ack == 0"]


@pytest.fixture
def tags(profile):
    """By name; with all kinds that the patterns ask for."""
    rows.stored(rows.coil(profile, name="change", address=1))
    rows.stored(rows.register(profile, name="order", address=5))
    state = {"table": "input_register", "address": 7, "labels": {"4": "Idle", "6": "Execute", "9": "Aborted"}}
    rows.stored(rows.register(profile, name="state", **state))
    rows.stored(rows.register(profile, name="warmth", address=8, data_type="float32"))
    return {tag.name: str(tag.pk) for tag in profile.tags.all()}


@pytest.fixture
def choice(profile):
    return f"/admin/devices/command/add/pattern/?profile={profile.pk}"


@pytest.fixture
def handshake(tags):
    return {"name": "start_batch", "title": "Start", "request": tags["start"], "ack": tags["ack"], "limit_s": "5"}


def page_of(choice: str, pattern: str) -> str:
    return choice.replace("?", f"{pattern}/?")


def write(client: Client, address: str, fields: dict[str, Any]) -> dict[str, list[str]]:
    """Press “Write the steps”; what the page complains about, empty if it led on to the command's page."""
    answer = client.post(address, fields)
    if answer.status_code == 302:
        assert answer["Location"] == f"/admin/devices/command/{Command.objects.get().pk}/change/"
        return {}
    assert answer.status_code == 200
    text = html.unescape(answer.content.decode())
    told = {field: list(messages) for field, messages in answer.context["form"].errors.items()}
    assert told, "neither written nor refused"
    assert [message for messages in told.values() for message in messages if message not in text] == []
    return told


def lines() -> list[str]:
    return [str(step).partition(": ")[2] for step in Step.objects.order_by("position")]


class TestTheChoice:
    def test_is_offered_on_the_page_of_a_new_command(self, engineer, profile, choice):
        page = engineer.get(f"/admin/devices/command/add/?profile={profile.pk}").content.decode()
        assert f'href="{choice}"' in page
        assert "Start from a pattern" in page

    def test_shows_each_pattern_with_when_to_use_it(self, engineer, choice, tags):
        page = engineer.get(choice)
        text = html.unescape(page.content.decode())
        for pattern in PATTERNS.values():
            assert pattern.use in text
            assert f'href="{pattern.name}/?{choice.partition("?")[2]}"' in text
            assert engineer.get(page_of(choice, pattern.name)).status_code == 200
        assert len(PATTERNS) == 5

    def test_says_which_kind_of_tag_a_profile_lacks_for_a_pattern(self, engineer, choice, profile):
        text = html.unescape(engineer.get(choice).content.decode())
        assert "batch-machine lacks “Bit”" not in text  # it has a coil
        assert "batch-machine lacks different tags for “Command word” and “Status word”." in text
        assert 'href="status-word/' not in text
        profile.tags.filter(table="coil").delete()
        text = html.unescape(engineer.get(choice).content.decode())
        assert "batch-machine lacks “Request”: a bool that can be written (a coil, or in a holding register)." in text

    def test_of_a_pattern_that_lacks_tags_shows_that_and_no_form(self, engineer, choice):
        answer = engineer.get(page_of(choice, "status-word"))
        text = html.unescape(answer.content.decode())
        assert "batch-machine lacks different tags for “Command word” and “Status word”." in text
        assert "Write the steps" not in text

    @pytest.mark.parametrize("ref", ["", "0", "x", "9" * 30])
    def test_without_a_machine_type_is_not_found(self, engineer, profile, ref):
        for page in ("pattern/", "pattern/handshake/"):
            assert engineer.get(f"/admin/devices/command/add/{page}?profile={ref}").status_code == 404

    def test_of_a_pattern_or_command_that_is_not_there_is_not_found(self, engineer, profile, choice):
        assert engineer.get(page_of(choice, "dance")).status_code == 404
        for command in ("999", "9" * 30):
            assert engineer.get(f"/admin/devices/command/{command}/pattern/").status_code == 404


class TestTheForm:
    def test_offers_for_each_role_only_the_tags_that_suit_it(self, engineer, choice, tags):
        form = engineer.get(page_of(choice, "packml")).context["form"]
        offered = {role: [tag.name for tag in form.fields[role].queryset] for role in ("number", "change", "state")}
        assert offered == {
            "number": ["batch_size", "order"],
            "change": ["start", "change"],
            "state": ["batch_size", "order", "state"],
        }

    def test_shows_a_tag_with_the_words_for_its_numbers(self, engineer, choice, tags):
        page = engineer.get(page_of(choice, "packml")).content.decode()
        assert "state · 3x input 7 · uint16 · 4 Idle, 6 Execute, 9 Aborted" in page

    def test_begins_with_the_profile_s_words_and_else_with_the_usual_numbers(self, engineer, choice, tags):
        form = engineer.get(page_of(choice, "packml")).context["form"]
        shown = {name: form[name].value() for name in ("order", "from_state", "to_state", "failed")}
        assert shown == {"order": "2", "from_state": "Idle", "to_state": "Execute", "failed": "2|7|8|9"}


class TestWriting:
    def test_leads_to_the_command_s_page_with_the_steps_ready_to_edit(self, engineer, choice, handshake, profile):
        assert write(engineer, page_of(choice, "handshake"), handshake) == {}
        command = Command.objects.get()
        assert (command.name, command.title, command.profile) == ("start_batch", "Start", profile)
        assert lines() == HANDSHAKE
        address = f"command/{command.pk}/change/"
        page = engineer.get(f"/admin/devices/{address}").content.decode()
        assert "The steps of “Four-phase handshake” are written. Look through them" in page
        assert "before start_batch is called." in page
        assert "Start from a pattern" not in page
        fields = pages.fields_of(engineer, address)
        assert [fields[f"steps-{row}-phase"] for row in range(5)] == ["check", "trigger", "wait", "cleanup", "cleanup"]
        pages.change_row(fields, "steps", 2, timeout_s="9")
        assert pages.send(engineer, address, fields) == []
        assert Step.objects.get(phase="wait").timeout_s == 9
        assert "no check looks at it before" not in engineer.get("/admin/devices/command/").content.decode()

    @pytest.mark.parametrize(
        ("pattern", "roles", "values", "written"),
        [
            ("pulse", {"pulse": "start"}, {"seen": "1"}, "trigger start set 1"),
            (
                "status-word",
                {"order": "order", "status": "state"},
                {"told": "1", "ready": "Idle", "done": "Execute", "error": "aborted"},
                "fail_if state == aborted",
            ),
            ("sequence-echo", {"request": "order", "echo": "state"}, {}, "trigger order set {sequence}"),
            (
                "packml",
                {"number": "order", "change": "change", "state": "state"},
                {"order": "2", "from_state": "4", "to_state": "6", "failed": "8|9"},
                "write order set 2",
            ),
        ],
    )
    def test_of_every_other_pattern_saves_again_as_it_is(self, engineer, choice, tags, pattern, roles, values, written):
        fields = {"name": "go", "limit_s": "5", **values, **{role: tags[tag] for role, tag in roles.items()}}
        assert write(engineer, page_of(choice, pattern), fields) == {}
        assert written in lines()
        before, address = list(Step.objects.values()), f"command/{Command.objects.get().pk}/change/"
        assert pages.send(engineer, address, pages.fields_of(engineer, address)) == []
        assert list(Step.objects.values()) == before
        assert "no check looks at it before" not in engineer.get("/admin/devices/command/").content.decode()

    def test_of_a_pulse_needs_a_limit_only_where_a_feedback_is_waited_for(self, engineer, choice, tags):
        pulse = {"name": "go", "pulse": tags["start"], "feedback": tags["ack"], "seen": "1", "limit_s": ""}
        told = write(engineer, page_of(choice, "pulse"), pulse)
        assert list(told) == ["limit_s"]
        assert "needs a limit in seconds" in told["limit_s"][0]
        assert not Command.objects.exists()
        assert write(engineer, page_of(choice, "pulse"), pulse | {"feedback": "", "seen": ""}) == {}
        assert lines() == ["check start == 0", "trigger start set 1", "cleanup start set 0"]

    def test_is_noted_in_the_history(self, engineer, choice, handshake):
        write(engineer, page_of(choice, "handshake"), handshake)
        (entry,) = LogEntry.objects.all()
        assert entry.change_message == "Steps written from the pattern “Four-phase handshake”."

    @pytest.mark.parametrize(
        ("field", "wrong", "words"),
        [
            ("name", "Start batch", "a letter first"),
            ("name", "", "required"),
            ("title", "a\u202eb", "U+202E"),
            ("request", "", "required"),
            ("request", "ack", "not one of the available choices"),
            ("ack", "start", "needs a place of its own"),
            ("ack", "batch_size", "not one of the available choices"),
            ("limit_s", "0", "0.05 to 3600"),
            ("limit_s", "nan", "Enter a number"),
        ],
    )
    def test_tells_a_mistake_at_its_field_and_stores_nothing(
        self, engineer, choice, handshake, tags, field, wrong, words
    ):
        told = write(engineer, page_of(choice, "handshake"), handshake | {field: tags.get(wrong, wrong)})
        assert list(told) == [field]
        assert words in told[field][0]
        assert not Command.objects.exists()
        assert not Step.objects.exists()

    def test_tells_mistakes_of_name_and_tags_at_once(self, engineer, choice, handshake, tags):
        wrong = {"name": "Start batch", "ack": tags["start"]}
        assert set(write(engineer, page_of(choice, "handshake"), handshake | wrong)) == {"name", "ack"}

    def test_tells_a_wrong_value_at_the_value(self, engineer, choice, tags):
        roles = {"order": tags["order"], "status": tags["state"]}
        values = {"told": "1", "ready": "Idle", "done": "4|busy", "error": "a\u200bb"}
        told = write(engineer, page_of(choice, "status-word"), {"name": "go", "limit_s": "5", **roles, **values})
        assert list(told) == ["error"]
        told = write(
            engineer, page_of(choice, "status-word"), {"name": "go", "limit_s": "5", **roles, **values, "error": ""}
        )
        assert list(told) == ["done"]
        assert "busy" in told["done"][0]
        assert not Command.objects.exists()

    def test_of_a_name_that_is_taken_is_told(self, engineer, command, choice, handshake):
        before = lines()
        answer = engineer.post(page_of(choice, "handshake"), handshake)
        assert "another command named start_batch" in answer.context["form"].errors["name"][0]
        assert lines() == before
        assert Command.objects.count() == 1


class TestAStoredCommand:
    @pytest.fixture
    def empty(self, profile) -> Command:
        return rows.stored(rows.command(profile, name="old"))

    @pytest.fixture
    def address(self, empty):
        return f"/admin/devices/command/{empty.pk}/pattern/"

    def test_without_steps_gets_them_and_keeps_its_name(self, engineer, empty, address, handshake):
        page = engineer.get(f"/admin/devices/command/{empty.pk}/change/").content.decode()
        assert f'href="{address}"' in page
        assert 'href="handshake/"' in engineer.get(address).content.decode()
        assert "name" not in engineer.get(f"{address}handshake/").context["form"].fields
        assert write(engineer, f"{address}handshake/", handshake) == {}
        assert Command.objects.get().name == "old"
        assert lines() == HANDSHAKE

    def test_with_steps_is_not_offered_any_and_gets_none(self, engineer, command, handshake):
        before, change = lines(), f"/admin/devices/command/{command.pk}/change/"
        assert "Start from a pattern" not in engineer.get(change).content.decode()
        address = f"/admin/devices/command/{command.pk}/pattern/"
        for page in (address, f"{address}handshake/"):
            assert engineer.get(page)["Location"] == change
        assert "a pattern would mix its own into them" in engineer.get(change).content.decode()
        told = write(engineer, f"{address}handshake/", handshake)
        assert "start_batch has steps already" in told["__all__"][0]
        assert lines() == before


class TestRights:
    @pytest.fixture
    def colleague(self, transactional_db) -> Client:
        user = User.objects.create_user("colleague", is_staff=True)
        grant(user, Right.ADMINISTER)
        client = Client()
        client.force_login(user)
        return client

    def allow(self, *rights: str) -> None:
        User.objects.get().user_permissions.set(Permission.objects.filter(codename__in=rights))

    @pytest.mark.parametrize(
        ("rights", "status"),
        [
            (["view_command", "view_step"], 403),
            (["add_command"], 403),
            (["add_step"], 403),
            (["change_command", "add_step"], 403),
            (["add_command", "add_step"], 302),
        ],
    )
    def test_to_add_commands_and_steps_are_needed_for_a_new_one(self, colleague, choice, handshake, rights, status):
        self.allow(*rights)
        assert colleague.get(choice).status_code == (200 if status == 302 else 403)
        assert colleague.post(page_of(choice, "handshake"), handshake).status_code == status
        assert Command.objects.exists() is (status == 302)

    @pytest.mark.parametrize(
        ("rights", "status"),
        [(["view_command"], 403), (["change_command"], 403), (["change_command", "add_step"], 302)],
    )
    def test_to_change_it_are_needed_for_a_stored_one(self, colleague, profile, handshake, rights, status):
        stored = rows.stored(rows.command(profile))
        self.allow(*rights)
        address = f"/admin/devices/command/{stored.pk}/"
        assert colleague.post(f"{address}pattern/handshake/", handshake).status_code == status
        assert Step.objects.exists() is (status == 302)

    def test_that_are_missing_hide_the_way(self, colleague, profile, choice):
        stored = rows.stored(rows.command(profile))
        self.allow("view_command", "change_command", "view_step")
        page = colleague.get(f"/admin/devices/command/{stored.pk}/change/")
        assert page.status_code == 200
        assert "Start from a pattern" not in page.content.decode()

    def test_are_asked_for_before_a_login(self, transactional_db, choice):
        assert Client().get(choice)["Location"].startswith("/admin/login/")
