"""Answers byte by byte, against the double's own reading of the specification."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.modbus.answers import mismatch
from tests.doubles.pdu import Memory, parse
from tests.doubles.wire import HEADER

REQUESTS = [
    bytes.fromhex(body)
    for body in (
        "01 0000 0003",
        "02 0000 07d0",
        "03 0000 0002",
        "04 0001 007d",
        "05 0000 ff00",
        "05 0001 0000",
        "06 0001 1234",
        "0f 0000 000a 02 cd01",
        "10 0001 0002 04 000a 0102",
    )
]
requests = st.sampled_from(REQUESTS)


def frame(body: bytes, transaction: int = 7, unit: int = 1) -> bytes:
    return HEADER.pack(transaction, 0, len(body) + 1, unit) + body


def right_answer(body: bytes) -> bytes:
    return Memory(2000).carry_out(parse(body, 1))


class TestRightAnswer:
    @pytest.mark.parametrize("body", REQUESTS, ids=lambda body: body[:5].hex(" "))
    def test_is_taken(self, body):
        assert mismatch(frame(body), frame(right_answer(body))) is None

    @pytest.mark.parametrize("code", range(1, 256))
    def test_may_be_an_exception_of_any_code(self, code):
        assert mismatch(frame(REQUESTS[0]), frame(bytes([0x81, code]))) is None

    @given(requests, st.integers(1, 300))
    def test_is_waited_for_while_it_comes_in_pieces(self, body, cut):
        assert mismatch(frame(body), frame(right_answer(body))[:-cut]) is None

    @given(requests, st.lists(requests, max_size=3))
    def test_is_found_behind_older_ones(self, body, older):
        stale = b"".join(frame(right_answer(one), transaction=3 + i) for i, one in enumerate(older))
        assert mismatch(frame(body), stale + frame(right_answer(body))) is None
        assert mismatch(frame(body), stale + frame(right_answer(body) + b"\0")) is not None

    @given(requests, st.binary(max_size=20))
    def test_is_taken_whatever_follows_it(self, body, surplus):
        assert mismatch(frame(body), frame(right_answer(body)) + surplus) is None


class TestWrongAnswer:
    @given(requests, st.integers(0, 11), st.integers(1, 255))
    def test_of_one_wrong_byte_is_never_taken_for_whole(self, body, place, change):
        """What a read returns may be anything; every other byte is determined by the request."""
        raw = bytearray(frame(right_answer(body)))
        is_value = raw[7] < 5 and place > 8
        if place >= len(raw) or is_value or (place == 7 and change == 0x80 and len(raw) == 9):
            return
        raw[place] ^= change
        is_of_another_request = place < 2 and raw[:2] != b"\0\0"
        is_longer_now = place in (4, 5) and int.from_bytes(raw[4:6]) > len(raw) - 6
        if not is_of_another_request and not (is_longer_now and int.from_bytes(raw[4:6]) < 255):
            assert mismatch(frame(body), bytes(raw)) is not None

    @given(requests, st.binary(min_size=1, max_size=5))
    def test_of_surplus_bytes_is_refused(self, body, surplus):
        assert mismatch(frame(body), frame(right_answer(body) + surplus)) is not None

    @given(st.binary(min_size=7, max_size=300))
    def test_of_any_bytes_raises_nothing(self, octets):
        mismatch(frame(REQUESTS[2]), octets)

    @pytest.mark.parametrize(
        ("octets", "words"),
        [
            (frame(right_answer(REQUESTS[2]), transaction=0), "without a transaction number"),
            (frame(right_answer(REQUESTS[2]), unit=9), "unit 9 answered instead of unit 1"),
            (frame(right_answer(REQUESTS[3])), "function 4"),
            (frame(right_answer(bytes.fromhex("03 0000 0003"))), "another number of values"),
            (b"HTTP/1.1 400 Bad Request", "not Modbus"),
        ],
    )
    def test_is_told_in_words(self, octets, words):
        assert words in mismatch(frame(REQUESTS[2]), octets)
