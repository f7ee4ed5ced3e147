"""What was measured, what stands beside it, and whether that meets the goal. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from statistics import median
from typing import Any, TypeVar

Found = TypeVar("Found")


class Against(StrEnum):
    """How the product's figure is held against the one beside it."""

    RATIO = "×"
    DIFFERENCE = "−"
    ITSELF = ""
    """There is nothing beside it: the goal is about the figure."""


@dataclass(frozen=True, kw_only=True)
class Goal:
    """What was promised."""

    limit: float
    is_least: bool
    """The limit is the least that is good; else the most."""

    def __str__(self) -> str:
        return f"{'≥' if self.is_least else '≤'} {self.limit:g}"

    def is_met(self, figure: float) -> bool:
        """Whether it is good."""
        return figure >= self.limit if self.is_least else figure <= self.limit


def at_least(limit: float) -> Goal:
    return Goal(limit=limit, is_least=True)


def at_most(limit: float) -> Goal:
    return Goal(limit=limit, is_least=False)


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the table."""

    what: str
    unit: str
    product: Sequence[float] = ()
    """One figure a round; none where it could not be measured."""
    beside: str = ""
    """What it is held against."""
    reference: Sequence[float] = ()
    against: Against = Against.RATIO
    goal: Goal | None = None
    note: str = ""

    @property
    def figure(self) -> float | None:
        """The product's, over all rounds."""
        return median(self.product) if self.product else None

    @property
    def reference_figure(self) -> float | None:
        """That of what is beside it."""
        return median(self.reference) if self.reference else None

    @property
    def compared(self) -> float | None:
        """What the goal is about: of the medians, not a median of ratios."""
        figure, reference = self.figure, self.reference_figure
        if figure is None or self.against is Against.ITSELF:
            return figure
        if reference is None or (self.against is Against.RATIO and not reference):
            return None
        return figure - reference if self.against is Against.DIFFERENCE else figure / reference

    @property
    def is_met(self) -> bool | None:
        """None where there is no goal, or nothing to hold against it."""
        compared = self.compared
        return None if self.goal is None or compared is None else self.goal.is_met(compared)

    def as_json(self) -> dict[str, Any]:
        """All of it, with each round's figures."""
        return {
            "what": self.what,
            "unit": self.unit,
            "product": {"median": self.figure, "rounds": list(self.product)},
            "beside": {"name": self.beside, "median": self.reference_figure, "rounds": list(self.reference)},
            "compared": self.compared,
            "against": self.against.name.lower(),
            "goal": None if self.goal is None else str(self.goal),
            "is_met": self.is_met,
            "note": self.note,
        }


@dataclass
class Rounds:
    """Sides that are measured in turn, several times, so that what disturbs the computer disturbs all of them."""

    count: int
    faults: list[str] = field(default_factory=list)
    """What kept a side from being measured."""

    def of(self, sides: Mapping[str, Callable[[], Found]], wrong: type[Exception]) -> dict[str, list[Found]]:
        """What each side gave in each round; nothing of a side that was `wrong` once."""
        found: dict[str, list[Found]] = {name: [] for name in sides}
        for number in range(self.count):
            for name in rotated(list(sides), number):
                if name not in found:
                    continue
                try:
                    found[name].append(sides[name]())
                except wrong as error:
                    self.faults.append(f"{name}: {error}")
                    del found[name]
        return {name: found.get(name, []) for name in sides}


def rotated(names: Sequence[str], by: int) -> list[str]:
    """Nobody is always first."""
    by %= len(names) or 1
    return [*names[by:], *names[:by]]


def percentile(ordered: Sequence[float], percent: float) -> float:
    """Of sorted figures: the smallest that so many per cent of them do not exceed."""
    rank = max(1, -(-len(ordered) * percent // 100))
    return ordered[int(rank) - 1]
