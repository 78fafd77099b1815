"""The parts of a response time, as the server and the scripts compute them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.queries.answers.parts_of_time import parts_of_time

CASES = json.loads(Path("tests/dashboard/parts_of_time_cases.json").read_text(encoding="utf-8"))
figure = st.none() | st.floats(0, 1e7)


class TheParts:
    @pytest.mark.parametrize(("times", "parts"), [case[1:] for case in CASES], ids=[title for title, *_ in CASES])
    def test_are(self, times: dict[str, float | None], parts: dict[str, float]) -> None:
        assert parts_of_time(**times) == parts
        assert list(parts_of_time(**times)) == list(parts)

    @given(st.floats(0, 1e7), figure, figure)
    def test_add_up_to_the_response_time(self, response: float, queue: float | None, first_token: float | None) -> None:
        parts = parts_of_time(response, queue, first_token)
        assert sum(parts.values()) == pytest.approx(response)
        assert min(parts.values()) >= 0
