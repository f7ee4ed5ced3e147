"""How long and how often is measured."""

from dataclasses import dataclass, field
from pathlib import Path
from tempfile import mkdtemp

from tests.benchmarks.figures import Rounds


@dataclass(frozen=True, kw_only=True)
class Options:
    """Of one run of all benchmarks."""

    directory: Path
    """For databases and logs; gone afterwards."""
    cache: Path
    """For the peers' packages; stays."""
    is_brief: bool = False
    """Only see that everything works: the figures say nothing."""
    rounds: int = 5
    seconds: float = 4.0
    """That one side is called in one round."""
    faults: list[str] = field(default_factory=list)

    @property
    def watch_s(self) -> float:
        """How long something is watched that goes on by itself once a second."""
        return max(3.0, 3 * self.seconds)

    def settled(self, after_s: float) -> float:
        """How long to wait until something goes on evenly."""
        return 1.0 if self.is_brief else after_s

    def turns(self, at_most: int | None = None) -> Rounds:
        """Measure sides in turn, what takes long not so often; what goes wrong is told at the end."""
        return Rounds(count=min(self.rounds, at_most or self.rounds), faults=self.faults)

    def fresh(self, name: str) -> Path:
        """A directory of its own for a process that is started again and again."""
        return Path(mkdtemp(prefix=f"{name}-", dir=self.directory))
