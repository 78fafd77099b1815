"""Timing bars and sentences of requests."""

from __future__ import annotations

from typing import Any

import pytest

from dashboard.requests.detail import frames_of, marks, metadata_of, nearest, timing_text
from dashboard.requests.page import chips, empty_reason
from dashboard.requests.rows import bar, nice_scale
from dashboard.requests.sentence import describe
from metrics.queries import Filters


def row(total: float | None, queue: float | None = None, ttft: float | None = None, **fields: Any) -> dict[str, Any]:
    return {"response_time_ms": total, "queue_time_ms": queue, "ttft_ms": ttft, **fields}


class ATimingBar:
    def test_is_drawn_on_the_scale_of_its_page_without_empty_parts(self) -> None:
        drawn = bar(row(1000, 500, 500), 2000)
        assert [(part.name, part.x, part.width) for part in drawn] == [("queue", 0, 250), ("decode", 250, 250)]

    @pytest.mark.parametrize(("longest", "scale"), [(5780, 6_000), (1000, 1000), (1001, 2000), (3, 3), (0.5, 1)])
    def test_has_a_round_scale_that_is_long_enough(self, longest: float, scale: float) -> None:
        assert nice_scale(longest) == scale


class TheMarksOfATimingBar:
    def test_are_at_their_place_on_its_scale_with_their_text_where_there_is_room(self) -> None:
        drawn = marks(row(1000, 100, 250), {"P50": 900.0, "P95": 1200.0}, 1000)
        assert [(mark.x, mark.text.replace("\u00a0", " "), mark.after) for mark in drawn] == [
            (25, "first token 250 ms", True),
            (90, "P50 of the model 900 ms", False),
        ]


class ADetail:
    def test_says_how_much_of_the_time_was_waiting(self) -> None:
        assert timing_text(row(5780, 3870)).replace("\u00a0", " ") == (
            "5.78 s, 67 % of it waiting; without the queue 1.91 s."
        )

    def test_folds_the_frames_of_libraries(self) -> None:
        stack = (
            'Traceback (most recent call last):\n  File "app.py", line 8, in run\n    call()\n'
            '  File "/x/site-packages/httpx/a.py", line 1, in get\n    raise E\nE: broken'
        )
        assert [library for library, _ in frames_of(stack)] == [False, True, False]
        assert "\n".join(text for _, text in frames_of(stack)) == stack

    def test_shows_metadata_of_any_kind(self) -> None:
        assert metadata_of({"a": "x", "b": [1]}) == [("a", "x"), ("b", "[1]")]
        assert metadata_of([1]) == [("metadata", "[1]")]
        assert metadata_of(None) == []

    def test_has_the_nearest_neighbours_and_itself(self) -> None:
        rows = [{"id": n, "timestamp": f"2026-01-01T00:00:{n:02}Z"} for n in range(10)]
        assert sorted(other["id"] for other in nearest(rows, rows[4], 3)) == [3, 4, 5]


class TheSentence:
    def test_counts_requests_and_failures(self) -> None:
        sentence = describe(
            {"total_requests": 43_900, "failed_requests": 377, "requests_per_second": 12.4}, "the last hour"
        )
        assert sentence.title == "43,900 requests in the last hour; 377 failed."
        assert sentence.text.replace("\u00a0", " ") == "12.4 per s on average. 0.9 % failed."

    def test_of_no_requests_names_the_last_one(self) -> None:
        assert describe({}, "the last hour", "2026-01-01T00:00:00Z").text == (
            "The last one finished at 2026-01-01T00:00:00Z."
        )
        assert describe({}, "the last hour").text == "No request was sent yet."


class AnEmptyList:
    def test_names_the_filters_that_nothing_matches(self) -> None:
        filters = Filters(model=("llama",), status_code=429, min_ttft_ms=2000, outcome="failed")
        assert empty_reason(filters, "the last hour", chips(filters)).replace("\u00a0", " ") == (
            "No requests match model = llama and status = 429 and first token ≥ 2.00 s and outcome = failed"
            " in the last hour."
        )
