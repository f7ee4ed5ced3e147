"""A grant lets its holder do what it says, and never more."""

from dataclasses import dataclass
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser, Group, User
from hypothesis import given
from hypothesis import strategies as st

from devices.control.errors import AboveCeiling, NotPermitted, UnknownPLC
from devices.control.rights import EVERYTHING, NOTHING, PUBLIC, GrantSpec, Rights, rights_of_user
from devices.models import PLC, Right, Role
from tests.access import grant
from tests.control.rows import make_plc, make_profile


@dataclass(frozen=True)
class Machine:
    """A place."""

    id: int = 1
    name: str = "press-1"
    area: str = "hall 1"


HERE, THERE = Machine(), Machine(2, "press-2", "hall 2")
COMMANDS = ("start_batch", "reset", "stop")

machines = st.builds(Machine, id=st.integers(1, 3), area=st.sampled_from(["", "hall 1", "hall 2", "hall"]))
values = st.dictionaries(st.sampled_from(["batch_size", "nok_num"]), st.integers(-5, 5) | st.floats(-5, 5))
rights = st.sampled_from(list(Right))
commands = st.sampled_from(COMMANDS)


@st.composite
def grants(draw: st.DrawFn) -> GrantSpec:
    """Like those that the form lets through: commands and ceilings only with `execute`."""
    right, is_of_a_plc = draw(rights), draw(st.booleans())
    is_run = right is Right.EXECUTE
    return GrantSpec(
        right=right,
        plc_id=draw(st.integers(1, 3)) if is_of_a_plc else None,
        area="" if is_of_a_plc else draw(st.sampled_from(["", "hall 1", "hall 2"])),
        commands=frozenset(draw(st.sets(commands))) if is_run else frozenset(),
        ceilings=draw(values) if is_run else {},
    )


def says(one: GrantSpec, plc: Machine) -> bool:
    """Whether a grant speaks of this PLC, in other words than the product's."""
    return {(None, ""): True}.get((one.plc_id, one.area), one.plc_id == plc.id or one.area == plc.area != "")


def allows(one: GrantSpec, plc: Machine, command: str, told: dict[str, float]) -> bool:
    """Whether a grant speaks of such a run."""
    is_named = one.right == "execute" and (command in one.commands or not one.commands)
    return (
        is_named and says(one, plc) and not [name for name in one.ceilings if told.get(name, -99) > one.ceilings[name]]
    )


def lets(holder: Rights, plc: Machine, command: str, told: dict[str, Any]) -> bool:
    try:
        holder.require_run(plc, command, told)
    except (UnknownPLC, NotPermitted, AboveCeiling):
        return False
    return True


class TestAnyGrants:
    @given(st.lists(grants(), max_size=4), rights, machines)
    def test_give_a_right_where_one_of_them_says_so(self, given_to: list[GrantSpec], right: Right, plc: Machine):
        expected = any(says(one, plc) and right in (one.right, Right.VIEW) for one in given_to)
        assert Rights(grants=tuple(given_to)).may(right, plc) == expected

    @given(st.lists(grants(), max_size=4), machines, commands, values)
    def test_let_run_what_one_of_them_allows_with_these_values(self, given_to, plc, command, told):
        expected = any(allows(one, plc, command, told) for one in given_to)
        assert lets(Rights(grants=tuple(given_to)), plc, command, told) == expected

    @given(
        st.lists(grants(), max_size=4),
        machines,
        commands,
        st.sampled_from(["batch_size", "nok_num"]),
        st.integers(-6, 6),
    )
    def test_tell_the_highest_value_that_they_let_through(self, given_to, plc, command, name, value):
        holder = Rights(grants=tuple(given_to))
        is_low_enough = value <= holder.ceilings(plc, command).get(name, value)
        assert lets(holder, plc, command, {name: value}) == (holder.may_run(plc, command) and is_low_enough)

    @given(st.lists(grants(), max_size=4), machines, st.sampled_from(["setpoint", *COMMANDS]))
    def test_let_write_a_tag_where_one_of_them_says_so_and_never_by_a_command_of_its_name(self, given_to, plc, tag):
        expected = any(says(one, plc) and one.right == "write" for one in given_to)
        assert lets(Rights(grants=tuple(given_to)), plc, f"write {tag}", {"value": 10**6}) == expected

    @given(st.lists(grants(), max_size=4), machines, commands, values)
    def test_let_nobody_do_what_his_duties_forbid(self, given_to, plc, command, told):
        bound = Rights(grants=tuple(given_to), never=frozenset({Right.EXECUTE, Right.WRITE, Right.ADMINISTER}))
        assert not lets(bound, plc, command, told)
        assert not lets(bound, plc, "write setpoint", {})
        assert bound.sees(plc) == any(says(one, plc) for one in given_to)

    @given(st.lists(grants(), max_size=4), machines)
    def test_show_all_only_where_they_show_each(self, given_to, plc):
        holder = Rights(grants=tuple(given_to))
        assert not holder.sees_all or holder.sees(plc)

    @given(st.lists(grants(), max_size=3), grants(), machines, commands, values)
    def test_take_nothing_away_from_each_other(self, given_to, one_more, plc, command, told):
        before, after = Rights(grants=tuple(given_to)), Rights(grants=(*given_to, one_more))
        assert not lets(before, plc, command, told) or lets(after, plc, command, told)


