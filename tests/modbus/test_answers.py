"""Answers byte by byte, against the double's own reading of the specification."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.modbus.answers import exception_code, take, words
from devices.modbus.errors import WrongAnswer
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
        assert take(frame(body), bytearray(frame(right_answer(body)))) == right_answer(body)

    @pytest.mark.parametrize("code", range(1, 256))
    def test_may_be_an_exception_of_any_code(self, code):
        body = take(frame(REQUESTS[0]), bytearray(frame(bytes([0x81, code]))))
        assert exception_code(body) == code

    @given(requests, st.integers(1, 300))
    def test_is_waited_for_while_it_comes_in_pieces(self, body, cut):
        assert take(frame(body), bytearray(frame(right_answer(body))[:-cut])) is None

    @given(requests, st.lists(requests, max_size=3))
    def test_is_found_behind_older_ones(self, body, older):
        stale = b"".join(frame(right_answer(one), transaction=3 + i) for i, one in enumerate(older))
        assert take(frame(body), bytearray(stale + frame(right_answer(body)))) == right_answer(body)
        with pytest.raises(WrongAnswer):
            take(frame(body), bytearray(stale + frame(right_answer(body) + b"\0")))

    @given(requests, st.lists(requests, min_size=1, max_size=3))
    def test_is_waited_for_in_the_memory_of_one_answer_however_many_older_ones_come(self, body, older):
        received = bytearray(b"".join(frame(right_answer(one), transaction=3) for one in older))
        assert take(frame(body), received) is None
        assert received == b""

    @given(requests, st.binary(max_size=20))
    def test_is_taken_whatever_follows_it(self, body, surplus):
        assert take(frame(body), bytearray(frame(right_answer(body)) + surplus)) == right_answer(body)


class TestWords:
    @given(st.lists(st.integers(0, 0xFFFF), min_size=1, max_size=125))
    def test_of_registers_are_as_the_plc_holds_them(self, registers):
        body = bytes([3, 2 * len(registers)]) + b"".join(word.to_bytes(2) for word in registers)
        assert words(body, len(registers)) == tuple(registers)

    @given(st.lists(st.integers(0, 1), min_size=1, max_size=2000))
    def test_of_bits_begin_with_the_lowest_of_the_first_byte(self, bits):
        octets = [sum(bit << place for place, bit in enumerate(bits[at : at + 8])) for at in range(0, len(bits), 8)]
        assert words(bytes([1, len(octets), *octets]), len(bits)) == tuple(bits)


class TestWrongAnswer:
    @given(requests, st.integers(0, 11), st.integers(1, 255))
    def test_of_one_wrong_byte_is_never_taken_for_whole(self, body, place, change):
        """What a read returns may be anything; every other byte is determined by the request."""
        raw = bytearray(frame(right_answer(body)))
        is_value = raw[7] < 5 and place > 8
        if place >= len(raw) or is_value or (place == 7 and change == 0x80 and len(raw) == 9):
            return
        raw[place] ^= change
        assert is_refused_or_waited_on(body, raw)

    @given(requests, st.binary(min_size=1, max_size=5))
    def test_of_surplus_bytes_is_refused(self, body, surplus):
        with pytest.raises(WrongAnswer):
            take(frame(body), bytearray(frame(right_answer(body) + surplus)))

    @given(st.binary(max_size=300))
    def test_of_any_bytes_raises_nothing_else(self, octets):
        with contextlib.suppress(WrongAnswer):
            take(frame(REQUESTS[2]), bytearray(octets))

    @pytest.mark.parametrize(
        ("octets", "told"),
        [
            (frame(right_answer(REQUESTS[2]), transaction=0), "without a transaction number"),
            (frame(right_answer(REQUESTS[2]), unit=9), "unit 9 answered instead of unit 1"),
            (frame(right_answer(REQUESTS[3])), "function 4"),
            (frame(right_answer(bytes.fromhex("03 0000 0003"))), "another number of values"),
            (b"HTTP/1.1 400 Bad Request", "not Modbus"),
        ],
    )
    def test_is_told_in_words(self, octets, told):
        with pytest.raises(WrongAnswer, match=told):
            take(frame(REQUESTS[2]), bytearray(octets))


def is_refused_or_waited_on(body: bytes, raw: bytearray) -> bool:
    try:
        return take(frame(body), raw) is None
    except WrongAnswer:
        return True
