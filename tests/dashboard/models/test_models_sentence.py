"""The sentence of the Models page."""

from __future__ import annotations

from typing import Any

from dashboard.models.sentence import describe


def row(name: str, requests: int = 100, p95: float = 1_000.0, before: float = 1_000.0, errors: float = 0) -> Any:
    return {
        "model_name": name,
        "total_requests": requests,
        "p95_response_time_ms": p95,
        "error_rate_percent": errors,
        "previous": {"total_requests": requests, "p95_response_time_ms": before},
    }


def described(*rows: Any, comparable: bool = True, **options: Any) -> tuple[str, str, str]:
    sentence = describe(rows, "the last hour", "the previous hour", comparable=comparable, **options)
    return sentence.state, sentence.title.replace("\u00a0", " "), sentence.text.replace("\u00a0", " ")


class TheSentence:
    def test_names_the_model_that_is_slower_than_before(self) -> None:
        assert described(row("a", 800, 6_100, 1_950), row("b", 200)) == (
            "warning",
            "P95 of a is 6.10 s, up from 1.95 s in the previous hour.",
            "It carries 80 % of the requests. The other model is as fast as before.",
        )

    def test_names_the_model_that_fails_first(self) -> None:
        state, title, text = described(row("a", 50, 6_000), row("b", 50, errors=12), past=True)
        assert (state, title) == ("critical", "12 % of the requests to b failed.")
        assert text == "It carried 50 % of the requests. 1 more was slow or failing."

    def test_says_so_where_all_are_as_fast_as_before(self) -> None:
        assert described(row("a", p95=1_200), row("b")) == (
            "ok",
            "All models are as fast as in the previous hour.",
            "200 requests in the last hour. The highest P95 is that of a: 1.20 s.",
        )
        assert described(row("a"), omitted=4)[1] == "a is as fast as in the previous hour."
        assert (
            described(row("a"), row("b"), omitted=4)[1] == "The 2 busiest models are as fast as in the previous hour."
        )

    def test_compares_with_nothing_where_the_windows_are_not_comparable(self) -> None:
        state, title, _ = described(row("a", p95=9_000), comparable=False)
        assert (state, title) == ("ok", "1 model in use.")
        assert described(row("a"), comparable=False, omitted=3_013)[1] == "3,014 models in use."

    def test_claims_nothing_of_few_requests_or_none(self) -> None:
        assert described(row("a", 1)) == (
            "quiet",
            "1 request in the last hour.",
            "A percentile needs 20 requests of a model.",
        )
        assert described() == ("quiet", "No requests in the last hour.", "")
