"""Who may do what: the one place that decides, for API, pages, sockets and admin."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, Self

from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser, User
from django.db.models import Q

from devices.control.errors import AboveCeiling, NotPermitted, no_plc
from devices.models import Grant, Right, Role

WORDS = {
    Right.VIEW: "look at",
    Right.EXECUTE: "run commands of",
    Right.WRITE: "write tags of",
    Right.ADMINISTER: "administer",
}

DUTIES: Mapping[str, frozenset[Right]] = {Role.SECURITY: frozenset({Right.EXECUTE, Right.WRITE, Right.ADMINISTER})}
"""What the members of a group never may, whatever else they were given: who gives rights does not use them."""

TAG_WRITE = "write "
"""How the name of a run begins that writes one tag; no engineer's command has a space in its name."""
NO_VALUES: Mapping[str, Any] = {}


class Place(Protocol):
    """What rights hold on: a PLC as a spec or as a row."""

    @property
    def id(self) -> int:
        """Its number."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def area(self) -> str:
        """Where it stands."""


@dataclass(frozen=True, kw_only=True, slots=True)
class GrantSpec:
    """One right on one place."""

    right: Right
    plc_id: int | None = None
    area: str = ""
    """Neither PLC nor area: on all PLCs."""
    commands: frozenset[str] = frozenset()
    """Only these; empty: all."""
    ceilings: Mapping[str, float] = field(default_factory=dict)
    """Highest value of parameters, by name."""

    @classmethod
    def of(cls, row: Grant) -> Self:
        """Copy a row."""
        return cls(
            right=Right(row.right),
            plc_id=row.plc_id,
            area=row.area,
            commands=row.command_names,
            ceilings=dict(row.ceilings),
        )

    def covers(self, plc: Place) -> bool:
        """Whether it holds there."""
        if self.plc_id is not None:
            return self.plc_id == plc.id
        return not self.area or self.area == plc.area

    def lets_run(self, command: str | None) -> bool:
        """Whether it holds for this command; None: for any at all."""
        return command is None or not self.commands or command in self.commands


@dataclass(frozen=True, kw_only=True, slots=True)
class Rights:
    """All that one caller may do."""

    grants: tuple[GrantSpec, ...] = ()
    never: frozenset[Right] = frozenset()
    """What his duties forbid him, whatever he was given."""
    has_all: bool = False
    """A superuser."""

    def may(self, right: Right, plc: Place, command: str | None = None) -> bool:
        """Whether he has this right on this PLC, for this command; each right lets him see the PLC."""
        if right in self.never:
            return False
        if self.has_all:
            return True
        return any((grant.right is right or right is Right.VIEW) and grant.lets_run(command) for grant in self._on(plc))

    def sees(self, plc: Place) -> bool:
        """Whether the PLC exists for him."""
        return self.may(Right.VIEW, plc)

    def may_somewhere(self, right: Right) -> bool:
        """Whether there is any place where he has this right."""
        return right not in self.never and (self.has_all or any(grant.right is right for grant in self.grants))

    @property
    def sees_all(self) -> bool:
        """Whether every PLC exists for him, also those that are added later."""
        return self.has_all or any(grant.plc_id is None and not grant.area for grant in self.grants)

    def require(self, right: Right, plc: Place) -> None:
        """UnknownPLC where he must not even know of it, NotPermitted where he lacks the right."""
        self._require_sight(plc)
        if not self.may(right, plc):
            raise NotPermitted(f"you may not {WORDS[right]} {plc.name}; who keeps the users in the admin can grant it")

    def require_command(self, plc: Place, command: str, values: Mapping[str, Any]) -> None:
        """The same for running a command with these values; AboveCeiling names each value that is too high."""
        self._require_sight(plc)
        if not self.may_run(plc, command):
            raise NotPermitted(
                f"you may not run {command} of {plc.name}; who keeps the users in the admin can grant it"
            )
        if self.has_all:
            return
        excesses = [tuple(_excesses(grant.ceilings, values)) for grant in self._allowing(plc, command)]
        if all(excesses):
            raise AboveCeiling(min(excesses, key=len))

    def require_run(self, plc: Place, command: str, values: Mapping[str, Any] = NO_VALUES) -> None:
        """The right to ask for a run of this name: to write tags for `write TAG`, else to run this command."""
        if command.startswith(TAG_WRITE):
            self.require(Right.WRITE, plc)
        else:
            self.require_command(plc, command, values)

    def may_run(self, plc: Place, command: str) -> bool:
        """Whether he may run this command, with values that are not too high for him."""
        return self.may(Right.EXECUTE, plc, command)

    def ceilings(self, plc: Place, command: str) -> dict[str, float]:
        """Highest value of each parameter for which he has one: the most generous of the grants that let him run it."""
        if self.has_all:
            return {}
        allowing = [grant.ceilings for grant in self._allowing(plc, command)]
        names = set[str]().union(*allowing)
        bounded = [name for name in sorted(names) if all(name in ceilings for ceilings in allowing)]
        return {name: max(ceilings[name] for ceilings in allowing) for name in bounded}

    def joined(self, other: "Rights") -> "Rights":
        """With what another one was granted; what his duties forbid him stays forbidden."""
        return replace(self, grants=self.grants + other.grants)

    def as_json(self, plc: Place, commands: Iterable[str]) -> dict[str, Any]:
        """What he may do there, JSON-ready: run which of these commands, up to which values, write, and administer."""
        run = sorted(name for name in commands if self.may_run(plc, name))
        return {
            "run": run,
            "ceilings": {name: most for name in run if (most := self.ceilings(plc, name))},
            "write": self.may(Right.WRITE, plc),
            "administer": self.may(Right.ADMINISTER, plc),
        }

    def _allowing(self, plc: Place, command: str) -> Iterable[GrantSpec]:
        return (grant for grant in self._on(plc) if grant.right is Right.EXECUTE and grant.lets_run(command))

    def _on(self, plc: Place) -> Iterable[GrantSpec]:
        return (grant for grant in self.grants if grant.covers(plc))

    def _require_sight(self, plc: Place) -> None:
        if not self.sees(plc):
            raise no_plc(plc.name)


NOTHING = Rights()
EVERYTHING = Rights(has_all=True)
PUBLIC = Rights(grants=(GrantSpec(right=Right.VIEW),))
"""Of anybody, on the live page, where the setting LIVE_PUBLIC opens it."""


def rights_of_user(user: AbstractBaseUser | AnonymousUser | None) -> Rights:
    """What a person may do now, by the database; to be called in a thread."""
    if not isinstance(user, User) or not user.is_active:
        return NOTHING
    if user.is_superuser:
        return EVERYTHING
    rows = Grant.objects.filter(Q(user=user) | Q(group__user=user)).distinct()
    groups = user.groups.values_list("name", flat=True)
    never = frozenset[Right]().union(*(DUTIES.get(name, frozenset()) for name in groups))
    return Rights(grants=tuple(GrantSpec.of(row) for row in rows), never=never)


def may_enter_admin(user: AbstractBaseUser | AnonymousUser | None) -> bool:
    """Staff, but no account of a MES, whatever else it is: what it knows lies on another computer."""
    if not isinstance(user, User) or not (user.is_active and user.is_staff):
        return False
    return not user.groups.filter(name=Role.MES).exists()


def _excesses(ceilings: Mapping[str, float], values: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    for name, most in ceilings.items():
        value = values.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool) and value > most:
            yield name, f"{value:.15g} is above your ceiling of {most:.15g}"
