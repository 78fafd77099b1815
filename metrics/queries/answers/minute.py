"""The last minute of requests, from one-second rollups: what a tick says of all, of each model, of a selection."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np

from metrics import catalogue
from metrics.aggregation import OUTCOME_COLUMNS
from metrics.histogram import Histogram
from metrics.queries.answers.queue_levels import Level, queue_levels
from metrics.queries.numbers import brief_tree
from metrics.queries.read.budget import query_budget
from metrics.queries.read.filters import Filters
from metrics.queries.read.request_rollups import GroupedRollups, histogram_columns, read_rows, series_labels
from metrics.queries.time.window import Window

WINDOW_SECONDS = 60
MODELS_SHOWN = 20
RESPONSE = catalogue.get("inference.response_time_ms")
FIRST_TOKEN = catalogue.get("inference.ttft_ms")
WAIT = catalogue.get("inference.queue_time_ms")
PERCENTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}


@dataclass(frozen=True)
class Minute:
    """The figures of a minute: of everything asked, of its busiest models by name, and the waits of its requests."""

    overall: dict[str, Any]
    models: dict[str, dict[str, Any]]
    models_omitted: int
    wait_time_ms: dict[str, float | None]


def read_minute(filters: Filters, at: datetime, levels: Mapping[str, Level], most_models: int = MODELS_SHOWN) -> Minute:
    """The minute up to the end of the running second, as `summary` answers it for the same window.

    `levels` are the queues by model; those that wait and those worked on are in flight.
    """
    window = Window.last(WINDOW_SECONDS, at)
    columns = {*OUTCOME_COLUMNS, "completion_tokens"}
    for metric in (RESPONSE, FIRST_TOKEN, WAIT):
        columns |= set(histogram_columns(metric, filters.outcome))
    rows = read_rows([(1, window.start_s, window.end_s)], sorted(columns), filters.series_ids())

    numbers = set(rows.series.tolist()) if most_models else ()
    model_of = {one: labels[0] for one, labels in series_labels(numbers, ("model",)).items()}
    each = np.zeros(len(rows), dtype=np.int64)
    for column in OUTCOME_COLUMNS:
        each += np.array(rows.columns[column], dtype=np.int64)
    volume: dict[str, int] = {}
    for one, requests in zip(rows.series.tolist(), each.tolist(), strict=True):
        if one in model_of:
            volume[model_of[one]] = volume.get(model_of[one], 0) + requests
    busiest = sorted((name for name, n in volume.items() if n), key=lambda name: (-volume[name], name))
    shown = busiest[:most_models]

    # One reading for all: the models shown are a group each, the rest is one more, and together they are everything.
    rest = len(shown)
    place = {name: number for number, name in enumerate(shown)}
    group = np.array([place.get(model_of.get(one, ""), rest) for one in rows.series.tolist()], dtype=np.int64)
    groups = GroupedRollups(rows, group, rest + 1)
    waits = groups.histogram_of(WAIT, filters.outcome)
    own = _Figures(groups, filters)
    models = {
        name: own.of([number], levels[name].in_flight if name in levels else None) for name, number in place.items()
    }
    overall = own.of(range(rest + 1), Level.together(levels.values()).in_flight)
    wait = dict(zip(("p50", "p95"), _joined(waits).quantiles((0.5, 0.95)), strict=True))
    return Minute(brief_tree(overall), brief_tree(models), len(busiest) - rest, brief_tree(wait))


def live_view(filters: Filters, now: datetime) -> dict[str, Any]:
    """Return what a tick's `overall` has, for these filters. Raises QueryTooSlow."""
    with query_budget():
        return read_minute(filters, now, queue_levels(filters, now), most_models=0).overall


class _Figures:
    """Reads figures off groups, of one of them or of several together."""

    def __init__(self, groups: GroupedRollups, filters: Filters) -> None:
        self._requests, self._ok = groups.requests(), groups.sums("ok")
        self._tokens = groups.sums("completion_tokens")
        self._times = {metric.short: groups.histogram_of(metric, filters.outcome) for metric in (RESPONSE, FIRST_TOKEN)}

    def of(self, numbers: Any, in_flight: int | None) -> dict[str, Any]:
        """The figures of these groups together; None wherever nothing is known."""
        chosen = list(numbers)
        requests, ok, tokens = (int(column[chosen].sum()) for column in (self._requests, self._ok, self._tokens))
        times: dict[str, Any] = {}
        for name, histograms in self._times.items():
            merged = _joined([histograms[number] for number in chosen])
            values = merged.quantiles(list(PERCENTILES.values()))
            times[name] = {"avg": merged.mean, **dict(zip(PERCENTILES, values, strict=True))}
        return {
            "requests_per_second": requests / WINDOW_SECONDS if requests else None,
            "tokens_per_second": tokens / WINDOW_SECONDS if tokens else None,
            **times,
            "error_rate_percent": 100 * (requests - ok) / requests if requests else None,
            "in_flight": in_flight,
        }


def _joined(parts: list[Histogram]) -> Histogram:
    if len(parts) == 1:
        return parts[0]
    joined = Histogram()
    for one in parts:
        joined.merge(one)
    return joined
