"""Writes to neighbours go out together, and nothing else about them changes."""

from itertools import accumulate, pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from devices.modbus.blocks import Read, Write, merge_reads, merge_writes
from devices.modbus.errors import ValueRefused
from devices.modbus.types import Limits, Table, WriteFunctions

unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # on a busy computer

Cell = tuple[Table, int, int]


def registers(address: int, *words: int) -> Write:
    return Write(Table.HOLDING_REGISTER, address, words)


def coils(address: int, *bits: int) -> Write:
    return Write(Table.COIL, address, bits)


@st.composite
def write_lists(draw: st.DrawFn, longest: int = 4) -> list[Write]:
    """Many direct neighbours, some jumps, some repetitions."""
    writes: list[Write] = []
    for jump in draw(st.lists(st.sampled_from([0, 0, 0, 0, 1, -1, 7]), max_size=30)):
        table = draw(st.sampled_from([Table.COIL, Table.HOLDING_REGISTER, Table.HOLDING_REGISTER]))
        words = draw(st.lists(st.integers(0, 1 if table.is_bits else 0xFFFF), min_size=1, max_size=longest))
        behind = writes[-1].end if writes else 100
        writes.append(Write(table, behind + jump, tuple(words)))
    return writes


limit_sets = st.builds(
    Limits,
    write_registers=st.integers(4, 12),
    write_bits=st.integers(4, 12),
    write_functions=st.sampled_from([WriteFunctions.BOTH, WriteFunctions.MULTIPLE]),
)


def cells(writes: tuple[Write, ...] | list[Write]) -> list[Cell]:
    """What lands where, one word after the other."""
    return [(write.table, write.address + i, word) for write in writes for i, word in enumerate(write.words)]


def borders(writes: tuple[Write, ...] | list[Write]) -> set[int]:
    """How many words have gone out at the end of each request."""
    return set(accumulate(len(write.words) for write in writes))


class TestMerging:
    @given(writes=write_lists(), limits=limit_sets)
    @unhurried
    def test_brings_the_same_words_to_the_same_addresses_in_the_same_order(self, writes: list[Write], limits: Limits):
        assert cells(merge_writes(writes, limits)) == cells(writes)

    @given(writes=write_lists(), limits=limit_sets)
    @unhurried
    def test_keeps_every_request_within_the_limits(self, writes: list[Write], limits: Limits):
        room = {Table.COIL: limits.write_bits, Table.HOLDING_REGISTER: limits.write_registers}
        assert all(1 <= len(request.words) <= room[request.table] for request in merge_writes(writes, limits))

    @given(writes=write_lists(), limits=limit_sets)
    @unhurried
    def test_splits_no_value(self, writes: list[Write], limits: Limits):
        assert borders(merge_writes(writes, limits)) <= borders(writes)

    @given(writes=write_lists(), limits=limit_sets)
    @unhurried
    def test_leaves_nothing_to_merge(self, writes: list[Write], limits: Limits):
        requests = merge_writes(writes, limits)
        assert merge_writes(requests, limits) == requests

    @given(writes=write_lists(longest=1))
    @unhurried
    def test_leaves_single_writes_alone_where_the_plc_knows_no_others(self, writes: list[Write]):
        assert merge_writes(writes, Limits(write_functions=WriteFunctions.SINGLE)) == tuple(writes)

    def test_of_batch_parameters_is_one_request(self):
        parameters = [registers(0, 15), registers(1, 3), registers(2, 0x0000, 0x4334)]
        assert merge_writes(parameters, Limits()) == (registers(0, 15, 3, 0x0000, 0x4334),)

    def test_of_coils_is_one_request(self):
        assert merge_writes([coils(8, 1), coils(9, 0)], Limits()) == (coils(8, 1, 0),)

    @pytest.mark.parametrize(
        "writes",
        [
            (registers(0, 1), registers(2, 1)),  # a gap
            (registers(1, 1), registers(0, 1)),  # descending
            (registers(0, 1), registers(0, 2)),  # a pulse on one register
            (registers(0, 1, 2), registers(1, 3)),  # overlapping
            (registers(0, 1), coils(1, 1)),  # another table
            (registers(0, 1), coils(5, 1), registers(1, 1)),  # something in between
        ],
    )
    def test_is_for_direct_neighbours_only(self, writes: tuple[Write, ...]):
        assert merge_writes(writes, Limits()) == writes

    def test_starts_a_new_request_before_a_value_that_would_be_cut(self):
        writes = [registers(0, 1), registers(1, 2, 3), registers(3, 4)]
        assert merge_writes(writes, Limits(write_registers=2)) == (registers(0, 1), registers(1, 2, 3), registers(3, 4))

    def test_of_nothing_is_nothing(self):
        assert merge_writes([], Limits()) == ()


