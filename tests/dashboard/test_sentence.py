"""The first thing on the page."""

from __future__ import annotations

from typing import Any

from dashboard.sentence import Sentence, say


def model(name: str = "llama-3-70b", previous: dict[str, Any] | None = None, **figures: Any) -> dict[str, Any]:
    own = {
        "model_name": name,
        "total_requests": 1_000,
        "failed_requests": 0,
        "error_rate_percent": 0.0,
        "p95_response_time_ms": 2_000.0,
        "avg_response_time_ms": 1_000.0,
        "avg_queue_time_ms": 50.0,
        "p95_ttft_ms": 400.0,
    }
    return {**own, **figures, "previous": {**own, **(previous or {})}}


def sentence(*models: dict[str, Any], **summary: Any) -> Sentence:
    figures = {"total_requests": 2_000, "p95_response_time_ms": 2_000.0, "error_rate_percent": 0.0, **summary}
    return say(figures, models, "the last hour", "the hour before")


class TheSentence:
    def test_says_that_all_is_well_and_on_how_much_evidence(self) -> None:
        found = sentence(model("a"), model("b"))
        assert (found.state, found.title) == ("ok", "All is well.")
        assert found.text.replace("\u00a0", " ") == "2,000 requests in the last hour, P95 2.00 s, no errors."

    def test_names_the_only_model(self) -> None:
        assert sentence(model("gpt-4o-mini")).title == "gpt-4o-mini is well."

    def test_is_quiet_about_silence(self) -> None:
        found = sentence(total_requests=0)
        assert (found.state, found.title) == ("quiet", "No request in the last hour.")

    def test_names_the_slow_model_and_blames_the_queue(self) -> None:
        slow = model(p95_response_time_ms=6_120, avg_response_time_ms=5_000, avg_queue_time_ms=3_900)
        found = sentence(slow, model("other"), model("third"))
        assert found.state == "warning"
        assert found.title.replace("\u00a0", " ") == "llama-3-70b is slow: P95 6.12 s, three times the hour before."
        assert "wait 3.90 s in the queue" in found.text.replace("\u00a0", " ")
        assert found.text.endswith("The other models are well.")
        assert found.about == "p95"

    def test_acquits_the_queue(self) -> None:
        found = sentence(model(p95_response_time_ms=6_120, avg_response_time_ms=5_000))
        assert found.text.startswith("It is not the queue")

    def test_says_that_first_tokens_come_late_before_whole_answers_do(self) -> None:
        found = sentence(model(p95_ttft_ms=5_400, avg_queue_time_ms=1_100), model("other"))
        assert found.title.replace("\u00a0", " ") == (
            "llama-3-70b answers late: first token P95 5.40 s, 14 times the hour before."
        )
        assert found.about == "queue"

    def test_puts_errors_before_slowness(self) -> None:
        failing = model("failing", error_rate_percent=12.0, failed_requests=120)
        found = sentence(model("slow", p95_response_time_ms=9_000), failing)
        assert found.state == "critical"
        assert found.title.replace("\u00a0", " ") == "failing fails: 12 % of its requests."
        assert "Look at slow, too." in found.text

    def test_says_that_requests_are_too_few_to_judge(self) -> None:
        found = sentence(model(total_requests=7), total_requests=7, error_rate_percent=14.3)
        assert (found.state, found.title) == ("quiet", "7 requests in the last hour.")
        assert found.text.replace("\u00a0", " ").startswith("P95 2.00 s, 14 % failed. A model is judged from 20")

    def test_does_not_judge_on_few_requests(self) -> None:
        few = {"total_requests": 19}
        assert sentence(model(error_rate_percent=50.0, **few)).state == "ok"
        assert sentence(model(p95_response_time_ms=9_000, previous=few)).state == "ok"

    def test_does_not_mind_what_nobody_notices(self) -> None:
        assert sentence(model(p95_response_time_ms=200, previous={"p95_response_time_ms": 20.0})).state == "ok"
