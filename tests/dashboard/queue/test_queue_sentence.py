"""The sentence of the Queue page."""

from __future__ import annotations

from typing import Any

from dashboard.queue.sentence import Sentence, describe


def source(model: str, pending: float | None = 0, oldest: float | None = None) -> dict[str, Any]:
    return {"model": model, "source": "s", "pending": pending, "processing": 1, "oldest": oldest}


def waits(model: str, p50: float) -> dict[str, Any]:
    return {"model_name": model, "total_requests": 100, "p50_queue_time_ms": p50, "p95_queue_time_ms": 2 * p50}


def described(
    *sources: dict[str, Any], models: tuple[dict[str, Any], ...] = (), past: bool = False, p95: float | None = 20
) -> Sentence:
    return describe({"p95_queue_time_ms": p95}, models, sources, "the last hour", past=past)


class TheSentence:
    def test_names_the_model_for_which_requests_wait(self) -> None:
        sentence = described(source("llama", 41), models=(waits("llama", 3_880),))
        assert (sentence.state, sentence.title) == ("warning", "41 requests wait for llama.")
        assert "3.88\u00a0s" in sentence.text

    def test_names_the_longest_of_several_queues(self) -> None:
        assert described(source("a", 3), source("b", 5)).title == "8 requests wait, 5 of them for b."

    def test_tells_of_a_short_queue_without_alarm(self) -> None:
        sentence = described(source("a", 1), models=(waits("a", 12),))
        assert (sentence.state, sentence.title) == ("ok", "1 request waits for a.")

    def test_warns_where_more_wait_than_are_processed(self) -> None:
        assert described(source("a", 2), models=(waits("a", 12),)).state == "warning"

    def test_tells_of_a_request_that_may_hang(self) -> None:
        assert "in flight for 5\u00a0m" in described(source("a", 0, oldest=300)).title

    def test_says_that_nothing_waits(self) -> None:
        assert described(source("a")).title == "Nothing waits."

    def test_judges_a_past_window_by_the_state_at_its_end_as_the_present(self) -> None:
        for sources in (
            (source("a", 41),),
            (source("a", 1),),
            (source("a", 3), source("b", 5)),
            (source("a", 0, oldest=300),),
            (source("a"),),
        ):
            for models in ((), (waits("a", 12),), (waits("a", 3_880),)):
                now, then = described(*sources, models=models), described(*sources, models=models, past=True)
                assert (then.state, then.about) == (now.state, now.about)

    def test_speaks_of_the_end_of_a_past_window(self) -> None:
        end = "at the end of the last hour"
        assert described(source("a", 41), past=True).title == f"41 requests waited for a {end}."
        assert described(source("a", 1), past=True).title == f"1 request waited for a {end}."
        assert (
            described(source("a", 3), source("b", 5), past=True).title == f"8 requests waited {end}, 5 of them for b."
        )
        assert described(source("a"), past=True).title == f"Nothing waited {end}."
        hanging = described(source("a", 0, oldest=300), past=True)
        assert hanging.title.replace("\u00a0", " ") == f"A request of a was in flight for 5 m 0 s {end}."
        assert hanging.text.startswith("It may have hung.")

    def test_judges_a_past_window_without_sources_by_its_waits(self) -> None:
        assert described(models=(waits("a", 12),), past=True).title == "Most requests hardly waited in the last hour."

    def test_says_where_queues_come_from_while_none_is_known(self) -> None:
        sentence = described(p95=None)
        assert (sentence.state, sentence.title) == ("quiet", "No queue is known.")
        assert "/track/queue" in sentence.text
