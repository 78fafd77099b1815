"""The first thing on the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from dashboard.overview.sentence import Sentence, describe_state


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
    found = describe_state(
        figures, models, "the last hour", "the hour before", hosts=hosts, recent=lambda: recent, past=past
    )  # fmt: skip
    return replace(found, title=found.title.replace("\u00a0", " "), text=found.text.replace("\u00a0", " "))


def host(name: str, state: str) -> dict[str, Any]:
    return {"host": name, "state": state}


SLOW: dict[str, Any] = {"p95_response_time_ms": 6_120.0, "avg_response_time_ms": 5_000.0, "avg_queue_time_ms": 3_900.0}


class TheSentence:
    def test_says_that_all_is_well_and_on_how_much_evidence(self) -> None:
        found = sentence(model("a"), model("b"))
        assert (found.state, found.title) == ("ok", "All models are healthy.")
        assert found.text == "2,000 requests in the last hour, P95 2.00 s, no errors."

    def test_names_the_only_model(self) -> None:
        assert sentence(model("gpt-4o-mini")).title == "gpt-4o-mini is healthy."

    def test_is_quiet_about_silence(self) -> None:
        found = sentence(total_requests=0)
        assert (found.state, found.title) == ("quiet", "No requests in the last hour.")

    def test_names_the_slow_model_and_blames_the_queue(self) -> None:
        found = sentence(model(**SLOW), model("other"), model("third"))
        assert found.state == "warning"
        assert found.title == "llama-3-70b is slow: P95 6.12 s, three times as high as in the hour before."
        assert "wait 3.90 s in the queue on average, up from 50.0 ms" in found.text
        assert found.text.endswith("The other models are healthy.")
        assert found.about == "p95"

    def test_acquits_the_queue(self) -> None:
        found = sentence(model(p95_response_time_ms=6_120, avg_response_time_ms=5_000))
        assert found.text.startswith("The queue is not the cause")

    def test_says_that_first_tokens_come_late_before_whole_answers_do(self) -> None:
        found = sentence(model(p95_ttft_ms=5_400, avg_queue_time_ms=1_100), model("other"))
        assert found.title == (
            "llama-3-70b is slow to start: first token P95 5.40 s, 14 times as high as in the hour before."
        )
        assert found.about == "queue"

    def test_puts_errors_before_slowness(self) -> None:
        failing = model("failing", error_rate_percent=12.0, failed_requests=120)
        found = sentence(model("slow", p95_response_time_ms=9_000), failing)
        assert found.state == "critical"
        assert found.title == "12 % of requests to failing are failing."
        assert "Also check slow." in found.text

    def test_says_that_requests_are_too_few_to_judge(self) -> None:
        found = sentence(model(total_requests=7), total_requests=7, error_rate_percent=14.3)
        assert (found.state, found.title) == ("quiet", "7 requests in the last hour.")
        assert found.text.startswith("P95 2.00 s, 14 % failed. A model is judged once it has 20")

    def test_does_not_judge_on_few_requests(self) -> None:
        few: dict[str, Any] = {"total_requests": 19}
        assert sentence(model(error_rate_percent=50.0, **few)).state == "ok"
        assert sentence(model(p95_response_time_ms=9_000, previous=few)).state == "ok"

    def test_does_not_mind_what_nobody_notices(self) -> None:
        assert sentence(model(p95_response_time_ms=200, previous={"p95_response_time_ms": 20.0})).state == "ok"

    def test_says_how_many_times_in_figures_where_no_word_fits(self) -> None:
        assert (
            "2.00 s, 1.6 times as high as in the hour before."
            in sentence(model(previous={"p95_response_time_ms": 1_250.0})).title
        )

    def test_does_not_judge_against_a_window_that_is_nearly_empty(self) -> None:
        assert sentence(model(**SLOW), comparable=False).title == "llama-3-70b is healthy."


class ThePast:
    def test_is_told_as_past_where_the_last_minutes_are_as_before(self) -> None:
        found = sentence(model(**SLOW), model("other"), recent=[model(), model("other")])
        assert found.title == "llama-3-70b was slow: P95 6.12 s, three times as high as in the hour before."
        assert found.text == (
            "Its requests waited 3.90 s in the queue on average, up from 50.0 ms. It has recovered. "
            "The other model is healthy."
        )
        assert (found.state, found.about) == ("ok", "")

    def test_is_present_while_it_lasts_or_nobody_can_say(self) -> None:
        assert " is slow" in sentence(model(**SLOW), recent=[model(**SLOW)]).title
        assert " is slow" in sentence(model(**SLOW), recent=[model(total_requests=19)]).title
        assert " is slow" in sentence(model(**SLOW), recent=[]).title

    def test_comes_after_what_is_wrong_now(self) -> None:
        failed = model("failed", error_rate_percent=12.0, failed_requests=120)
        found = sentence(failed, model("slow", **SLOW), recent=[model("failed"), model("slow", **SLOW)])
        assert found.title.startswith("slow is slow")
        assert found.text.endswith("Also check failed.")

    def test_of_failures_is_told_as_past(self) -> None:
        failed = model(error_rate_percent=12.0, failed_requests=120)
        found = sentence(failed, recent=[model()])
        assert (found.state, found.title) == ("ok", "12 % of requests to llama-3-70b failed.")
        assert found.text == "120 of 1,000 requests in the last hour. It has recovered."

    def test_window_is_told_as_past_and_is_still_a_warning(self) -> None:
        found = sentence(model(**SLOW), model("other"), model("third"), past=True)
        assert found.title.startswith("llama-3-70b was slow")
        assert found.text.endswith("up from 50.0 ms. The other models were healthy.")
        assert (found.state, found.about) == ("warning", "p95")
        assert sentence(model("a"), model("b"), past=True).title == "All models were healthy."


class AMachine:
    def test_that_is_down_or_late_is_the_news_where_the_models_are_well(self) -> None:
        up = host("vm", "up")
        down = sentence(model("a"), model("b"), hosts=[up, host("gpu-box-1", "down"), host("late", "stale")])
        assert (down.state, down.title) == ("warning", "gpu-box-1 is down.")
        assert down.text == "2,000 requests in the last hour, P95 2.00 s, no errors."
        stale = sentence(model("a"), hosts=[up, host("b", "stale"), host("c", "stale")])
        assert stale.title == "No recent samples from b and c."
        assert sentence(model("a"), hosts=[up]).title == "a is healthy."

    def test_that_is_down_is_told_where_no_request_came(self) -> None:
        found = sentence(total_requests=0, hosts=[host("gpu-box-1", "down")])
        assert (found.state, found.title) == ("warning", "gpu-box-1 is down.")
        assert found.text.startswith("No requests in the last hour.")

    def test_that_is_down_is_told_beside_what_is_wrong_and_before_what_was(self) -> None:
        hosts = [host("gpu-box-1", "down")]
        assert sentence(model(**SLOW), hosts=hosts).text.endswith("gpu-box-1 is down.")
        assert sentence(model(**SLOW), recent=[model()], hosts=hosts).title == "gpu-box-1 is down."

    def test_of_now_says_nothing_of_another_time(self) -> None:
        assert sentence(model("a"), hosts=[host("gpu-box-1", "down")], past=True).title == "a was healthy."


class AModelWithFewRequests:
    def test_that_fail_is_named_and_not_judged(self) -> None:
        few = model("gpt-4o", total_requests=7, failed_requests=3, error_rate_percent=42.9)
        found = sentence(model("a"), few, model("b", total_requests=3))
        assert (found.state, found.title) == ("quiet", "No problems found.")
        assert found.text.endswith("no errors. Too few requests to judge: gpt-4o (3 of 7 failed).")

    def test_among_others_that_are_as_few_says_what_it_takes(self) -> None:
        found = sentence(*(model(name, total_requests=10) for name in "abc"), total_requests=30)
        assert found.title == "30 requests in the last hour."
        assert found.text.endswith("A model is judged once it has 20 requests.")
