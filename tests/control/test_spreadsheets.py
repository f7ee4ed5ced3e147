"""What a PLC or a person wrote is not carried out by the spreadsheet that opens it."""

import pytest

from devices.control.spreadsheets import harmless


class TestAText:
    @pytest.mark.parametrize(
        "text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t5", "\r5", "\n5", "\t=1", " =1", "＝1", "－1", "=cmd|' /C calc'!A0"]
    )
    def test_that_begins_like_a_formula_is_marked_as_a_text(self, text: str) -> None:
        assert harmless(text).startswith("'")
        assert harmless(text).replace("'", "") == text.replace("'", "")

    @pytest.mark.parametrize(
        ("text", "written"),
        [
            ("LOT;=1+1", "LOT;'=1+1"),
            ("LOT; =1+1;-2", "LOT;' =1+1;'-2"),
            ("LOT\t@A1", "LOT\t'@A1"),
            ("LOT\n=1", "LOT\n'=1"),
            ("LOT\r\n=1", "LOT\r\n'=1"),
            ("=1;=2", "'=1;'=2"),
        ],
    )
    def test_is_marked_wherever_a_cell_could_begin(self, text: str, written: str) -> None:
        """A comma's quotes mean nothing to a spreadsheet that divides at semicolons."""
        assert harmless(text) == written

    @pytest.mark.parametrize("text", ["", "LOT 7", "a=1", "5-1", "a;b", "x@y", "Größe = 5 °C", "one\ntwo", "'quoted'"])
    def test_of_any_other_kind_stays_as_it_is(self, text: str) -> None:
        assert harmless(text) == text
