"""The counters and histograms of requests by model, provider and service."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from metrics.aggregation import NANO
from metrics.exposition.families import Histogram, counter
from metrics.label_sets import LabelSet
from metrics.queries import request_totals
from metrics.queries.answers.request_totals import FAILURES

LABELS = ("model", "provider", "service")
OUTCOMES = {"ok": "success", **{name: name for name in FAILURES}}
TOKENS = {
    "prompt_tokens": "Input tokens.",
    "completion_tokens": "Output tokens.",
    "cached_tokens": "Input tokens read from a prompt cache. They are input tokens, too.",
    "reasoning_tokens": "Output tokens used for reasoning. They are output tokens, too.",
}
TIMES = {
    "response_time_ms": (
        "response_time_seconds",
        "Time from sending a request to the end of its response, of successful requests.",
    ),
    "failed_response_time_ms": (
        "failed_response_time_seconds",
        "Time from sending a request to its failure.",
    ),
    "ttft_ms": (
        "time_to_first_token_seconds",
        "Time from sending a request to its first output token, of successful requests.",
    ),
    "time_per_output_token_ms": (
        "time_per_output_token_seconds",
        "Mean time between the output tokens of a request, of successful requests.",
    ),
    "queue_time_ms": (
        "queue_time_seconds",
        "Time that a request waited before processing began, of successful requests.",
    ),
}


def request_families() -> Iterator[Any]:
    """Return the counters and histograms of requests. Raises QueryStopped."""
    totals = request_totals()

    def sums(column: str) -> list[tuple[LabelSet, int]]:
        return [(labels, own.integers[column]) for labels, own in totals.items()]

    outcomes = [
        ((*labels, shown), own.integers[outcome])
        for labels, own in totals.items()
        for outcome, shown in OUTCOMES.items()
    ]
    yield counter("requests_total", "Completed requests, including failed ones.", (*LABELS, "outcome"), outcomes)
    for column, text in TOKENS.items():
        yield counter(f"{column}_total", text, LABELS, sums(column))
    cost = [(labels, nanodollars / NANO) for labels, nanodollars in sums("cost_nanodollars")]
    yield counter("cost_usd_total", "Cost of the requests whose cost is known, in USD.", LABELS, cost)
    for column, (name, text) in TIMES.items():
        histogram = Histogram(name, text, LABELS)
        for labels, own in totals.items():
            histogram.add(labels, *own.distributions[column])
        yield histogram.family
