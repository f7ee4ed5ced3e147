"""The number of a run fits every tag that carries it, and is never 0."""

from decimal import Decimal
from itertools import pairwise

import pytest

from devices.modbus.types import DataType, Table, TagSpec
from devices.plc.sequence import SEQUENCE, sequence_limit, wrapped
from devices.plc.specs import CommandSpec, Operator, Phase, StepSpec


def tag(data_type: DataType, maximum: int | None = None) -> TagSpec:
    limit = None if maximum is None else Decimal(maximum)
    return TagSpec(name="number", table=Table.HOLDING_REGISTER, address=0, data_type=data_type, maximum=limit)


def sent(to: TagSpec) -> StepSpec:
    return StepSpec(phase=Phase.TRIGGER, tag=to, operator=Operator.SET, parameter=SEQUENCE)


def echoed(by: TagSpec) -> StepSpec:
    return StepSpec(phase=Phase.WAIT, tag=by, operator=Operator.EQUAL, parameter=SEQUENCE)


def command(*steps: StepSpec) -> CommandSpec:
    return CommandSpec(name="start", steps=steps)


class TestTheLargestNumber:
    @pytest.mark.parametrize(
        ("data_type", "largest"),
        [
            (DataType.INT16, 32_767),
            (DataType.UINT16, 65_535),
            (DataType.INT32, 2**31 - 1),
            (DataType.UINT32, 2**32 - 1),
            (DataType.INT64, 2**63 - 1),
            (DataType.UINT64, 2**64 - 1),
        ],
    )
    def test_is_that_of_the_tag_s_type(self, data_type, largest):
        assert sequence_limit(command(sent(tag(data_type)))) == largest

    def test_is_the_smallest_of_all_tags_that_carry_it(self):
        wide, narrow = tag(DataType.UINT32), tag(DataType.INT16)
        assert sequence_limit(command(sent(wide), echoed(narrow))) == 32_767
        assert sequence_limit(command(sent(narrow), echoed(wide))) == 32_767

    def test_is_the_tag_s_own_maximum_where_it_is_written_and_not_where_it_is_read(self):
        limited = tag(DataType.UINT16, maximum=999)
        assert sequence_limit(command(sent(limited), echoed(tag(DataType.UINT16)))) == 999
        assert sequence_limit(command(sent(tag(DataType.UINT16)), echoed(limited))) == 65_535

    def test_is_none_where_no_step_uses_the_number(self):
        narrow = StepSpec(phase=Phase.WRITE, tag=tag(DataType.INT16), operator=Operator.SET, parameter="batch_size")
        assert sequence_limit(command(narrow)) is None
        assert sequence_limit(command(narrow, sent(tag(DataType.UINT16)))) == 65_535


class TestCounting:
    @pytest.mark.parametrize(
        ("run", "number"), [(1, 1), (2, 2), (32_767, 32_767), (32_768, 1), (65_534, 32_767), (65_535, 1)]
    )
    def test_begins_again_at_1_and_is_never_0(self, run, number):
        assert wrapped(run, 32_767) == number

    def test_gives_two_runs_in_a_row_two_numbers(self):
        numbers = [wrapped(run, 2) for run in range(1, 9)]
        assert all(one != next_one for one, next_one in pairwise(numbers))
        assert set(numbers) == {1, 2}
