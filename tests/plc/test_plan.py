"""What is read in a round: everything, in few requests; a refusal ends in the tags at fault and in no other."""

from collections.abc import Callable
from decimal import Decimal

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from devices.modbus.types import DataType, Limits, Table, TagSpec, Words
from devices.plc.plan import LOSSES, RETRIES, RETRY_S, Plan, PlannedBlock, Unreadable

unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # on a busy computer

TYPES = {1: DataType.UINT16, 2: DataType.UINT32, 4: DataType.UINT64}
NAMES = st.sampled_from([Table.HOLDING_REGISTER, Table.INPUT_REGISTER])

Refuses = Callable[[PlannedBlock], bool]


def tag(address: int, count: int = 1, table: Table = Table.HOLDING_REGISTER, name: str = "") -> TagSpec:
    return TagSpec(name=name or f"{table}-{address}", table=table, address=address, data_type=TYPES[count])


@st.composite
def tag_lists(draw: st.DrawFn) -> list[TagSpec]:
    """Neighbours, twins, overlaps and holes, in any order."""
    places = draw(st.lists(st.tuples(st.integers(0, 60), st.sampled_from([1, 2, 4]), NAMES), min_size=1, max_size=30))
    return [tag(address, count, table, f"t{i}") for i, (address, count, table) in enumerate(places)]


holes = st.sets(st.tuples(NAMES, st.integers(0, 66)), max_size=12)
limit_sets = st.builds(Limits, read_registers=st.integers(4, 125))


def span(table: Table, address: int, count: int) -> set[tuple[Table, int]]:
    return {(table, address + i) for i in range(count)}


def unmapped(hole: set[tuple[Table, int]]) -> Refuses:
    return lambda block: bool(span(block.table, block.address, block.count) & hole)


def play_round(plan: Plan, refuses: Refuses, clock_s: float = 0.0) -> tuple[list[str], int, int]:
    """As the poller does it: the tags that were read, and how many requests were answered and refused."""
    left, read, answered, refused = list(plan.due(clock_s)), [], 0, 0
    while left:
        block = left.pop(0)
        if refuses(block):
            refused += 1
            left = plan.refuse(block, "exception 2", clock_s) + left
        else:
            answered += 1
            plan.note_answer(block)
            read += [tag.name for tag, _ in block.take((0,) * block.count)]
        assert refused + answered < 1000, "it does not end"
    return read, answered, refused


def names_at_fault(plan: Plan) -> list[str]:
    return sorted(tag.name for tag, _ in plan.faults())


class TestARound:
    @unhurried
    @given(tag_lists(), limit_sets, st.integers(0, 8))
    def test_reads_every_tag_once_within_the_limits(self, tags: list[TagSpec], limits: Limits, gap: int):
        plan = Plan(tags, limits, gap)
        assert all(block.count <= limits.read_registers for block in plan.due(0))
        read, _, refused = play_round(plan, lambda _: False)
        assert sorted(read) == sorted(tag.name for tag in tags)
        assert refused == 0

    def test_is_one_request_where_the_tags_lie_close(self):
        plan = Plan([tag(0), tag(3, 4), tag(10, 2)], Limits(), 8)
        assert [(block.address, block.count) for block in plan.due(0)] == [(0, 12)]


class TestARefusal:
    @unhurried
    @given(tag_lists(), holes, limit_sets, st.integers(0, 8))
    def test_ends_in_exactly_the_tags_at_fault_and_all_others_are_read(self, tags, hole, limits, gap):
        plan = Plan(tags, limits, gap)
        at_fault = sorted(tag.name for tag in tags if span(tag.table, tag.address, tag.count) & hole)
        read, _, refused = play_round(plan, unmapped(hole))
        assert names_at_fault(plan) == at_fault
        assert sorted([*read, *at_fault]) == sorted(tag.name for tag in tags)
        assert refused <= 2 * len(tags)

    @unhurried
    @given(tag_lists(), holes, limit_sets, st.integers(0, 8))
    def test_is_remembered(self, tags, hole, limits, gap):
        plan = Plan(tags, limits, gap)
        first, *_ = play_round(plan, unmapped(hole))
        again, _, refused = play_round(plan, unmapped(hole), RETRY_S / 2)
        assert refused == 0
        assert sorted(again) == sorted(first)

    @unhurried
    @given(tag_lists(), holes, limit_sets, st.integers(0, 8))
    def test_is_over_when_the_plc_has_all_mapped(self, tags, hole, limits, gap):
        plan = Plan(tags, limits, gap)
        play_round(plan, unmapped(hole))
        had_faults = bool(names_at_fault(plan))
        play_round(plan, lambda _: False, RETRY_S)
        read, answered, _ = play_round(plan, lambda _: False, RETRY_S + 1)
        assert sorted(read) == sorted(tag.name for tag in tags)
        assert names_at_fault(plan) == []
        assert not had_faults or answered == len(Plan(tags, limits, gap).due(0)), "as few requests as at first"

    def test_of_a_gap_marks_no_tag(self):
        plan = Plan([tag(0), tag(1), tag(4), tag(5)], Limits(), 8)
        read, answered, refused = play_round(plan, unmapped({(Table.HOLDING_REGISTER, 2)}))
        assert (len(read), answered, refused) == (4, 2, 1)
        assert names_at_fault(plan) == []

    def test_of_one_of_many_is_found_in_a_few_requests(self):
        plan = Plan([tag(address) for address in range(100)], Limits())
        _, _, refused = play_round(plan, unmapped({(Table.HOLDING_REGISTER, 37)}))
        assert names_at_fault(plan) == ["holding_register-37"]
        assert refused <= 8

    def test_of_a_register_is_one_of_all_its_bits_at_once(self):
        bits = [
            TagSpec(name=f"b{bit}", table=Table.HOLDING_REGISTER, address=7, data_type=DataType.BOOL, bit=bit)
            for bit in range(16)
        ]
        plan = Plan(bits, Limits())
        assert play_round(plan, lambda _: True) == ([], 0, 1)
        assert len(names_at_fault(plan)) == 16

    def test_of_the_function_is_one_of_the_whole_block(self):
        plan = Plan([tag(0), tag(1), tag(2)], Limits())
        (block,) = plan.due(0)
        assert plan.refuse(block, "exception 1", 0, as_whole=True) == []
        assert len(names_at_fault(plan)) == 3
        assert plan.due(RETRY_S - 1) == ()
        assert plan.due(RETRY_S) == (block,)

    def test_is_asked_about_again_rarely_and_never_of_many_tags_in_one_round(self):
        plan = Plan([tag(address, name=f"t{address:02}") for address in range(0, 40, 2)], Limits())
        play_round(plan, lambda block: block.address >= 10)
        assert len(plan.due(RETRY_S - 1)) == 5
        asked = set()
        for second in range(5):
            retried = [block for block in plan.due(RETRY_S + second) if block.fault]
            assert len(retried) <= RETRIES
            asked |= {block.address for block in retried}
            for block in retried:
                plan.refuse(block, "exception 2", RETRY_S + second)
        assert asked == set(range(10, 40, 2)), "each has its turn"