class TestWhoLacksARight:
    def test_is_told_of_no_machine_that_he_does_not_see(self):
        for holder in (NOTHING, Rights(grants=(GrantSpec(right=Right.EXECUTE, plc_id=2),))):
            with pytest.raises(UnknownPLC):
                holder.require_run(HERE, "reset")
            with pytest.raises(UnknownPLC):
                holder.require(Right.WRITE, HERE)

    def test_is_told_what_he_lacks_of_one_that_he_sees(self):
        with pytest.raises(NotPermitted, match="you may not run reset of press-1"):
            PUBLIC.require_run(HERE, "reset")
        with pytest.raises(NotPermitted, match="you may not write tags of press-1"):
            PUBLIC.require_run(HERE, "write setpoint")

    def test_is_told_each_value_that_is_too_high_by_the_nearest_of_his_grants(self):
        low = GrantSpec(right=Right.EXECUTE, ceilings={"batch_size": 10, "nok_num": 1})
        high = GrantSpec(right=Right.EXECUTE, ceilings={"batch_size": 500})
        with pytest.raises(AboveCeiling) as told:
            Rights(grants=(low, high)).require_run(HERE, "start_batch", {"batch_size": 501, "nok_num": 2})
        assert told.value.errors == (("batch_size", "501 is above your ceiling of 500"),)
        with pytest.raises(AboveCeiling) as told:
            Rights(grants=(low,)).require_run(HERE, "start_batch", {"batch_size": 501, "nok_num": 2})
        assert {name for name, _ in told.value.errors} == {"batch_size", "nok_num"}

    def test_may_not_join_the_command_of_one_grant_to_the_ceiling_of_another(self):
        holder = Rights(
            grants=(
                GrantSpec(right=Right.EXECUTE, commands=frozenset({"start_batch"}), ceilings={"batch_size": 10}),
                GrantSpec(right=Right.EXECUTE, commands=frozenset({"reset"})),
                GrantSpec(right=Right.EXECUTE, plc_id=THERE.id),
            )
        )
        assert not lets(holder, HERE, "start_batch", {"batch_size": 11})
        assert lets(holder, THERE, "start_batch", {"batch_size": 11})


@pytest.mark.django_db
class TestAPerson:
    @pytest.fixture
    def anna(self) -> User:
        return User.objects.create_user("anna")

    @pytest.fixture
    def press(self) -> PLC:
        return make_plc(make_profile(), area="hall 1")

    def test_holds_his_own_grants_and_those_of_his_groups(self, anna: User, press: PLC):
        shift, others = Group.objects.create(name="shift"), Group.objects.create(name="others")
        anna.groups.add(shift)
        grant(anna, Right.VIEW)
        grant(shift, Right.EXECUTE, area="hall 1", commands="reset , stop", ceilings={"speed": 3})
        grant(others, Right.WRITE)
        holder = rights_of_user(anna)
        assert holder.may(Right.EXECUTE, press, "stop")
        assert not holder.may(Right.EXECUTE, press, "start_batch")
        assert not holder.may(Right.WRITE, press)
        assert not lets(holder, press, "reset", {"speed": 4})

    def test_holds_no_more_what_was_taken_away(self, anna: User, press: PLC):
        (given_to,) = grant(anna, Right.VIEW)
        assert rights_of_user(anna).sees(press)
        given_to.delete()
        assert rights_of_user(anna) == NOTHING

    def test_who_keeps_the_users_runs_nothing_whatever_he_was_given(self, anna: User, press: PLC):
        anna.groups.add(Group.objects.get_or_create(name=Role.SECURITY)[0])
        grant(anna)
        holder = rights_of_user(anna)
        assert holder.sees(press)
        assert not lets(holder, press, "reset", {})

    def test_that_is_disabled_or_nobody_holds_nothing(self, anna: User):
        grant(anna)
        anna.is_active = False
        assert [rights_of_user(user) for user in (anna, AnonymousUser(), None)] == [NOTHING] * 3

    def test_that_is_a_superuser_holds_everything(self, anna: User):
        anna.is_superuser = True
        assert rights_of_user(anna) is EVERYTHING
        assert lets(EVERYTHING, HERE, "start_batch", {"batch_size": 10**9})
