"""An exclusive, bounded use of a link: typed reads and writes of tags. Dead after its block."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager, nullcontext

from devices.modbus import codec
from devices.modbus.blocks import Block, Read, Write, merge_reads, merge_writes
from devices.modbus.errors import BUSY, REFUSALS, DeviceException, LinkUnavailable, Unconfirmed, WrongAnswer
from devices.modbus.link import Link
from devices.modbus.types import Table, TagSpec, Value, Words
from devices.plc.errors import SessionClosed
from devices.plc.specs import PLCSpec

Sending = Callable[[int], AbstractContextManager[object]]
"""Surrounds one request; gets how many of the values it carries."""

Reading = Value | DeviceException
"""What a tag holds, or the PLC's reason for not telling it."""


class Line:
    """A session's link for one exchange; between two of them somebody may speak aside, of which its user hears nothing.

    SessionClosed where the session's block has ended before its turn to speak came.
    """

    def __init__(self, link: Link, *, require_open: Callable[[], object], is_aside: bool) -> None:
        self._link = link
        self._require_open = require_open
        self._is_aside = is_aside

    async def __aenter__(self) -> Link:
        await self._link.line.acquire()
        try:
            self._require_open()
        except SessionClosed:
            self._link.line.release()
            raise
        self._link.is_aside = self._is_aside
        return self._link

    async def __aexit__(self, *_: object) -> None:
        self._link.is_aside = False
        self._link.line.release()


class Session:
    """What a pool lends: the only way to talk to a PLC."""

    _is_aside = False

    def __init__(self, link: Link, plc: PLCSpec, *, require_turn: Callable[[], None] = lambda: None) -> None:
        """`require_turn` raises TurnGone where another process may have the turn: it is asked before each write."""
        self._link = link
        self._plc = plc
        self._require_turn = require_turn
        self._is_over = False

    @property
    def is_usable(self) -> bool:
        """The link still stands and nothing about it is in doubt."""
        return not self._is_over and self._link.is_usable

    async def read(self, tag: TagSpec) -> Value:
        """Read one tag now."""
        return codec.decode(tag, await self.read_words(tag.table, tag.address, tag.count))

    async def read_all(self, tags: Sequence[TagSpec]) -> tuple[Reading, ...]:
        """Read several tags now, in their order; those that touch each other come in one request, of one moment.

        An exception of the PLC stands in the place of the tag that it is about.
        """
        readings: dict[int, Reading] = {}
        for block in self._blocks(tags):
            readings |= await self._read_block(block, tags)
        return tuple(readings[place] for place in range(len(tags)))

    async def read_words(self, table: Table, address: int, count: int) -> Words:
        """Read bits or registers as they are, in one request. DeviceException where the PLC refuses it."""
        async with self._line() as link:
            was_proven = link.has_answered
            try:
                return await link.read(table, address, count)
            except (Unconfirmed, WrongAnswer) as error:
                if was_proven:
                    raise
                # Only a harmless read went out: the machine was told nothing.
                raise LinkUnavailable(f"{link}: connected, but not served ({error})") from error

    def reads_at_once(self, tags: Sequence[TagSpec]) -> bool:
        """Whether all of them come in one request."""
        return len(self._blocks(tags)) == 1

    def _blocks(self, tags: Sequence[TagSpec]) -> Sequence[Block]:
        return merge_reads([Read(tag.table, tag.address, tag.count) for tag in tags], self._plc.limits)

    async def _read_block(self, block: Block, tags: Sequence[TagSpec]) -> dict[int, Reading]:
        try:
            words = await self.read_words(block.table, block.address, block.count)
        except DeviceException as error:
            if len(block.members) == 1:
                return {block.members[0]: error}
            # One of them is at fault, or the PLC has a hole there: the others can still be read.
            return {place: await self._reading(tags[place]) for place in sorted(block.members)}
        starts = {place: tags[place].address - block.address for place in block.members}
        return {
            place: codec.decode(tags[place], words[start : start + tags[place].count])
            for place, start in starts.items()
        }

    async def _reading(self, tag: TagSpec) -> Reading:
        try:
            return await self.read(tag)
        except DeviceException as error:
            return error

    async def write(self, tag: TagSpec, value: Value) -> None:
        """Write one tag and check the PLC's confirmation. ValueRefused, before anything is sent, names the tag."""
        await self.write_all([(tag, value)])

    async def write_all(self, values: Sequence[tuple[TagSpec, Value]], *, sending: Sending = nullcontext) -> None:
        """Write several tags in their order; direct neighbours go out as one request.

        `sending` is entered for each request, with how many of the values, in their order, it carries.
        A bit of a register is read, changed and written back: the PLC must not change its neighbours meanwhile.
        """
        encoded = [(tag, codec.encode(tag, value)) for tag, value in values]  # all, before anything is sent
        await self.prove()
        pending: list[Write] = []
        for tag, words in encoded:
            if _is_bit_of_register(tag):
                await self._send(pending, sending)
                # Read as late as this: the write before may have changed another bit of the same register.
                pending = [Write(tag.table, tag.address, await self._with_neighbours(tag, words))]
            else:
                pending.append(Write(tag.table, tag.address, words))
        await self._send(pending, sending)

    async def prove(self) -> None:
        """Have one harmless read answered before anything is written.

        A full PLC holds a sixth connection in its backlog: a write sent there times out, and is executed
        later, when a slot is free (modbus-facts 3). An exception is an answer too.
        """
        link = self._open_link()
        if link.has_answered:
            return
        try:
            await self.read_words(self._plc.probe_table, self._plc.probe_address, 1)
        except DeviceException:
            return

    def end(self) -> None:
        """The block is over: whoever still holds this object gets an error."""
        self._is_over = True

    async def _with_neighbours(self, tag: TagSpec, words: Words) -> Words:
        try:
            (word,) = await self.read_words(tag.table, tag.address, 1)
        except DeviceException as error:
            if error.code in BUSY | REFUSALS:
                raise
            # Nobody can say what the code means for a write: it never went out.
            raise LinkUnavailable(f"{tag.name}: not sent, its register could not be read ({error})") from error
        return (codec.set_bit(word, tag.bit or 0, bool(words[0])),)

    async def _send(self, writes: Sequence[Write], sending: Sending) -> None:
        values = iter(writes)
        for request in merge_writes(writes, self._plc.limits):
            async with self._line() as link:
                with sending(_values_within(request, values)):
                    # Whoever has the turn now has parameters of his own there.
                    self._require_turn()
                    await link.write(request.table, request.address, request.words, self._plc.limits.write_functions)

    def _line(self) -> AbstractAsyncContextManager[Link]:
        return Line(self._open_link(), require_open=self._open_link, is_aside=self._is_aside)

    def _open_link(self) -> Link:
        if self._is_over:
            raise SessionClosed("this session's block has ended")
        return self._link


class Aside(Session):
    """Talks over a link between two exchanges of whoever uses it, who hears nothing of it."""

    _is_aside = True


def _values_within(request: Write, values: Iterator[Write]) -> int:
    """How many of the values that come next a request was made of."""
    left, count = len(request.words), 0
    while left:
        left -= len(next(values).words)
        count += 1
    return count


def _is_bit_of_register(tag: TagSpec) -> bool:
    return tag.bit is not None and not tag.table.is_bits