class TestALoss:
    """Some PLCs do not refuse what they do not know: they fall silent or hang up."""

    def lose(self, plan: Plan, address: int) -> list[str]:
        """Rounds that end where this address comes; what was read in the last one."""
        read: list[str] = []
        for block in plan.due(0):
            if block.address <= address < block.address + block.count:
                plan.note_loss(block, "no answer", 0)
                break
            plan.note_answer(block)
            read += [tag.name for tag in block.tags]
        return read

    def test_costs_the_other_tags_one_round_at_most(self):
        plan = Plan([tag(0), tag(100), tag(200)], Limits())
        assert self.lose(plan, 0) == []
        assert self.lose(plan, 0) == ["holding_register-100", "holding_register-200"]

    def test_that_comes_again_and_again_marks_the_tag(self):
        plan = Plan([tag(0), tag(1), tag(2), tag(200)], Limits())
        rounds = 0
        while not names_at_fault(plan):
            self.lose(plan, 1)
            rounds += 1
        assert names_at_fault(plan) == ["holding_register-1"]
        assert rounds <= 3 * LOSSES
        assert sorted(self.lose(plan, 1)) == ["holding_register-0", "holding_register-2", "holding_register-200"]

    def test_that_does_not_come_again_marks_nothing(self):
        plan = Plan([tag(0), tag(100)], Limits())
        for _ in range(3 * LOSSES):
            self.lose(plan, 100)
            play_round(plan, lambda _: False)
        assert names_at_fault(plan) == []


class TestABlock:
    def read(self, block: PlannedBlock, words: Words) -> dict[str, object]:
        return {tag.name: held for tag, held in block.take(words)}

    def test_gives_each_tag_its_own_words(self):
        block = PlannedBlock([tag(4, 2), tag(1), tag(5)])
        told = self.read(block, (7, 0, 0, 1, 2))
        assert told == {"holding_register-1": 7, "holding_register-4": 65538, "holding_register-5": 2}

    def test_works_out_only_what_has_changed(self):
        block = PlannedBlock([tag(0, 4, name="a"), tag(4, 4, name="b")])
        first = self.read(block, (9, 9, 9, 9, 0, 0, 1, 1))
        same = self.read(block, (9, 9, 9, 9, 0, 0, 1, 1))
        other = self.read(block, (9, 9, 9, 9, 0, 0, 1, 2))
        assert first["a"] is same["a"] is other["a"], "the very same object, not one worked out anew"
        assert first["b"] is same["b"]
        assert (first["b"], other["b"]) == (65537, 65538)

    def test_names_the_tags_whose_own_words_have_changed(self):
        bits = [
            TagSpec(name=f"b{bit}", table=Table.HOLDING_REGISTER, address=2, data_type=DataType.BOOL, bit=bit)
            for bit in (0, 7)
        ]
        block = PlannedBlock([*bits, tag(0, 2, name="pair"), tag(1, name="low"), tag(3, name="last")])
        changes = [block.take_changes(words) for words in ((0, 0, 0, 0), (0, 0, 0, 0), (0, 5, 0, 0), (0, 5, 128, 0))]
        named = [{tag.name: held for tag, held in changed} for changed in changes]
        assert set(named[0]) == {"pair", "low", "b0", "b7", "last"}
        assert named[1:] == [{}, {"pair": 5, "low": 5}, {"b0": False, "b7": True}]

    def test_says_of_a_tag_that_nobody_can_work_out_that_it_is_unreadable_and_gives_the_others(self):
        absurd = TagSpec(
            name="absurd", table=Table.HOLDING_REGISTER, address=0, data_type=DataType.UINT16, scale=Decimal("NaN")
        )
        told = self.read(PlannedBlock([absurd, tag(1)]), (5, 6))
        assert isinstance(told["absurd"], Unreadable)
        assert told["holding_register-1"] == 6
