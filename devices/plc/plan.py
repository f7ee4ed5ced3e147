"""What one poll interval of one PLC reads, request by request; a refusal is narrowed down to the tag at fault. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import compress
from operator import ne

from devices.modbus import codec
from devices.modbus.blocks import Read, merge_reads
from devices.modbus.types import Limits, Table, TagSpec, Value, Words

NO_FUNCTION = 1
NOT_THERE = frozenset({2, 3})
LASTING = NOT_THERE | {NO_FUNCTION}
"""Exceptions that the same request meets again; all others are of the moment."""

RETRY_S = 30.0  # what the PLC refuses is asked for again so rarely
RETRIES = 3  # requests of that kind in one round, so that many refused tags do not hold up those that live
SHAPES = 1024  # of blocks that are kept: a few for each profile
LOSSES = 3  # in a row: a block at which the connection is lost, though others are answered, counts as refused


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A tag cannot be read, in words."""

    reason: str


Reading = Value | Unreadable
NOT_READ = Unreadable("it was not read yet")


@dataclass(frozen=True, slots=True)
class _Shape:
    """Where the tags of a block lie within its words, worked out once: thousands are looked at each second."""

    spans: tuple[tuple[int, int], ...]
    """Start and end of each tag."""
    members: tuple[tuple[int, ...], ...]
    """Of each word: the places of the tags that it belongs to."""


@lru_cache(maxsize=SHAPES)
def _shape(places: tuple[tuple[int, int], ...]) -> _Shape:
    """Of tags with these starts and counts; all PLCs of a profile share one."""
    spans = tuple((start, start + count) for start, count in places)
    members: list[list[int]] = [[] for _ in range(max(end for _, end in spans))]
    for place, (start, end) in enumerate(spans):
        for word in range(start, end):
            members[word].append(place)
    return _Shape(spans, tuple(map(tuple, members)))


class PlannedBlock:
    """One request and the tags that it serves, in the order of their addresses."""

    __slots__ = (
        "__weakref__",
        "_readings",
        "_shape",
        "_words",
        "address",
        "count",
        "fault",
        "losses",
        "retry_s",
        "table",
        "tags",
    )

    def __init__(self, tags: Iterable[TagSpec]) -> None:
        self.tags = tuple(sorted(tags, key=_place))
        self.table: Table = self.tags[0].table
        self.address = self.tags[0].address
        self.count = max(tag.address + tag.count for tag in self.tags) - self.address
        self.fault = ""
        """Why the PLC refuses it; all its tags are at fault."""
        self.retry_s = 0.0
        """When a refused one is asked for again."""
        self.losses = 0
        self._shape = _shape(tuple((tag.address - self.address, tag.count) for tag in self.tags))
        self._words: Words = ()
        self._readings: list[Reading] = [NOT_READ] * len(self.tags)

    def take(self, words: Words) -> Iterator[tuple[TagSpec, Reading]]:
        """What each tag holds."""
        self.take_changes(words)
        return zip(self.tags, self._readings, strict=True)

    def take_changes(self, words: Words) -> Sequence[tuple[TagSpec, Reading]]:
        """What the tags hold whose words are others than the last time; nothing else is worked out anew."""
        if words == self._words:
            return ()
        changes = [(place, self._reading(place, words)) for place in self._changed(words)]
        for place, reading in changes:
            self._readings[place] = reading
        self._words = words
        return [(self.tags[place], reading) for place, reading in changes]

    def halves(self) -> "tuple[PlannedBlock, ...]":
        """Itself as two requests; itself alone where all its tags sit at the same addresses."""
        places = sorted({_place(tag) for tag in self.tags})
        if len(places) == 1:
            return (self,)
        middle = places[len(places) // 2]
        low = PlannedBlock(tag for tag in self.tags if _place(tag) < middle)
        return low, PlannedBlock(tag for tag in self.tags if _place(tag) >= middle)

    def _changed(self, words: Words) -> Iterable[int]:
        """Places of the tags to look at, in their order."""
        if not self._words:
            return range(len(self.tags))
        others = compress(self._shape.members, map(ne, words, self._words))
        return sorted({place for members in others for place in members})

    def _reading(self, place: int, words: Words) -> Reading:
        start, end = self._shape.spans[place]
        try:
            return codec.decode(self.tags[place], words[start:end])
        except (ArithmeticError, ValueError) as error:
            return Unreadable(f"what it holds is no value of its type: {error}")


class Plan:
    """The requests of one poll interval, as far as the PLC has taught us to ask."""

    def __init__(self, tags: Sequence[TagSpec], limits: Limits, gap: int = 0) -> None:
        self._tags = tuple(tags)
        self._limits = limits
        self._gap = gap
        self._is_outdated = False
        self._blocks = self._made()

    def due(self, clock_s: float) -> tuple[PlannedBlock, ...]:
        """What to ask for in a round that begins now: all that lives, then a few that were refused long enough ago."""
        if self._is_outdated:
            self._blocks, self._is_outdated = self._made(), False
        refused = sorted((block for block in self._blocks if block.fault), key=lambda block: block.retry_s)
        retries = [block for block in refused if block.retry_s <= clock_s][:RETRIES]
        return (*(block for block in self._blocks if not block.fault), *retries)

    def note_answer(self, block: PlannedBlock) -> None:
        """It was answered. Where it was refused before, the PLC has changed: the plan is made anew."""
        block.losses = 0
        self._is_outdated = self._is_outdated or bool(block.fault)

    def refuse(self, block: PlannedBlock, reason: str, clock_s: float, *, as_whole: bool = False) -> list[PlannedBlock]:
        """It is refused, and would be again: what to ask for in its place, nothing where its tags are at fault.

        `as_whole`: for another reason than one of its addresses, so that it need not be narrowed down.
        """
        halves = (block,) if as_whole else block.halves()
        if len(halves) == 1:
            block.fault, block.retry_s, block.losses = reason, clock_s + RETRY_S, 0
            return []
        place = self._blocks.index(block)
        self._blocks[place : place + 1] = halves
        return list(halves)

    def note_loss(self, block: PlannedBlock, reason: str, clock_s: float) -> None:
        """Two connections were lost at it, though others are answered.

        It is asked for last from now on, so that it costs no other tag its value. Lost LOSSES times, it counts as
        refused.
        """
        self._blocks.remove(block)
        self._blocks.append(block)
        block.losses += 1
        if block.losses >= LOSSES or block.fault:
            self.refuse(block, reason, clock_s)

    def faults(self) -> Iterator[tuple[TagSpec, str]]:
        """The tags that the PLC refuses, with the reason."""
        return ((tag, block.fault) for block in self._blocks if block.fault for tag in block.tags)

    def _made(self) -> list[PlannedBlock]:
        reads = [Read(tag.table, tag.address, tag.count) for tag in self._tags]
        blocks = merge_reads(reads, self._limits, self._gap)
        return [PlannedBlock(self._tags[place] for place in block.members) for block in blocks]


def _place(tag: TagSpec) -> tuple[int, int]:
    return tag.address, tag.count
