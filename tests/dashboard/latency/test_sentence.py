"""The sentence of the Latency page."""

from __future__ import annotations

from typing import Any

from dashboard.formatting import SPACE
from dashboard.latency.sentence import describe_latency


def figures(
    p95: float, count: int = 100, queue: float = 100, ttft: float | None = 300, avg: float = 1000
) -> dict[str, Any]:
    return {
        "total_requests": count,
        "p95_response_time_ms": p95,
        "avg_response_time_ms": avg,
        "avg_queue_time_ms": queue,
        "avg_ttft_ms": ttft,
    }


def model(name: str, now: dict[str, Any], before: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"model_name": name, **now, "previous": before or figures(2000)}


def summary(comparable: bool = True, **more: Any) -> dict[str, Any]:
    return {**figures(2000), "comparable": comparable, "previous": figures(2000), **more}


def sentence(*models: dict[str, Any], past: bool = False, **more: Any) -> tuple[str, str, str]:
    sentence = describe_latency(summary(**more), models, "the last hour", "the previous hour", past=past)
    return sentence.state, sentence.title.replace(SPACE, " "), sentence.text.replace(SPACE, " ")


STEADY = model("gpt", figures(2000))


class TheSentence:
    def test_names_the_queue_where_it_explains_over_half_of_the_rise(self) -> None:
        slow = model("llama", figures(6000, queue=3900, ttft=4200, avg=5000))

        assert sentence(STEADY, slow) == (
            "warning",
            "Response time tripled for llama alone: it is the queue.",
            (
                "P95 6.00 s in the last hour, 2.00 s in the previous hour. "
                "Its requests wait 3.90 s on average, 100 ms before."
            ),
        )

    def test_names_the_prompt_and_the_decode_phase_by_their_own_rise(self) -> None:
        prompt = model("llama", figures(6000, queue=100, ttft=3300, avg=4000))
        decode = model("llama", figures(6000, queue=100, ttft=300, avg=4000))

        assert sentence(STEADY, prompt)[1].endswith("it is the prompt phase.")
        assert sentence(STEADY, decode)[1].endswith("it is the decode phase.")

    def test_names_no_part_that_explains_half_of_the_rise_or_less(self) -> None:
        # The mean rose by 2 s: 1 s in the queue, 1 s in decode.
        slow = model("llama", figures(4000, queue=1100, ttft=1300, avg=3000))

        state, title, text = sentence(STEADY, slow)

        assert (state, title) == ("warning", "Response time doubled for llama alone: no single part explains it.")
        assert text == "P95 4.00 s in the last hour, 2.00 s in the previous hour."

    def test_names_no_part_where_the_mean_did_not_rise(self) -> None:
        assert sentence(model("llama", figures(4000, avg=900)))[1].endswith("no single part explains it.")

    def test_compares_no_parts_of_requests_that_report_a_first_token_with_those_that_do_not(self) -> None:
        slow = model("llama", figures(4000, queue=100, ttft=None, avg=3000))
        assert sentence(slow)[1].endswith("no single part explains it.")

    def test_begins_with_the_model_that_rose_most_and_names_the_others(self) -> None:
        slow = [model("a", figures(3200)), model("b", figures(8000)), model("c", figures(3100))]

        _, title, text = sentence(*slow, STEADY)

        assert title == "Response time quadrupled for b: no single part explains it."
        assert text.endswith("Also slower: a and c.")

    def test_is_in_the_past_tense_for_a_window_of_the_past(self) -> None:
        slow = model("llama", figures(6000, queue=3900, ttft=4200, avg=5000))
        _, title, text = sentence(slow, past=True)
        assert "it was the queue" in title
        assert "Its requests waited" in text

    def test_is_well_where_nothing_rose(self) -> None:
        assert sentence(STEADY) == (
            "ok",
            "Response times are as in the previous hour.",
            "100 requests in the last hour, P95 2.00 s. P95 in the previous hour: 2.00 s.",
        )

    def test_says_that_times_are_shorter(self) -> None:
        assert sentence(STEADY, previous=figures(8000))[1] == "Response times are shorter than in the previous hour."

    def test_compares_nothing_with_a_window_of_too_few_requests(self) -> None:
        slow = model("llama", figures(6000))
        state, title, text = sentence(slow, comparable=False)
        assert (state, title) == ("quiet", "P95 is 2.00 s.")
        assert "too few requests in the previous hour" in text
        assert "P95" not in text  # the title has it

    def test_names_the_models_with_too_few_requests_to_judge(self) -> None:
        assert sentence(STEADY, model("rare", figures(9000, count=3)))[2].endswith("Too few requests to judge rare.")

    def test_says_that_there_are_no_requests_or_no_times(self) -> None:
        assert sentence(total_requests=0)[:2] == ("quiet", "No requests in the last hour.")
        assert sentence(p95_response_time_ms=None)[:2] == ("quiet", "No response times in the last hour.")
