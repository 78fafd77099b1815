"""Numbers as text. tests/e2e/test_scripts.py checks the page's scripts against the same cases."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.formatting import FORMATS, change, duration, in_unit, money, significant, threshold_text

HERE = Path(__file__).parent
FORMAT_CASES = json.loads((HERE / "format_cases.json").read_text(encoding="utf-8"))
UNIT_CASES = json.loads((HERE / "unit_cases.json").read_text(encoding="utf-8"))
CHANGE_CASES = json.loads((HERE / "change_cases.json").read_text(encoding="utf-8"))


class AFigure:
    @pytest.mark.parametrize(("name", "value", "number", "unit"), FORMAT_CASES)
    def test_is_formatted(self, name: str, value: float | None, number: str, unit: str) -> None:
        assert FORMATS[name](value) == (number, unit)

    @pytest.mark.parametrize(("unit", "value", "text", "threshold"), UNIT_CASES)
    def test_has_the_unit_of_its_metric(self, unit: str, value: float | None, text: str, threshold: str) -> None:
        assert (str(in_unit(value, unit)), threshold_text(value, unit)) == (text, threshold)

    @given(st.floats(min_value=1e-3, max_value=1e12))
    def test_is_within_half_of_its_third_digit(self, value: float) -> None:
        assert float(significant(value).replace(",", "")) == pytest.approx(value, rel=0.0051)

    @given(st.floats(min_value=0, max_value=1e9))
    def test_of_time_is_short(self, milliseconds: float) -> None:
        assert len(str(duration(milliseconds))) <= 12

    @pytest.mark.parametrize("name", ["rate", "throughput"])
    @given(st.floats(min_value=0, max_value=1e11))
    def test_of_a_rate_fits_into_a_tile(self, name: str, value: float) -> None:
        assert len(FORMATS[name](value).number) <= 4


class AChange:
    @pytest.mark.parametrize(("name", "now", "before", "worse", "text", "judgement"), CHANGE_CASES)
    def test_is_formatted(self, name: str, now: Any, before: Any, worse: str | None, text: str, judgement: str) -> None:
        assert change(name, now, before, worse) == (text, judgement)


class AnAmountOfMoney:
    @pytest.mark.parametrize(
        ("dollars", "text"),
        [
            (0.000172, "$0.000172"),
            (0.0123456, "$0.0123"),
            (0.5, "$0.500"),
            (0.9999, "$1.00"),
            (1234.5, "$1,234.50"),
            (0, "$0"),
            (None, "—"),
        ],
    )
    def test_has_two_decimals_or_three_digits(self, dollars: float | None, text: str) -> None:
        assert str(money(dollars)) == text
