"""The sentence of the Throughput page."""

from __future__ import annotations

from typing import Any

from dashboard.throughput.sentence import Sentence, describe


def described(change: float | None, comparable: bool = True, **summary: Any) -> Sentence:
    known = {"total_requests": 3_600, "requests_per_second": 1.0, "comparable": comparable, "tokens_per_second": 83.1}
    changes = {"change_percent": {"requests_per_second": change}}
    return describe(known | changes | summary, "the last hour", "the previous hour")


class TheSentence:
    def test_says_that_the_rate_is_as_usual(self) -> None:
        assert described(4).title == "1.00 requests per s on average, about as in the previous hour."

    def test_says_by_how_much_it_changed(self) -> None:
        assert described(50).title == "1.00 requests per s on average, 50\u00a0% more than in the previous hour."
        assert "20\u00a0% fewer" in described(-20).title

    def test_compares_with_nothing_where_there_was_little(self) -> None:
        assert described(50, comparable=False).title == "1.00 requests per s on average."

    def test_names_the_share_of_the_cache_where_there_is_one(self) -> None:
        assert "from a cache" in described(0, cached_percent=40.0).text
        assert "cache" not in described(0).text

    def test_of_no_requests_is_quiet(self) -> None:
        assert described(None, total_requests=0).state == "quiet"
