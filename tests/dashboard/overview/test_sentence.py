"""The first thing on the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from dashboard.overview.sentence import describe_state
from dashboard.sentence import Sentence


def model(name: str = "llama-3-70b", previous: dict[str, Any] | None = None, **figures: Any) -> dict[str, Any]:
    row = {
        "model_name": name,
        "total_requests": 1_000,
        "failed_requests": 0,
        "error_rate_percent": 0.0,
        "p95_response_time_ms": 2_000.0,
        "avg_response_time_ms": 1_000.0,
        "avg_queue_time_ms": 50.0,
        "p95_ttft_ms": 400.0,
    }
    return {**row, **figures, "previous": {**row, **(previous or {})}}


def sentence(
    *models: dict[str, Any],
    hosts: Sequence[dict[str, Any]] = (),
    recent: Sequence[dict[str, Any]] = (),
    past: bool = False,
    **summary: Any,
) -> Sentence:
    figures = {
        "total_requests": 2_000,
        "p95_response_time_ms": 2_000.0,
        "error_rate_percent": 0.0,
        "comparable": True,
        **summary,
    }
    result = describe_state(
        figures, models, "the last hour", "the previous hour", hosts=hosts, recent=lambda: recent, past=past
    )  # fmt: skip
    return replace(result, title=result.title.replace("\u00a0", " "), text=result.text.replace("\u00a0", " "))


def host(name: str, state: str) -> dict[str, Any]:
    return {"host": name, "state": state}


SLOW: dict[str, Any] = {"p95_response_time_ms": 6_120.0, "avg_response_time_ms": 5_000.0, "avg_queue_time_ms": 3_900.0}


class TheSentence:
    def test_says_that_all_models_are_healthy_and_on_how_many_requests(self) -> None:
        result = sentence(model("a"), model("b"))
        assert (result.state, result.title) == ("ok", "All models are healthy.")
        assert result.text == "2,000 requests in the last hour, P95 2.00 s, no errors."

    def test_names_the_only_model(self) -> None:
        assert sentence(model("gpt-4o-mini")).title == "gpt-4o-mini is healthy."

    def test_is_quiet_where_there_are_no_requests(self) -> None:
        result = sentence(total_requests=0)
        assert (result.state, result.title) == ("quiet", "No requests in the last hour.")

    def test_names_the_slow_model_and_blames_the_queue(self) -> None:
        result = sentence(model(**SLOW), model("other"), model("third"))
        assert result.state == "warning"
        assert result.title == "llama-3-70b is slow: P95 6.12 s, three times as high as in the previous hour."
        assert "wait 3.90 s in the queue on average, up from 50.0 ms" in result.text
        assert result.text.endswith("The other models are healthy.")
        assert result.about == "p95"

    def test_says_when_the_queue_is_not_the_cause(self) -> None:
        result = sentence(model(p95_response_time_ms=6_120, avg_response_time_ms=5_000))
        assert result.text.startswith("The queue is not the main cause: requests wait")
        assert result.text.endswith("in the previous hour.")

    def test_names_the_model_whose_first_tokens_are_late(self) -> None:
        result = sentence(model(p95_ttft_ms=5_400, avg_queue_time_ms=1_100), model("other"))
        assert result.title == (
            "llama-3-70b is slow to start: first token P95 5.40 s, 14 times as high as in the previous hour."
        )
        assert result.about == "queue"

    def test_puts_errors_before_slowness(self) -> None:
        failing = model("failing", error_rate_percent=12.0, failed_requests=120)
        result = sentence(model("slow", p95_response_time_ms=9_000), failing)
        assert result.state == "critical"
        assert result.title == "12 % of requests to failing are failing."
        assert "Also check slow." in result.text

    def test_says_that_requests_are_too_few_to_judge(self) -> None:
        result = sentence(model(total_requests=7), total_requests=7, error_rate_percent=14.3)
        assert (result.state, result.title) == ("quiet", "7 requests in the last hour.")
        assert result.text.startswith("P95 2.00 s, 14 % failed. At least 20 requests are needed")

    def test_does_not_judge_on_few_requests(self) -> None:
        few: dict[str, Any] = {"total_requests": 19}
        assert sentence(model(error_rate_percent=50.0, **few)).state == "ok"
        assert sentence(model(p95_response_time_ms=9_000, previous=few)).state == "ok"

    def test_ignores_a_slowdown_that_a_person_does_not_notice(self) -> None:
        assert sentence(model(p95_response_time_ms=200, previous={"p95_response_time_ms": 20.0})).state == "ok"

    def test_names_a_ratio_in_figures_where_no_word_fits(self) -> None:
        assert (
            "2.00 s, 1.6 times as high as in the previous hour."
            in sentence(model(previous={"p95_response_time_ms": 1_250.0})).title
        )

    def test_does_not_judge_against_a_window_that_is_nearly_empty(self) -> None:
        assert sentence(model(**SLOW), comparable=False).title == "llama-3-70b is healthy."


class ThePast:
    def test_is_in_the_past_tense_where_the_last_minutes_are_as_before(self) -> None:
        result = sentence(model(**SLOW), model("other"), recent=[model(), model("other")])
        assert result.title == "llama-3-70b was slow: P95 6.12 s, three times as high as in the previous hour."
        assert result.text == (
            "Its requests waited 3.90 s in the queue on average, up from 50.0 ms. It has recovered. "
            "The other model is healthy."
        )
        assert (result.state, result.about) == ("ok", "")

    def test_is_in_the_present_tense_while_it_lasts_or_is_unknown(self) -> None:
        assert " is slow" in sentence(model(**SLOW), recent=[model(**SLOW)]).title
        assert " is slow" in sentence(model(**SLOW), recent=[model(total_requests=19)]).title
        assert " is slow" in sentence(model(**SLOW), recent=[]).title

    def test_comes_after_a_problem_that_lasts(self) -> None:
        failed = model("failed", error_rate_percent=12.0, failed_requests=120)
        result = sentence(failed, model("slow", **SLOW), recent=[model("failed"), model("slow", **SLOW)])
        assert result.title.startswith("slow is slow")
        assert result.text.endswith("Also check failed.")

    def test_of_failures_is_in_the_past_tense(self) -> None:
        failed = model(error_rate_percent=12.0, failed_requests=120)
        result = sentence(failed, recent=[model()])
        assert (result.state, result.title) == ("ok", "12 % of requests to llama-3-70b failed.")
        assert result.text == "120 of 1,000 requests in the last hour. It has recovered."

    def test_window_is_in_the_past_tense_and_is_still_a_warning(self) -> None:
        result = sentence(model(**SLOW), model("other"), model("third"), past=True)
        assert result.title.startswith("llama-3-70b was slow")
        assert result.text.endswith("up from 50.0 ms. The other models were healthy.")
        assert (result.state, result.about) == ("warning", "p95")
        assert sentence(model("a"), model("b"), past=True).title == "All models were healthy."


class AMachine:
    def test_that_is_down_or_late_is_the_title_where_the_models_are_healthy(self) -> None:
        up = host("vm", "up")
        down = sentence(model("a"), model("b"), hosts=[up, host("gpu-box-1", "down"), host("late", "stale")])
        assert (down.state, down.title) == ("warning", "gpu-box-1 is down.")
        assert down.text == "2,000 requests in the last hour, P95 2.00 s, no errors."
        stale = sentence(model("a"), hosts=[up, host("b", "stale"), host("c", "stale")])
        assert stale.title == "No recent samples from b and c."
        assert sentence(model("a"), hosts=[up]).title == "a is healthy."

    def test_that_is_down_is_named_where_there_are_no_requests(self) -> None:
        result = sentence(total_requests=0, hosts=[host("gpu-box-1", "down")])
        assert (result.state, result.title) == ("warning", "gpu-box-1 is down.")
        assert result.text.startswith("No requests in the last hour.")

    def test_that_is_down_is_named_after_a_problem_that_lasts_and_before_one_that_is_over(self) -> None:
        hosts = [host("gpu-box-1", "down")]
        assert sentence(model(**SLOW), hosts=hosts).text.endswith("gpu-box-1 is down.")
        assert sentence(model(**SLOW), recent=[model()], hosts=hosts).title == "gpu-box-1 is down."

    def test_is_not_named_for_a_window_in_the_past(self) -> None:
        assert sentence(model("a"), hosts=[host("gpu-box-1", "down")], past=True).title == "a was healthy."


class AModelWithFewRequests:
    def test_that_fail_is_named_and_not_judged(self) -> None:
        few = model("gpt-4o", total_requests=7, failed_requests=3, error_rate_percent=42.9)
        result = sentence(model("a"), few, model("b", total_requests=3))
        assert (result.state, result.title) == ("quiet", "No known problems.")
        assert result.text.endswith("no errors. Too few requests to assess: gpt-4o (3 of 7 failed).")

    def test_among_others_with_few_requests_names_the_minimum(self) -> None:
        result = sentence(*(model(name, total_requests=10) for name in "abc"), total_requests=30)
        assert result.title == "30 requests in the last hour."
        assert result.text.endswith("At least 20 requests are needed to assess a model.")
