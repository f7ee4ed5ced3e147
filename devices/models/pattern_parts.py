"""What a ready-made handshake consists of: roles for tags, constants, and the steps that they become. Pure."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import combinations, product

from devices.modbus.errors import ValueRefused
from devices.modbus.types import DataType, Limits, TagSpec, Value
from devices.models.checked import Fault
from devices.models.sequence_rules import is_whole
from devices.models.step_rules import Line, constants, step_faults
from devices.models.tag_rules import write_faults


@dataclass(frozen=True, kw_only=True, slots=True)
class Kind:
    """What sort of tag suits a role."""

    words: str
    suits: Callable[[TagSpec], bool]
    is_written: bool = False

    def takes(self, tag: TagSpec, limits: Limits) -> bool:
        """It is of the sort, and where it is to be written, PLCs of these limits let it be."""
        return self.suits(tag) and not (self.is_written and any(write_faults(tag, limits)))


def _is_bit(tag: TagSpec) -> bool:
    return tag.data_type is DataType.BOOL


BIT = Kind(words="a bool", suits=_is_bit)
BIT_TO_WRITE = Kind(
    words="a bool that can be written (a coil, or in a holding register)", suits=_is_bit, is_written=True
)
NUMBER = Kind(words="a whole number (int or uint, scale 1, offset 0)", suits=is_whole)
NUMBER_TO_WRITE = Kind(
    words="a whole number that can be written (int or uint in a holding register, scale 1, offset 0)",
    suits=is_whole,
    is_written=True,
)
BIT_OR_NUMBER = Kind(
    words="a bool or a whole number (int or uint, scale 1, offset 0)", suits=lambda tag: _is_bit(tag) or is_whole(tag)
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Role:
    """What a tag is for."""

    name: str
    label: str
    kind: Kind
    help: str
    is_optional: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Constant:
    """A value that a tag is set to or compared with, as an engineer would say it."""

    name: str
    label: str
    role: str
    """Of the tag that it is a value of."""
    help: str
    default: str = ""
    """A number that many PLCs use; the form shows it, and the engineer decides."""
    word: str = ""
    """The label that stands for it: where a tag of the profile has it, that counts more than the default."""
    is_written: bool = False
    is_optional: bool = False
    """It may be left out even where its tag is chosen."""

    def initial(self, tags: Iterable[TagSpec]) -> str:
        """The profile's own word where it has one; the number otherwise, since sources differ."""
        words = [word for tag in tags for word in tag.labels.values() if word.casefold() == self.word.casefold()]
        return words[0] if words else self.default

    def operator(self, text: str) -> str:
        """What a step does with it."""
        return "set" if self.is_written else comparison(text)


def comparison(text: str) -> str:
    """Several values are divided by |."""
    return "in" if "|" in text else "=="


@dataclass(frozen=True, kw_only=True, slots=True)
class Draft:
    """A step that is about to be written."""

    phase: str
    role: str
    operator: str
    value: str
    constant: str = ""
    """Where the value comes from; empty where the pattern itself says it."""
    timeout_s: float | None = None
    message: str = ""

    def within(self, limit_s: float | None) -> "Draft":
        """The same condition, waited for."""
        return replace(self, phase="wait", timeout_s=limit_s)


@dataclass(frozen=True, kw_only=True, slots=True)
class Chosen:
    """What an engineer chose for a pattern: a tag for each role, a text for each constant."""

    tags: Mapping[str, TagSpec]
    texts: Mapping[str, str]
    limit_s: float | None
    """For the machine's answer; None if nothing was typed, which faults() tells where one is waited for."""

    def has(self, name: str) -> bool:
        """An optional tag or constant was given."""
        return name in self.tags or bool(self.texts.get(name))


@dataclass(frozen=True, kw_only=True, slots=True)
class Pattern:
    """A way of talking to a machine that is well known, ready to be written out as steps."""

    name: str
    title: str
    use: str
    """One sentence: when to take it."""
    roles: tuple[Role, ...]
    steps: Callable[[Chosen], Iterator[Draft]]
    constants: tuple[Constant, ...] = ()
    apart: tuple[tuple[str, str, str], ...] = ()
    """Two constants that must have no value in common, and why."""
    answers_by: str = ""
    """The optional role without which the machine gives no answer to wait for; empty where it always gives one."""
    limit_s: float = 5.0
    """Usual seconds for the machine's answer."""

    def lacking(self, tags: Iterable[TagSpec], limits: Limits) -> list[str]:
        """Which kinds of tags a profile would need for it and does not have; empty if it can be used."""
        tags, needed = list(tags), [role for role in self.roles if not role.is_optional]
        found = {role.name: [tag.name for tag in tags if role.kind.takes(tag, limits)] for role in needed}
        missing = [f"“{role.label}”: {role.kind.words}" for role in needed if not found[role.name]]
        # As many tags as there are roles are enough to see whether each role can have one of its own.
        few = [names[: len(needed)] for names in found.values()]
        if missing or any(len(set(names)) == len(names) for names in product(*few)):
            return missing
        return [f"different tags for {' and '.join(f'“{role.label}”' for role in needed)}"]

    def faults(self, chosen: Chosen, limits: Limits) -> Iterator[Fault]:
        """Everything wrong with a choice, each at the name of its role or constant, or at `limit_s`."""
        faults = [*self._twins(chosen), *self._wrong_texts(chosen)]
        yield from faults or self._step_faults(chosen, limits)

    def _twins(self, chosen: Chosen) -> Iterator[Fault]:
        """One tag in two roles would be its own answer."""
        roles = [role for role in self.roles if role.name in chosen.tags]
        for one, other in combinations(roles, 2):
            if chosen.tags[one.name].overlaps(chosen.tags[other.name]):
                where = f"{chosen.tags[other.name].name} shares a place in the PLC with the tag for “{one.label}”"
                yield other.name, f"{where}: the machine's answer needs a place of its own."

    def _wrong_texts(self, chosen: Chosen) -> Iterator[Fault]:
        values: dict[str, set[Value]] = {}
        for constant in self.constants:
            text, tag = chosen.texts.get(constant.name, ""), chosen.tags.get(constant.role)
            if not text or tag is None:
                if tag is not None and not constant.is_optional:
                    yield constant.name, f"Say which value of {tag.name} this is."
                continue
            try:
                values[constant.name] = set(constants(tag, constant.operator(text), text))
            except ValueRefused as error:
                yield constant.name, f"{error}."
        for one, other, why in self.apart:
            if values.get(one, set()) & values.get(other, set()):
                yield other, why

    def _step_faults(self, chosen: Chosen, limits: Limits) -> Iterator[Fault]:
        for draft in self.steps(chosen):
            for field, fault in step_faults(_line(draft, chosen), limits):
                places = {"value": draft.constant or draft.role, "timeout_s": "limit_s"}
                yield places.get(field, draft.role), fault


def _line(draft: Draft, chosen: Chosen) -> Line:
    return Line(
        phase=draft.phase,
        tag=chosen.tags[draft.role],
        operator=draft.operator,
        value=draft.value,
        timeout_s=draft.timeout_s,
    )