class TestRefusal:
    def test_meets_a_value_that_a_plc_would_take_in_two_halves(self):
        with pytest.raises(ValueRefused, match="holding register 10: a value of 2 registers cannot be written atomic"):
            merge_writes([registers(0, 1), registers(10, 1, 2)], Limits(write_functions=WriteFunctions.SINGLE))

    def test_meets_a_value_longer_than_a_request(self):
        with pytest.raises(ValueRefused, match=r"holding register 10: a value of 3 addresses is too long .* 1 to 2"):
            merge_writes([registers(10, 1, 2, 3)], Limits(write_registers=2))

    def test_meets_an_empty_write(self):
        with pytest.raises(ValueRefused, match="coil 4: there is nothing to write"):
            merge_writes([coils(4)], Limits())


def addresses(read: Read) -> range:
    return range(read.address, read.address + read.count)


@st.composite
def read_lists(draw: st.DrawFn) -> list[Read]:
    """Neighbours, overlaps and holes, in any order."""
    tables = st.sampled_from([Table.COIL, Table.DISCRETE_INPUT, Table.HOLDING_REGISTER, Table.INPUT_REGISTER])
    reads = st.builds(Read, tables, st.integers(0, 40), st.integers(1, 4))
    return draw(st.lists(reads, max_size=30))


gaps = st.integers(0, 8)


class TestMergeReads:
    @unhurried
    @given(read_lists(), st.integers(4, 12), st.integers(4, 12), gaps)
    def test_serves_every_value_whole_within_the_limits(self, reads: list[Read], registers: int, bits: int, gap: int):
        blocks = merge_reads(reads, Limits(read_registers=registers, read_bits=bits), gap)
        assert sorted(place for block in blocks for place in block.members) == list(range(len(reads)))
        for block in blocks:
            assert block.count <= (bits if block.table.is_bits else registers)
            for place in block.members:
                read = reads[place]
                assert read.table is block.table
                assert block.address <= read.address
                assert read.address + read.count <= block.end

    @unhurried
    @given(read_lists())
    def test_reads_nothing_that_nobody_asked_for(self, reads: list[Read]):
        wanted = {(read.table, read.address + step) for read in reads for step in range(read.count)}
        blocks = merge_reads(reads, Limits())
        asked = [(block.table, block.address + step) for block in blocks for step in range(block.count)]
        assert sorted(asked) == sorted(wanted), "each address once"

    @unhurried
    @given(read_lists(), gaps)
    def test_reads_across_no_wider_gap_than_is_set(self, reads: list[Read], gap: int):
        for block in merge_reads(reads, Limits(), gap):
            asked = {address for place in block.members for address in addresses(reads[place])}
            run = 0
            for address in range(block.address, block.end):
                run = 0 if address in asked else run + 1
                assert run <= gap
            assert {block.address, block.end - 1} <= asked, "nothing is read before the first value or behind the last"

    @unhurried
    @given(read_lists(), gaps)
    def test_leaves_nothing_apart_that_it_may_join(self, reads: list[Read], gap: int):
        blocks = sorted(merge_reads(reads, Limits(), gap), key=lambda block: (block.table, block.address))
        for one, next_one in pairwise(blocks):
            assert one.table is not next_one.table or next_one.address > one.end + gap

    def test_joins_across_a_gap_as_wide_as_set_and_no_wider(self):
        reads = [Read(Table.HOLDING_REGISTER, address, 2) for address in (0, 10, 21)]
        spans = [(block.address, block.count) for block in merge_reads(reads, Limits(), 8)]
        assert spans == [(0, 12), (21, 2)]

    def test_reads_last_what_was_asked_for_last(self):
        reads = [Read(Table.COIL, 9, 1), Read(Table.INPUT_REGISTER, 0, 1), Read(Table.COIL, 0, 1)]
        assert [block.address for block in merge_reads(reads, Limits())] == [9, 0, 0]

    def test_keeps_a_value_whole_that_is_longer_than_a_request_may_be(self):
        (block,) = merge_reads([Read(Table.HOLDING_REGISTER, 0, 20)], Limits(read_registers=10))
        assert block.count == 20, "the PLC says what it thinks of that"
