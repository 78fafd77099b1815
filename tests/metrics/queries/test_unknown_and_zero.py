"""The tick, the summary and the history have the same figures of the same requests: unknown is None, a zero is 0."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest

from metrics import catalogue, queries
from metrics.catalogue import Kind, Metric
from metrics.events import ErrorEvent, Event, InferenceEvent
from metrics.events.derive import FinishReason, finish_class
from metrics.queries import Filters, Window
from metrics.queries.answers.results import round_figure, round_for_tick
from metrics.queries.answers.summary import ALL_FIGURES
from tests.metrics.queries.known_events import CHATTY, NOW, request, values, write
from tests.metrics.queries.series_of import series_of

pytestmark = [pytest.mark.store, pytest.mark.django_db]

AT = NOW.replace(second=59)  # the last minute is then one step of a history
MINUTE = Window.last(60, AT)
PAIRS = [(metric, stat) for metric in catalogue.of_type("inference") for stat in metric.stats]
# What the summary and the tick call a statistic, beside the statistics of distributions
IN_SUMMARY = {
    ("requests", "sum"): "total_requests",
    ("requests", "rate"): "requests_per_second",
    ("failed_requests", "sum"): "failed_requests",
    ("prompt_tokens", "sum"): "prompt_tokens",
    ("completion_tokens", "sum"): "completion_tokens",
    ("completion_tokens", "rate"): "tokens_per_second",
    ("total_tokens", "sum"): "total_tokens",
    ("cost_usd", "sum"): "cost_usd",
    ("error_rate_percent", "avg"): "error_rate_percent",
    ("success_rate_percent", "avg"): "success_rate_percent",
} | {(name, stat): f"{stat}_{name}" for name, stats in ALL_FIGURES.distributions.items() for stat in stats}
ZERO_WITHOUT_REQUESTS = ("total_requests", "failed_requests", *ALL_FIGURES.sums)
IN_TICK = {
    ("requests", "rate"): ("requests_per_second",),
    ("completion_tokens", "rate"): ("tokens_per_second",),
    ("error_rate_percent", "avg"): ("error_rate_percent",),
} | {(name, stat): (name, stat) for name in ("response_time_ms", "ttft_ms") for stat in ("avg", "p50", "p95", "p99")}

OUTCOMES = ("client_errors", "rate_limited", "server_errors", "timeouts", "cancelled")
NOTHING: dict[str, Any] = {}
ZEROS: dict[str, Any] = {
    **dict.fromkeys(("prompt_tokens", "completion_tokens", "cached_tokens", "reasoning_tokens"), 0),
    **dict.fromkeys(("response_time_ms", "queue_time_ms", "ttft_ms", "cost_usd"), 0.0),
    **dict.fromkeys(("processing_time_ms", "time_per_output_token_ms", "tokens_per_second"), 0.0),
}
NUMBERS: dict[str, Any] = {
    "prompt_tokens": 40, "completion_tokens": 20, "cached_tokens": 10, "reasoning_tokens": 5, "cost_usd": 0.25,
    "response_time_ms": 900.0, "queue_time_ms": 50.0, "ttft_ms": 100.0, "stream": True,
}  # fmt: skip
FAILED = {"success": False, "status_code": 500}
TIMED_OUT = {"success": False, "status_code": 504}


def ago(seconds: float) -> datetime:
    return AT - timedelta(seconds=seconds)


def error(seconds: float) -> ErrorEvent:
    return ErrorEvent(timestamp=ago(seconds), request_id=f"e-{seconds}", model_name=CHATTY, error_type="ServerError")


def sent(*each: dict[str, Any]) -> list[Event]:
    return [request(ago(10 + number), number, **fields) for number, fields in enumerate(each)]


CASES: dict[str, list[Event]] = {
    "none": [],
    "requests without any number": sent(NOTHING, NOTHING),
    "zeros": sent(ZEROS, ZEROS),
    "one without any number and one with zeros": sent(NOTHING, ZEROS),
    "one without any number and one with all": sent(NOTHING, NUMBERS),
    "one with zeros and one with all": sent(ZEROS, NUMBERS),
    "a success without a cost and a failure that was free": sent(NOTHING, FAILED | {"cost_usd": 0.0}),
    "a free success and a failure without a cost": sent({"cost_usd": 0.0}, FAILED),
    "failures without any number": sent(FAILED, TIMED_OUT),
    "failures with zeros": sent(FAILED | ZEROS, TIMED_OUT | ZEROS),
    "only the error of a failure": [error(5)],
    "only the error of a failure, and a success without any number": [error(5), *sent(NOTHING)],
    "only the total of tokens": sent({"total_tokens": 30}),
    "input tokens only": sent({"prompt_tokens": 0}, {"prompt_tokens": 7}),
    "output tokens only": sent({"completion_tokens": 0}),
}


def total_by_hand(metric: Metric, requests: Sequence[InferenceEvent], errors: int) -> float | None:
    """Return the sum of a count or of tokens. Without requests and errors, it is unknown."""
    outcomes = {"server_errors": errors, "failed_requests": errors, "requests": errors}
    if metric.short.startswith("finish_"):
        finished = [finish_class(event.finish_reason) for event in requests]
        return finished.count(FinishReason(metric.short.removeprefix("finish_"))) if requests or errors else None
    if metric.short in outcomes or metric.short in OUTCOMES or metric.short == "streamed":
        matching = {
            "requests": lambda event: True,
            "failed_requests": lambda event: not event.success,
            "streamed": lambda event: event.stream,
        }.get(metric.short, lambda event: event.outcome + "s" in (metric.short, metric.short + "s"))
        counted = sum(bool(matching(event)) for event in requests) + outcomes.get(metric.short, 0)
        return counted if requests or errors else None
    reported = [value for event in requests if (value := getattr(event, metric.field)) is not None]
    # Where input or output tokens were sent, none of them were cached or used for reasoning.
    part_of = {"cached_tokens": "prompt_tokens", "reasoning_tokens": "completion_tokens"}.get(metric.short)
    if part_of and any(getattr(event, part_of) is not None for event in requests):
        reported.append(0)
    return sum(reported) if reported else None


@pytest.mark.parametrize("case", CASES)
class AFigure:
    @pytest.fixture
    def history(self, db: Any, case: str) -> dict[tuple[str, str], Any]:
        """The value of the last minute of every metric and statistic."""
        write(CASES[case], AT)
        result = series_of(PAIRS, MINUTE, Filters(), step=60, now=AT)
        return {(line.metric.short, line.stat): round_figure(line.values[-1]) for line in result.lines}

    def test_of_the_summary_is_that_of_the_history(self, history: dict[tuple[str, str], Any], case: str) -> None:
        figures = queries.summary(MINUTE, Filters(), AT).figures

        for key, name in IN_SUMMARY.items():
            expected = 0 if not CASES[case] and name in ZERO_WITHOUT_REQUESTS else history[key]
            assert figures[name] == expected, name

    def test_of_the_tick_is_that_of_the_history(self, history: dict[tuple[str, str], Any], case: str) -> None:
        tick = queries.current(AT)

        for of_tick in (tick["overall"], *tick["models"].values()):
            for key, (name, *stat) in IN_TICK.items():
                value = of_tick[name][stat[0]] if stat else of_tick[name]
                assert value == round_for_tick(history[key]), key
        for stat in ("p50", "p95"):
            assert tick["queue"]["wait_time_ms"][stat] == round_for_tick(history["queue_time_ms", stat])
        assert len(tick["models"]) == bool(CASES[case])

    def test_of_the_history_is_unknown_unless_it_was_sent(self, history: dict[tuple[str, str], Any], case: str) -> None:
        requests = [event for event in CASES[case] if isinstance(event, InferenceEvent)]
        errors = len(CASES[case]) - len(requests)

        for metric, stat in PAIRS:
            value = history[metric.short, stat]
            if metric.kind is Kind.HISTOGRAM:
                assert (value is None) == (not values(requests, metric.short)), (metric.name, stat)
            elif metric.kind is Kind.RATIO:
                assert (value is None) == (not CASES[case]), metric.name
            if metric.kind is Kind.COUNT or (metric.unit == "tokens" and stat == "sum"):
                by_hand = total_by_hand(metric, requests, errors)
                if stat == "sum":
                    assert value == by_hand, metric.name
                elif stat == "rate":
                    assert value == (None if by_hand is None else round_figure(by_hand / 60)), metric.name
