"""What may stand in a body, before anything is known of the command."""

import pytest

from devices.api.body import Malformed, parse
from devices.control.errors import InvalidParameters


def faults_of(body: str) -> dict[str, str]:
    """What is said of each field."""
    with pytest.raises(InvalidParameters) as refused:
        parse(body.encode())
    return dict(refused.value.errors)


class TestParse:
    def test_reads_a_flat_object_as_it_is(self):
        read = parse('{"whole": 15, "part": 1.5, "yes": true, "no": null, "text": "süß 𝄞"}'.encode())
        assert read == {"whole": 15, "part": 1.5, "yes": True, "no": None, "text": "süß 𝄞"}
        assert [type(value) for value in read.values()] == [int, float, bool, type(None), str]

    def test_leaves_an_integral_float_a_float(self):
        assert type(parse(b'{"a": 15.0}')["a"]) is float

    @pytest.mark.parametrize(
        "body",
        [
            b"{",
            b"{'a': 1}",
            b'{"a": 01}',
            b'{"a": 1} {"a": 2}',
            b"\xff",
            b'{"a": "\xed\xa0\x80"}',
            '{"a": 1}'.encode("utf-16"),
            '{"a": 1}'.encode("utf-16-le"),
            '{"a": 1}'.encode("utf-8-sig"),
            b"[" * 30_000,
            b'{"a":' * 12_000,
        ],
    )
    def test_refuses_what_is_not_json_in_utf_8(self, body: bytes):
        with pytest.raises(Malformed, match="the body is"):
            parse(body)

    @pytest.mark.parametrize("body", ["5", "null", '"text"', "[]", "NaN", '[{"a": NaN}]', "1" * 5000])
    def test_refuses_what_is_not_an_object(self, body: str):
        assert faults_of(body).keys() == {"body"}

    @pytest.mark.parametrize(
        "value",
        [
            "NaN",
            "Infinity",
            "-Infinity",
            "1e999",
            "-1e999",
            "1e-999",
            "0.0" + "0" * 400 + "1",
            "5e-324",
            "2.2e-308",
            "-0.0",
            "-0e5",
            "9" * 5000,
            "-" + "9" * 310,
            "[1]",
            "{}",
            '{"b": 1}',
            '"a\\u0000b"',
            '"\\ud800"',
            '"\\udc00 \\ud800"',
            '"' + "x" * 1001 + '"',
        ],
    )
    def test_names_the_field_of_a_value_that_no_register_holds(self, value: str):
        assert faults_of(f'{{"good": 1, "bad": {value}}}').keys() == {"bad"}

    @pytest.mark.parametrize("value", ["0.0", "0e5", "-1.5", "2.3e-308", "9" * 309, "-0", "1e308", '""'])
    def test_takes_what_looks_alike_and_is_right(self, value: str):
        assert len(parse(f'{{"a": {value}}}'.encode())) == 1

    def test_names_every_wrong_field(self):
        assert faults_of('{"a": NaN, "b": 1, "b": 2, "c": [], "d": 4}') == {
            "a": "must be a finite number, not NaN",
            "b": "is given twice",
            "c": "must be a single value",
        }

    def test_speaks_of_the_outer_object_only(self):
        assert faults_of('{"outer": {"inner": NaN}}') == {"outer": "must be a single value"}

    def test_names_a_field_whose_name_cannot_be_shown(self):
        assert faults_of('{"a\\nb": 1, "\\ud800": 2, "a\\u202eb": 3}').keys() == {"a\\nb", "\\ud800", "a\\u202eb"}

    def test_answers_a_flood_of_fields_briefly(self):
        fields = ", ".join(f'"f{i}": NaN' for i in range(4000))
        assert faults_of(f"{{{fields}}}") == {"body": "has more than 100 fields"}

    def test_answers_a_long_name_briefly(self):
        assert faults_of(f'{{"{"x" * 60_000}": 1}}') == {"x" * 50: "is not a parameter's name"}
