"""Texts that a spreadsheet could run as a formula."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from metrics.spreadsheets import guarded, unguarded

TEXTS = st.text(st.sampled_from("'=+-@a1 \t\n\ufeff"), max_size=6) | st.text(max_size=20)


class AGuardedText:
    @given(TEXTS)
    @example("'=1")
    @example("''\t")
    def test_can_be_read_again(self, text: str) -> None:
        assert unguarded(guarded(text)) == text

    @given(TEXTS, TEXTS)
    @example("=1", "'=1")
    def test_is_that_of_one_text_only(self, first: str, second: str) -> None:
        assert (guarded(first) == guarded(second)) == (first == second)
